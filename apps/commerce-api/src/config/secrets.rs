//! The secrets that a demonstration makes for itself: `secrets.toml` in its data directory, for its owner only.

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Secret;

/// Name of the file in the data directory.
pub const FILE: &str = "secrets.toml";

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
        "{} does not hold `fingerprint_key` with 64 hexadecimal digits; restore the file, or remove it to have a new \
         one made (answers under idempotency keys of the last day are then not recognised)",
        path.display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
struct Contents {
    fingerprint_key: Secret,
}

/// The key in the data directory's secrets; where there are none yet, `fresh` random bytes are written first.
///
/// Two processes that start at once agree on one key: the file appears whole, or not at all.
pub fn load_or_create(data_dir: &Path, fresh: [u8; 32]) -> Result<[u8; 32], SecretsError> {
    let path = data_dir.join(FILE);
    let failed = |source| SecretsError::Io { path: path.clone(), source };
    match File::open(&path) {
        Ok(file) => return load(&path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    create(data_dir, &path, fresh).map_err(failed)?;
    load(&path, File::open(&path).map_err(failed)?)
}

fn load(path: &Path, mut file: File) -> Result<[u8; 32], SecretsError> {
    let failed = |source| SecretsError::Io { path: path.to_owned(), source };
    refuse_exposed(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let malformed = || SecretsError::Malformed { path: path.to_owned() };
    // The parser's own error would quote the line with the key.
    let contents: Contents = toml::from_str(&text).map_err(|_| malformed())?;
    key_of_hex(contents.fingerprint_key.expose()).ok_or_else(malformed)
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

fn create(data_dir: &Path, path: &Path, fresh: [u8; 32]) -> io::Result<()> {
    // Named after the fresh bytes, which tell it from every other writer's, but through a hash that hides them.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&fresh);
    let draft = data_dir.join(format!(".{FILE}.{:016x}", hasher.finish()));
    let written = write_draft(&draft, fresh);
    // A link, not a rename: whoever was first stays.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => return Ok(()),
        other => other?,
    }
    removed?;
    sync_directory(data_dir)
}

fn write_draft(draft: &Path, fresh: [u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(draft)?;
    let mut text = String::from(
        "# Made at the first start of this demonstration. Keep it to yourself.\nfingerprint_key = \"",
    );
    for byte in fresh {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 0x0f));
    }
    text.push_str("\"\n");
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The 32 bytes that 64 hexadecimal digits say.
pub(super) fn key_of_hex(text: &str) -> Option<[u8; 32]> {
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

    #[test]
    fn made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create(dir.path(), [7; 32]).unwrap();
        assert_eq!(first, [7; 32]);
        assert_eq!(load_or_create(dir.path(), [8; 32]).unwrap(), [7; 32]);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn two_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let barrier = std::sync::Barrier::new(8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    let (dir, barrier) = (dir.path(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        load_or_create(dir, [n; 32]).unwrap()
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
        load_or_create(dir.path(), [7; 32]).unwrap();
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(dir.path(), [8; 32]).unwrap_err();
        assert!(matches!(error, SecretsError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_broken_file_is_refused_without_quoting_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for text in ["", "fingerprint_key = \"abcd\"", "fingerprint_key = sesame", "other = 1"] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create(dir.path(), [8; 32]).unwrap_err();
            assert!(matches!(error, SecretsError::Malformed { .. }), "{text}");
            assert!(!error.to_string().contains("sesame"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "it is left as it is");
        }
    }
}
