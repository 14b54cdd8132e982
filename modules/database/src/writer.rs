//! The writer task: it alone owns the write connection and lends it to one transaction at a time,
//! in the order they asked.

use std::time::Duration;

use sqlx::{
    Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    DatabaseError, ErrorClass, SqliteOptions, error::class_of_driver, options::open_writer, wal::WalLimit,
};

/// A transaction that held everybody else up for longer is worth a line in the log.
const SLOW_HOLD: Duration = Duration::from_secs(1);
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
    wal: WalLimit,
}

impl Writer {
    pub(crate) fn new(
        requests: mpsc::Receiver<Request>,
        options: &SqliteOptions,
        connection: SqliteConnection,
        readers: SqlitePool,
    ) -> Self {
        Self {
            requests,
            options: options.writer(),
            busy_timeout: options.busy_timeout,
            connection: Some(connection),
            readers,
            wal: WalLimit::new(options),
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
        let held = held_since.elapsed();
        metrics::histogram!("database_write_hold_seconds", "name" => name).record(held);
        if held > SLOW_HOLD {
            tracing::warn!(name, held_ms = held.as_millis(), "a transaction held the writer for long");
        }
        if let Some(connection) = &mut self.connection {
            self.wal.keep(connection).await;
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
