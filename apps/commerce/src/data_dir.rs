//! The data directory: made for its owner only, and used by one `up` at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "up.lock";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It cannot be made.
    #[error("the data directory {} cannot be made; choose another with `--data-dir`", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A running `up` has it.
    #[error(
        "the data directory {} is in use by a running `commerce up`{}; stop that one first, or choose another \
         directory with `--data-dir`",
        path.display(),
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// Which.
        path: PathBuf,
        /// The process that wrote itself into the lock file.
        holder: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("the lock file {} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the directory where it does not exist, for its owner only: it holds personal data and secrets.
pub fn prepare(path: &Path) -> Result<(), LockError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| LockError::Make { path: path.to_owned(), source })
}

/// The exclusive use of a data directory by an `up`. The operating system ends it with the process, however that ends.
#[derive(Debug)]
pub struct UpLock {
    file: File,
    path: PathBuf,
}

impl UpLock {
    /// Takes it, or tells who has it.
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join(LOCK_FILE);
        let failed = |source| LockError::File { path: path.clone(), source };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder =
                    read(&path).and_then(|text| text.lines().next()?.strip_prefix("pid ")?.parse().ok());
                return Err(LockError::InUse { path: data_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut lock = Self { file, path };
        lock.write(&format!("pid {}\n", std::process::id()))?;
        Ok(lock)
    }

    /// Writes down where the API listens, so that other commands know which server this directory belongs to.
    pub fn record_api(&mut self, api: SocketAddr) -> Result<(), LockError> {
        self.write(&format!("pid {}\napi {api}\n", std::process::id()))
    }

    /// Gives it back.
    pub fn release(mut self) -> Result<(), LockError> {
        self.write("")
    }

    fn write(&mut self, text: &str) -> Result<(), LockError> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|source| LockError::File { path: self.path.clone(), source })
    }
}

/// Whether the `up` on `data_dir` says that its API listens on `api`.
pub fn belongs_to(data_dir: &Path, api: SocketAddr) -> bool {
    let recorded = read(&data_dir.join(LOCK_FILE));
    recorded.is_some_and(|text| text.lines().any(|line| line == format!("api {api}")))
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let api = ([127, 0, 0, 1], 4711).into();
        let mut first = UpLock::take(dir.path()).unwrap();
        first.record_api(api).unwrap();
        let error = UpLock::take(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, LockError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
            "{text}"
        );
        assert!(text.contains("--data-dir") && text.contains(&std::process::id().to_string()), "{text}");
        assert!(belongs_to(dir.path(), api));
        assert!(!belongs_to(dir.path(), ([127, 0, 0, 1], 471).into()));

        first.release().unwrap();
        assert!(!belongs_to(dir.path(), api));
        UpLock::take(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn made_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(prepare(&file), Err(LockError::Make { .. })));
    }
}
