//! The database's files: who may read them, and how long the write-ahead log is.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use tokio::fs;

/// The write-ahead log of the database at `path`.
pub(crate) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Creates the file if it does not exist. On Unix its owner alone may read it, whether it is new or not: it holds
/// personal data. `SQLite` gives a new log the mode of its database; one that is left over is narrowed as well.
pub(crate) async fn prepare(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await?;
    #[cfg(unix)]
    for file in [path.to_owned(), log_of(path), beside(path, "-shm")] {
        narrow(&file).await?;
    }
    Ok(())
}

#[cfg(unix)]
async fn narrow(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    match fs::metadata(file).await {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let mut permissions = found.permissions();
            permissions.set_mode(0o600);
            fs::set_permissions(file, permissions).await
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
