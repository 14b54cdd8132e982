//! Keeps the write-ahead log from growing without end.
//!
//! `SQLite` begins the log anew only at a moment when no reader uses it, and readers that overlap all the time leave no
//! such moment: its own checkpoints copy the log into the file, but the log goes on behind its end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{Row as _, sqlite::SqliteConnection};
use tokio::time::Instant;

use crate::{SqliteOptions, file::log_of};

/// How long writers are held up for readers to end. No frame is written meanwhile, so readers that begin then read the
/// file itself once the log is copied, and do not hold the log.
const READERS_WAIT_MS: u128 = 250;

pub(crate) struct WalLimit {
    log: PathBuf,
    /// Name of the database's file, in metrics.
    file: Arc<str>,
    max_bytes: u64,
    pause: Duration,
    busy_timeout: Duration,
    tried_at: Option<Instant>,
}

impl WalLimit {
    pub(crate) fn new(options: &SqliteOptions) -> Self {
        let file = options.path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
        Self {
            log: log_of(&options.path),
            file: file.into(),
            max_bytes: options.wal_max_bytes,
            pause: options.wal_restart_pause,
            busy_timeout: options.busy_timeout,
            tried_at: None,
        }
    }

    /// Begins the log anew where it is too long and the last attempt is long enough ago.
    pub(crate) async fn keep(&mut self, connection: &mut SqliteConnection) {
        // A look into the file system's cache takes a microsecond: not worth another thread.
        let Ok(bytes) = std::fs::metadata(&self.log).map(|log| log.len()) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a log is far below 2^52 bytes")]
        metrics::gauge!("database_wal_bytes", "file" => self.file.clone()).set(bytes as f64);
        if bytes <= self.max_bytes || self.tried_at.is_some_and(|tried_at| tried_at.elapsed() < self.pause) {
            return;
        }
        let restarted = self.restart(connection).await;
        self.tried_at = Some(Instant::now());
        match restarted {
            Ok(true) => tracing::debug!(bytes, "the write-ahead log begins anew"),
            Ok(false) => tracing::debug!(bytes, "readers hold the write-ahead log; it is tried again"),
            Err(error) => tracing::warn!(%error, bytes, "the write-ahead log could not begin anew"),
        }
    }

    /// False if readers or another process were in the way.
    async fn restart(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let usual = self.busy_timeout.as_millis();
        set_busy_timeout(connection, usual.min(READERS_WAIT_MS)).await?;
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut *connection).await;
        set_busy_timeout(connection, usual).await?;
        Ok(checkpoint?.try_get::<i64, _>(0)? == 0)
    }
}

async fn set_busy_timeout(connection: &mut SqliteConnection, millis: u128) -> Result<(), sqlx::Error> {
    let pragma = format!("PRAGMA busy_timeout = {millis}");
    sqlx::query(sqlx::AssertSqlSafe(pragma)).execute(connection).await.map(drop)
}
