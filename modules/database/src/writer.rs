//! The writer task: it alone owns the write connection and lends it to one transaction at a time,
//! in the order they asked.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::{
    Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{DatabaseError, ErrorClass, SqliteOptions, error::class_of_driver, options::open_writer};

/// A transaction that held everybody else up for longer is worth a line in the log.
const SLOW_HOLD: Duration = Duration::from_secs(1);
/// The size of the log is looked at no more often than this.
const WAL_LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the writer waits for readers to let go of a log that has grown too large, in milliseconds.
const WAL_WAIT_MAX_MS: u32 = 250;
const READERS_CLOSE_MAX: Duration = Duration::from_secs(5);

pub(crate) enum Request {
    Lease {
        name: &'static str,
        asked_at: Instant,
        reply: oneshot::Sender<Result<Lease, DatabaseError>>,
    },
    /// Serve what is queued, then stop; answered when the file is closed.
    Close(oneshot::Sender<()>),
}

enum Returned {
    /// No transaction is open on it.
    Clean(SqliteConnection),
    /// Whoever held it went away in the middle.
    Dirty(SqliteConnection),
}

/// The write connection with an open transaction, on loan. Dropping it gives it back for a rollback.
pub(crate) struct Lease {
    loan: Option<(SqliteConnection, oneshot::Sender<Returned>)>,
}

impl Lease {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        match &mut self.loan {
            Some((connection, _)) => connection,
            None => unreachable!("a lease has its connection until it is given back, which consumes it"),
        }
    }

    /// Gives the connection back with no transaction open.
    pub(crate) fn finish(mut self) {
        if let Some((connection, back)) = self.loan.take() {
            // The writer task may have gone with its runtime: then the connection just closes.
            drop(back.send(Returned::Clean(connection)));
        }
    }

    /// Gives a connection up that is not fit for use; the writer opens another.
    pub(crate) async fn discard(mut self) {
        if let Some((connection, back)) = self.loan.take() {
            close(connection).await;
            drop(back);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((connection, back)) = self.loan.take() {
            drop(back.send(Returned::Dirty(connection)));
        }
    }
}

pub(crate) struct Writer {
    requests: mpsc::Receiver<Request>,
    options: SqliteConnectOptions,
    busy_timeout: Duration,
    connection: Option<SqliteConnection>,
    readers: SqlitePool,
    wal: PathBuf,
    wal_max_bytes: u64,
    wal_looked_at: Instant,
}

impl Writer {
    pub(crate) fn new(
        requests: mpsc::Receiver<Request>,
        database: &SqliteOptions,
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        readers: SqlitePool,
    ) -> Self {
        let mut wal = database.path.clone().into_os_string();
        wal.push("-wal");
        Self {
            requests,
            options,
            busy_timeout: database.busy_timeout,
            connection: Some(connection),
            readers,
            wal: wal.into(),
            wal_max_bytes: database.wal_max_bytes,
            wal_looked_at: Instant::now(),
        }
    }

    /// Runs until it is told to close or every handle is gone.
    pub(crate) async fn run(mut self) {
        let mut closing = Vec::new();
        while let Some(request) = self.requests.recv().await {
            match request {
                Request::Lease { name, asked_at, reply } => self.serve(name, asked_at, reply).await,
                Request::Close(done) => {
                    self.requests.close();
                    closing.push(done);
                }
            }
        }
        self.shut_down().await;
        for done in closing {
            let _ = done.send(());
        }
    }

    async fn serve(
        &mut self,
        name: &'static str,
        asked_at: Instant,
        reply: oneshot::Sender<Result<Lease, DatabaseError>>,
    ) {
        if reply.is_closed() {
            return;
        }
        let begun = self.begin().await;
        metrics::histogram!("database_write_wait_seconds", "name" => name).record(asked_at.elapsed());
        let connection = match begun {
            Ok(connection) => connection,
            Err(error) => {
                drop(reply.send(Err(error)));
                return;
            }
        };
        let held_since = Instant::now();
        let (back, returned) = oneshot::channel();
        // If the asker is gone, the lease is dropped right here and comes back dirty.
        drop(reply.send(Ok(Lease { loan: Some((connection, back)) })));
        self.connection = match returned.await {
            Ok(Returned::Clean(connection)) => Some(connection),
            Ok(Returned::Dirty(connection)) => rolled_back(connection, name).await,
            Err(_) => None,
        };
        self.bound_the_log().await;
        let held = held_since.elapsed();
        metrics::histogram!("database_write_hold_seconds", "name" => name).record(held);
        if held > SLOW_HOLD {
            tracing::warn!(name, held_ms = held.as_millis(), "a transaction held the writer for long");
        }
    }

    /// Starts the log anew where it has grown too large because readers always overlap. No new frame is written while
    /// this waits for them, so those that come meanwhile read the file itself and do not hold the log.
    async fn bound_the_log(&mut self) {
        if self.wal_looked_at.elapsed() < WAL_LOOK_EVERY {
            return;
        }
        self.wal_looked_at = Instant::now();
        let bytes = std::fs::metadata(&self.wal).map_or(0, |file| file.len());
        #[expect(clippy::cast_precision_loss, reason = "a log is far below 2^52 bytes")]
        metrics::gauge!("database_wal_bytes").set(bytes as f64);
        let Some(connection) = self.connection.as_mut().filter(|_| bytes > self.wal_max_bytes) else {
            return;
        };
        let patience = ["PRAGMA busy_timeout = ", &WAL_WAIT_MAX_MS.to_string()].concat();
        let usual = ["PRAGMA busy_timeout = ", &self.busy_timeout.as_millis().to_string()].concat();
        for pragma in [patience, "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(), usual] {
            let run = sqlx::query(sqlx::AssertSqlSafe(pragma)).execute(&mut *connection).await;
            if let Err(error) = run {
                tracing::debug!(%error, bytes, "the log was not started anew; the next transaction tries again");
            }
        }
    }

    async fn begin(&mut self) -> Result<SqliteConnection, DatabaseError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_writer(&self.options, self.busy_timeout).await?,
        };
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await {
            Ok(_) => Ok(connection),
            Err(error) => {
                if class_of_driver(&error) == ErrorClass::Busy {
                    self.connection = Some(connection);
                } else {
                    close(connection).await;
                }
                Err(error.into())
            }
        }
    }

    async fn shut_down(&mut self) {
        // Readers pin the log; without them the checkpoint empties it. A reader that never ends must not hang us.
        if timeout(READERS_CLOSE_MAX, self.readers.close()).await.is_err() {
            tracing::warn!("readers were still open when the database closed");
        }
        let Some(mut connection) = self.connection.take() else { return };
        match sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await {
            Ok(row) if row.try_get::<i64, _>(0).unwrap_or(1) != 0 => {
                tracing::info!("another process uses the database: its log stays for later");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the checkpoint at close failed; the next start recovers the log");
            }
        }
        close(connection).await;
    }
}

/// Undoes what a vanished holder left. A connection that cannot say it is clean (ROLLBACK also fails where the
/// engine had already ended the transaction) is closed, and closing rolls back.
async fn rolled_back(mut connection: SqliteConnection, name: &'static str) -> Option<SqliteConnection> {
    match sqlx::query("ROLLBACK").execute(&mut connection).await {
        Ok(_) => Some(connection),
        Err(error) => {
            tracing::debug!(name, %error, "the write connection is opened anew after a failed rollback");
            close(connection).await;
            None
        }
    }
}

async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a write connection did not close cleanly");
    }
}
