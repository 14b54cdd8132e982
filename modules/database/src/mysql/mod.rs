//! `MySQL` and `MariaDB`: a pool of connections, each of which may write.

mod bridge;
mod error;
mod held;
mod lock;
mod options;
mod server;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{DatabaseConnection, SqlxMySqlConnector};
use sqlx::{
    Executor as _,
    mysql::{MySqlPool, MySqlPoolOptions},
};

pub(crate) use error::class_of_mysql;
pub(crate) use held::Held;
pub(crate) use lock::NamedLock;
pub use options::{MySqlOptions, MySqlTls};

use self::bridge::Bridge;
use crate::{DatabaseError, ErrorClass, ServerProblem};

/// What connections of a pool may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// The pool, and what keeps it connected.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connections: MySqlPool,
    options: Arc<MySqlOptions>,
    closed: Arc<AtomicBool>,
    _bridge: Option<Arc<Bridge>>,
}

impl Pool {
    /// Connects once, so that whatever is wrong is told now and by its name.
    pub(crate) async fn open(options: MySqlOptions, access: Access) -> Result<Self, DatabaseError> {
        server::reach(&options).await?;
        let pool = Self::lazy(options, access)?;
        pool.first_connection().await?;
        Ok(pool)
    }

    /// Does not connect before it has to.
    pub(crate) fn lazy(options: MySqlOptions, access: Access) -> Result<Self, DatabaseError> {
        let mut connect = options.driver();
        let bridge = match options.address() {
            Some((host, port)) => {
                let bridge = Bridge::open(host, port, options.connect_timeout)
                    .map_err(|error| DatabaseError::from(sqlx::Error::Io(error)))?;
                connect = connect.socket(bridge.path());
                Some(Arc::new(bridge))
            }
            None => None,
        };
        let (session, read_only) = (options.session(), access == Access::ReadOnly);
        let pool = MySqlPoolOptions::new()
            .max_connections(options.pool_max.max(1))
            .min_connections(options.pool_min.min(options.pool_max))
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(options.idle_timeout)
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move {
                    connection.execute(sqlx::AssertSqlSafe(session)).await?;
                    // The statement that both servers know in all versions; the variable's name differs.
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                    if read_only {
                        connection.execute("SET SESSION TRANSACTION READ ONLY").await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(connect);
        let closed = Arc::new(AtomicBool::new(false));
        Ok(Self { connections: pool, options: Arc::new(options), closed, _bridge: bridge })
    }

    async fn first_connection(&self) -> Result<(), DatabaseError> {
        let mut connection =
            self.connections.acquire().await.map_err(|error| server::problem(&self.options, error))?;
        let version: String = sqlx::query_scalar("SELECT VERSION()")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| server::problem(&self.options, error))?;
        if server::is_known(&version) {
            return Ok(());
        }
        Err(self.options.problem(ServerProblem::TooOld { version }, None))
    }

    /// The pool for the ORM.
    pub(crate) fn connections(&self) -> DatabaseConnection {
        SqlxMySqlConnector::from_sqlx_mysql_pool(self.connections.clone())
    }

    pub(crate) fn options(&self) -> &MySqlOptions {
        &self.options
    }

    /// A connection with a write transaction open, waited for as long as the pool allows.
    pub(crate) async fn begin(&self) -> Result<Held, DatabaseError> {
        self.held(&["START TRANSACTION"]).await
    }

    /// The same for those who write for many: waits longer, and only for a free connection, never for a server that is
    /// not there.
    pub(crate) async fn begin_waiting(&self, max: Duration) -> Result<Held, DatabaseError> {
        let give_up_at = tokio::time::Instant::now() + max;
        loop {
            match self.begin().await {
                Err(error)
                    if error.class() == ErrorClass::Overloaded
                        && tokio::time::Instant::now() < give_up_at => {}
                ended => return ended,
            }
        }
    }

    /// A connection with one snapshot of everything.
    pub(crate) async fn begin_read(&self) -> Result<Held, DatabaseError> {
        // The first holds for the next transaction only.
        self.held(&[
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ])
        .await
    }

    /// A connection without a transaction, that nobody else uses meanwhile.
    pub(crate) async fn connection(&self) -> Result<Held, DatabaseError> {
        self.held(&[]).await
    }

    async fn held(&self, first: &[&'static str]) -> Result<Held, DatabaseError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(DatabaseError::Closed);
        }
        let connection = self.connections.acquire().await.map_err(acquiring)?;
        let mut held = Held::new(connection, self.options.statement_max);
        for statement in first {
            if let Err(error) = held.run(statement).await {
                held.discard();
                return Err(error.into());
            }
        }
        Ok(held)
    }

    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.connections.close().await;
    }
}

/// A pool that could connect to nothing within its time says that it timed out; why, nobody knows then but the server.
fn acquiring(error: sqlx::Error) -> DatabaseError {
    match error {
        sqlx::Error::PoolClosed => DatabaseError::Closed,
        error => error.into(),
    }
}

/// A statement that took so long that its connection counts as dead.
pub(crate) fn took_too_long() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database server did not answer in time"))
}
