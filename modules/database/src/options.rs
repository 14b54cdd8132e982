//! How a `SQLite` file is opened.

use std::{path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{DatabaseError, ErrorClass, error::class_of_driver};

/// Pages of 4 KiB between checkpoints: fewer, larger ones, since a hot page is then copied once.
const AUTOCHECKPOINT_PAGES: &str = "4000";
/// Negative: KiB. The writer's cache has to hold the hot part of all indices.
const WRITER_CACHE: &str = "-32768";
const READER_CACHE: &str = "-8192";
const READER_MMAP_BYTES: &str = "33554432";
const READER_ACQUIRE_MAX: Duration = Duration::from_secs(10);

/// Options of a `SQLite` database.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file; created if it does not exist, its directory is not.
    pub path: PathBuf,
    /// Read connections, 4 by default.
    pub readers: u32,
    /// How long a statement waits for another process's lock, 5 s by default.
    pub busy_timeout: Duration,
    /// `synchronous=FULL` (the default): a committed transaction survives a power cut.
    /// False is for throwaway data only.
    pub durable: bool,
    /// Prepared statements kept per connection, 256 by default.
    pub statement_cache: usize,
    /// Transactions that may wait for the writer, 256 by default; one more is refused as overloaded.
    pub write_queue: usize,
    /// How long a transaction waits for the writer, 30 s by default.
    pub write_wait_max: Duration,
    /// Size of the write-ahead log at which the writer waits for readers to let go of it, 64 MiB by default. Without
    /// it, readers that always overlap let the log grow for as long as they come.
    pub wal_max_bytes: u64,
    /// The least time between two such waits, 1 s by default.
    pub wal_restart_pause: Duration,
}

impl SqliteOptions {
    /// The defaults, for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            durable: true,
            statement_cache: 256,
            write_queue: 256,
            write_wait_max: Duration::from_secs(30),
            wal_max_bytes: 64 * 1024 * 1024,
            wal_restart_pause: Duration::from_secs(1),
        }
    }

    fn base(&self) -> SqliteConnectOptions {
        let synchronous = if self.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
        SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(true)
            .busy_timeout(self.busy_timeout)
            .synchronous(synchronous)
            .statement_cache_capacity(self.statement_cache)
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging()
    }

    /// The write connection.
    pub(crate) fn writer(&self) -> SqliteConnectOptions {
        self.base()
            .pragma("cache_size", WRITER_CACHE)
            // Cuts a log that grew past it once it begins anew.
            .pragma("journal_size_limit", self.wal_max_bytes.to_string())
            .pragma("wal_autocheckpoint", AUTOCHECKPOINT_PAGES)
            .thread_name(|_| "sqlite-writer".to_owned())
    }

    /// The pool of connections that cannot write, beside a writer of the same handle.
    pub(crate) async fn reader_pool(&self) -> Result<SqlitePool, DatabaseError> {
        self.pool(self.base()).await
    }

    /// The same for a file that somebody else writes.
    pub(crate) async fn read_only_pool(&self) -> Result<SqlitePool, DatabaseError> {
        self.pool(self.base().read_only(true)).await
    }

    async fn pool(&self, options: SqliteConnectOptions) -> Result<SqlitePool, DatabaseError> {
        let options = options
            .pragma("cache_size", READER_CACHE)
            .pragma("mmap_size", READER_MMAP_BYTES)
            .pragma("query_only", "ON")
            .thread_name(|id| format!("sqlite-reader-{id}"));
        let pool = SqlitePoolOptions::new()
            .max_connections(self.readers.max(1))
            .acquire_timeout(READER_ACQUIRE_MAX)
            .idle_timeout(None)
            .max_lifetime(None)
            // A local file does not go away; a ping a query would cost a thread switch each.
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(pool)
    }
}

/// Opens the write connection and switches the file to WAL. `SQLite` does not wait for a lock in that switch,
/// so that two processes that create the file at once would fail: hence the loop, bounded by `busy_timeout`.
pub(crate) async fn open_writer(
    options: &SqliteConnectOptions,
    busy_timeout: Duration,
) -> Result<SqliteConnection, DatabaseError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match open_in_wal(options).await {
            Ok((connection, mode)) if mode.eq_ignore_ascii_case("wal") => return Ok(connection),
            Ok((_, mode)) => return Err(DatabaseError::JournalMode { mode }),
            Err(error) if class_of_driver(&error) == ErrorClass::Busy && waited < busy_timeout => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn open_in_wal(options: &SqliteConnectOptions) -> Result<(SqliteConnection, String), sqlx::Error> {
    let mut connection = options.connect().await?;
    let mode = sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut connection).await?.try_get(0)?;
    Ok((connection, mode))
}
