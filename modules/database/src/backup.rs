//! A consistent copy of a database in use.

use std::{io, path::Path};

use sqlx::{ConnectOptions as _, Connection as _};
use tokio::fs;

use crate::{Database, DatabaseError};

/// Writes a compact copy of the database, as of one instant, to `target`; writers go on beside it.
/// The target must not exist; if the copy fails it is removed. Returns its size in bytes.
pub async fn backup_sqlite(database: &Database, target: &Path) -> Result<u64, DatabaseError> {
    let failed = |source| DatabaseError::BackupTarget { path: target.to_owned(), source };
    let name = target
        .to_str()
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "the path is not valid UTF-8")))?;
    create_private(target).await.map_err(failed)?;
    let copied = match copy(database, name).await {
        Ok(()) => settle(target).await.map_err(failed),
        Err(error) => Err(error),
    };
    if copied.is_err()
        && let Err(error) = fs::remove_file(target).await
    {
        tracing::warn!(%error, path = name, "an incomplete backup could not be removed");
    }
    copied
}

/// Claims the name before anybody else can, readable by its owner only: it will hold personal data.
async fn create_private(target: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(target).await.map(drop)
}

async fn copy(database: &Database, name: &str) -> Result<(), DatabaseError> {
    // A connection of its own: readers may not write, not even another file, and the writer has work to do.
    let Some(file) = database.file_connection() else { return Err(DatabaseError::NoFile) };
    let mut connection = file.connect().await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await;
    let closed = connection.close().await;
    copied?;
    Ok(closed?)
}

/// Makes the file and its name durable.
async fn settle(target: &Path) -> io::Result<u64> {
    let file = fs::File::open(target).await?;
    file.sync_all().await?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    #[cfg(unix)]
    fs::File::open(directory).await?.sync_all().await?;
    Ok(file.metadata().await?.len())
}
