//! A write transaction: statements, then commit or rollback, each of which ends it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::sync::Mutex;

use crate::{CommitError, DatabaseError, Dialect, StatementLog, connection::Held, error::class_of_driver};

/// A transaction on a connection that may write. Dropped without [`commit`](Self::commit), it is rolled back; on `SQLite`
/// before anybody else may write. `SeaORM` entities and raw statements run on it as on any connection.
pub struct WriteTransaction {
    name: &'static str,
    log: Arc<StatementLog>,
    dialect: Dialect,
    session: Mutex<Session>,
}

struct Session {
    held: Held,
    /// A statement was started and its end not seen: its future was dropped.
    in_flight: bool,
    /// The first error after which the engine may have ended the transaction on its own. Whatever ran after it would
    /// commit by itself, so nothing may.
    broken: Option<Arc<sqlx::Error>>,
}

impl Session {
    fn start(&mut self) -> Result<&mut Held, Arc<sqlx::Error>> {
        if self.in_flight && self.broken.is_none() {
            let message = "an earlier statement of this transaction was cancelled".to_owned();
            self.broken = Some(Arc::new(sqlx::Error::Protocol(message)));
        }
        if let Some(error) = &self.broken {
            return Err(Arc::clone(error));
        }
        self.in_flight = true;
        Ok(&mut self.held)
    }

    fn end<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, Arc<sqlx::Error>> {
        self.in_flight = false;
        result.map_err(|error| {
            let error = Arc::new(error);
            if !class_of_driver(&error).leaves_transaction_usable() {
                self.broken = Some(Arc::clone(&error));
            }
            error
        })
    }
}

impl WriteTransaction {
    pub(crate) fn new(name: &'static str, log: Arc<StatementLog>, held: Held) -> Self {
        log.transaction(name);
        let dialect = held.dialect();
        Self { name, log, dialect, session: Mutex::new(Session { held, in_flight: false, broken: None }) }
    }

    /// The name it was begun under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Makes everything durable and visible at once. After an earlier error that may have ended the
    /// transaction it refuses, and nothing is kept. Where COMMIT itself fails by anything but a refusal (busy, a
    /// constraint) the outcome is unknown.
    pub async fn commit(self) -> Result<(), CommitError> {
        let mut session = self.session.into_inner();
        let (sent, error) = match session.start() {
            Ok(held) => match held.run("COMMIT").await {
                Ok(()) => {
                    session.held.finish();
                    return Ok(());
                }
                Err(error) => (true, Arc::new(error)),
            },
            Err(error) => (false, error),
        };
        let error = DatabaseError::from(DbErr::Exec(RuntimeErr::SqlxError(error)));
        if sent && !error.class().refuses_commit() {
            session.held.discard().await;
            return Err(CommitError::Unknown(error));
        }
        if let Err(rollback) = undo(session.held).await {
            tracing::debug!(name = self.name, error = %rollback, "rollback after a failed commit");
        }
        Err(CommitError::NotCommitted(error))
    }

    /// Undoes everything. Also after an error nothing is kept: the connection is then closed.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        undo(self.session.into_inner().held).await
    }
}

async fn undo(mut held: Held) -> Result<(), DatabaseError> {
    match held.run("ROLLBACK").await {
        Ok(()) => {
            held.finish();
            Ok(())
        }
        Err(error) => {
            held.discard().await;
            Err(error.into())
        }
    }
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction").field("name", &self.name).finish_non_exhaustive()
    }
}

fn execution(error: Arc<sqlx::Error>) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error))
}

fn querying(error: Arc<sqlx::Error>) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error))
}

#[async_trait]
impl ConnectionTrait for WriteTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.dialect.backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = session.start().map_err(execution)?.execute(stmt).await;
        session.end(result).map_err(execution)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = session.start().map_err(execution)?.execute_text(sql).await;
        session.end(result).map_err(execution)
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = session.start().map_err(querying)?.fetch_optional(stmt).await;
        session.end(result).map_err(querying)
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = session.start().map_err(querying)?.fetch_all(stmt).await;
        session.end(result).map_err(querying)
    }
}
