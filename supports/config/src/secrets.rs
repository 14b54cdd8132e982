//! The secrets that a demonstration makes for itself: `secrets.toml` in its data directory, for its owner only.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::Secret;

/// Name of the file in the data directory.
pub const FILE: &str = "secrets.toml";

/// What a new file begins with.
const HEAD: &str = "# Made at the first start of this demonstration. Keep it to yourself.\n";

/// Why the secrets of the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Reading or writing failed.
    #[error("the secrets in {} cannot be read or made", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others on this machine may read it.
    #[error("{} may be read by others (mode {mode:o}); if nobody has, run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error(
        "{} does not hold `{key}` with 64 hexadecimal digits; restore the file, or remove it to have a new one made \
         (what was made under the keys in it is then not recognised: answers under idempotency keys, cards on their \
         way to the gateway)",
        path.display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
    },
}

/// The keys of these names in the data directory's secrets, in the order asked for. Where there is no file it is made
/// of `fresh` random bytes; a file of an older version, which has some of them, gets the others.
///
/// Two processes that start at once agree: one makes the keys, and the file appears whole, or not at all. (Where
/// directories cannot be locked, which is where there is no Unix, the last one wins.)
pub fn load_or_create<const N: usize>(
    data_dir: &Path,
    names: [&'static str; N],
    fresh: impl FnMut() -> [u8; 32],
) -> Result<[[u8; 32]; N], SecretsError> {
    let path = data_dir.join(FILE);
    let failed = |source| SecretsError::Io { path: path.clone(), source };
    if let Some(keys) = complete(read(&path, names)?.keys) {
        return Ok(keys);
    }
    let _lock = lock(data_dir).map_err(failed)?;
    // Another process may have been first.
    let mut found = read(&path, names)?;
    found.add_missing(names, fresh);
    write(data_dir, &path, &found.text).map_err(failed)?;
    complete(read(&path, names)?.keys).ok_or_else(|| SecretsError::Malformed {
        path: path.clone(),
        key: names.first().copied().unwrap_or(""),
    })
}

/// A file as it is: its text, and the keys that it has.
struct Found<const N: usize> {
    text: String,
    keys: [Option<[u8; 32]>; N],
}

impl<const N: usize> Found<N> {
    fn add_missing(&mut self, names: [&str; N], mut fresh: impl FnMut() -> [u8; 32]) {
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        for (name, key) in names.iter().zip(&mut self.keys) {
            if key.is_none() {
                let bytes = fresh();
                // Writing into a text does not fail.
                let _ = writeln!(self.text, "{name} = \"{}\"", hex_of_key(&bytes));
                *key = Some(bytes);
            }
        }
    }
}

fn complete<const N: usize>(keys: [Option<[u8; 32]>; N]) -> Option<[[u8; 32]; N]> {
    let mut all = [[0; 32]; N];
    for (place, key) in all.iter_mut().zip(keys) {
        *place = key?;
    }
    Some(all)
}

/// Reads the file; one that is not there is one without keys. One that is there has some, or it is not ours.
fn read<const N: usize>(path: &Path, names: [&'static str; N]) -> Result<Found<N>, SecretsError> {
    let failed = |source| SecretsError::Io { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found { text: HEAD.to_owned(), keys: [None; N] });
        }
        Err(error) => return Err(failed(error)),
    };
    refuse_exposed(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let malformed = |key| SecretsError::Malformed { path: path.to_owned(), key };
    let first = names.first().copied().unwrap_or("");
    // The parser's own error would quote the line with the key.
    let table: toml::Table = toml::from_str(&text).map_err(|_| malformed(first))?;
    let mut keys = [None; N];
    for (key, name) in keys.iter_mut().zip(names) {
        if let Some(value) = table.get(name) {
            // Wrapped at once, so that no error can quote it.
            let value = value.as_str().map(|text| Secret::new(text.to_owned()));
            let bytes = value.and_then(|value| key_of_hex(value.expose())).ok_or_else(|| malformed(name))?;
            *key = Some(bytes);
        }
    }
    if keys.iter().all(Option::is_none) { Err(malformed(first)) } else { Ok(Found { text, keys }) }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), SecretsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    let others_may = mode & 0o077;
    if others_may == 0 { Ok(()) } else { Err(SecretsError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &fs::Metadata) -> Result<(), SecretsError> {
    Ok(())
}

/// Held until it is dropped, however the process ends.
#[cfg(unix)]
fn lock(data_dir: &Path) -> io::Result<File> {
    let directory = File::open(data_dir)?;
    directory.lock()?;
    Ok(directory)
}

#[cfg(not(unix))]
fn lock(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Puts `text` in the file's place, whole or not at all, and for the owner only.
fn write(data_dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = data_dir.join(format!(".{FILE}.draft"));
    // One of a start that was cut off.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_directory(data_dir)
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A key as 64 hexadecimal digits.
pub fn hex_of_key(key: &[u8; 32]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    key.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// The 32 bytes that 64 hexadecimal digits say.
pub fn key_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(pair[0])? * 16 + nibble(pair[1])?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["fingerprint_key", "vault_key", "webhook_secret"];

    /// Keys of all ones, all twos, and so on.
    fn counting() -> impl FnMut() -> [u8; 32] {
        let mut next = 0;
        move || {
            next += 1;
            [next; 32]
        }
    }

    fn never() -> [u8; 32] {
        panic!("no key was to be made")
    }

    #[cfg(unix)]
    fn put(dir: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(dir.join(FILE), text).unwrap();
        fs::set_permissions(dir.join(FILE), fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create(dir.path(), NAMES, counting()).unwrap();
        assert_eq!(first, [[1; 32], [2; 32], [3; 32]]);
        assert_eq!(load_or_create(dir.path(), NAMES, never).unwrap(), first);
        assert_eq!(load_or_create(dir.path(), ["vault_key"], never).unwrap(), [[2; 32]]);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_an_older_version_gets_what_it_lacks_and_keeps_what_it_has() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let old = format!("# Ours.\nfingerprint_key = \"{}\"", "ab".repeat(32));
        put(dir.path(), &old);
        fs::write(dir.path().join(".secrets.toml.draft"), "of a start that was cut off").unwrap();
        let keys = load_or_create(dir.path(), NAMES, counting()).unwrap();
        assert_eq!(keys, [[0xab; 32], [1; 32], [2; 32]]);
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(text.starts_with(&old) && text.contains("vault_key") && text.ends_with("\"\n"), "{text}");
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let barrier = std::sync::Barrier::new(8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    let (dir, barrier) = (dir.path(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        // Older and newer versions at once.
                        let [first] = load_or_create(dir, ["fingerprint_key"], || [n; 32]).unwrap();
                        let keys = load_or_create(dir, NAMES, || [n + 100; 32]).unwrap();
                        assert_eq!(keys[0], first);
                        keys
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path(), NAMES, counting()).unwrap();
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(dir.path(), NAMES, never).unwrap_err();
        assert!(matches!(error, SecretsError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_broken_file_is_refused_without_quoting_it() {
        let dir = tempfile::tempdir().unwrap();
        let good = format!("fingerprint_key = \"{}\"\n", "ab".repeat(32));
        for text in [
            "",
            "fingerprint_key = \"abcd\"",
            "fingerprint_key = sesame",
            "other = 1",
            &format!("{good}vault_key = \"sesame\"\n"),
            &format!("{good}vault_key = 7\n"),
        ] {
            put(dir.path(), text);
            let error = load_or_create(dir.path(), NAMES, never).unwrap_err();
            assert!(matches!(error, SecretsError::Malformed { .. }), "{text}");
            assert!(!error.to_string().contains("sesame"));
            assert_eq!(error.to_string().contains("`vault_key`"), text.contains("vault_key"), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text, "it is left as it is");
        }
    }

    #[test]
    fn hexadecimal_and_back() {
        let key = std::array::from_fn(|index| u8::try_from(index * 8).unwrap());
        assert_eq!(key_of_hex(&hex_of_key(&key)), Some(key));
        assert_eq!(key_of_hex(&"g".repeat(64)), None);
        assert_eq!(key_of_hex("ab"), None);
    }
}
