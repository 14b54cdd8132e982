//! A write transaction: statements, then commit or rollback, each of which ends it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{Sqlite, query::Query, sqlite::SqliteConnection};
use tokio::sync::Mutex;

use crate::{CommitError, DatabaseError, Dialect, StatementLog, error::class_of_driver, writer::Lease};

/// A transaction on the write connection. Dropped without [`commit`](Self::commit), it is rolled back before
/// anybody else may write. `SeaORM` entities and raw statements run on it as on any connection.
pub struct WriteTransaction {
    name: &'static str,
    log: Arc<StatementLog>,
    session: Mutex<Session>,
}

struct Session {
    lease: Lease,
    /// A statement was started and its end not seen: its future was dropped.
    in_flight: bool,
    /// The first error after which `SQLite` may have ended the transaction on its own. Whatever ran after it would
    /// commit by itself, so nothing may.
    broken: Option<Arc<sqlx::Error>>,
}

impl Session {
    fn start(&mut self) -> Result<&mut SqliteConnection, Arc<sqlx::Error>> {
        if self.in_flight && self.broken.is_none() {
            let message = "an earlier statement of this transaction was cancelled".to_owned();
            self.broken = Some(Arc::new(sqlx::Error::Protocol(message)));
        }
        if let Some(error) = &self.broken {
            return Err(Arc::clone(error));
        }
        self.in_flight = true;
        Ok(self.lease.connection())
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
    pub(crate) fn new(name: &'static str, log: Arc<StatementLog>, lease: Lease) -> Self {
        log.transaction(name);
        Self { name, log, session: Mutex::new(Session { lease, in_flight: false, broken: None }) }
    }

    /// The name it was begun under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    /// Makes everything durable and visible at once. After an earlier error that may have ended the
    /// transaction it refuses, and nothing is kept. Where COMMIT itself fails by anything but a refusal (busy, a
    /// constraint) the outcome is unknown.
    pub async fn commit(self) -> Result<(), CommitError> {
        let mut session = self.session.into_inner();
        let (sent, error) = match session.start() {
            Ok(connection) => match sqlx::query("COMMIT").execute(connection).await {
                Ok(_) => {
                    session.lease.finish();
                    return Ok(());
                }
                Err(error) => (true, Arc::new(error)),
            },
            Err(error) => (false, error),
        };
        let error = DatabaseError::from(DbErr::Exec(RuntimeErr::SqlxError(error)));
        if sent && !error.class().refuses_commit() {
            session.lease.discard().await;
            return Err(CommitError::Unknown(error));
        }
        if let Err(rollback) = undo(session.lease).await {
            tracing::debug!(name = self.name, error = %rollback, "rollback after a failed commit");
        }
        Err(CommitError::NotCommitted(error))
    }

    /// Undoes everything. Also after an error nothing is kept: the connection is then closed.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        undo(self.session.into_inner().lease).await
    }
}

async fn undo(mut lease: Lease) -> Result<(), DatabaseError> {
    match sqlx::query("ROLLBACK").execute(lease.connection()).await {
        Ok(_) => {
            lease.finish();
            Ok(())
        }
        Err(error) => {
            lease.discard().await;
            Err(error.into())
        }
    }
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction").field("name", &self.name).finish_non_exhaustive()
    }
}

fn bound(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    // Statements come from the code and its query builders; strings from outside are always bound.
    sqlx::query_with(sqlx::AssertSqlSafe(statement.sql), SqlxValues(values))
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
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = bound(stmt).execute(session.start().map_err(execution)?).await;
        session.end(result).map(ExecResult::from).map_err(execution)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        let result = statement.execute(session.start().map_err(execution)?).await;
        session.end(result).map(ExecResult::from).map_err(execution)
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = bound(stmt).fetch_optional(session.start().map_err(querying)?).await;
        session.end(result).map(|row| row.map(QueryResult::from)).map_err(querying)
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.log.statement(self.name);
        let mut session = self.session.lock().await;
        let result = bound(stmt).fetch_all(session.start().map_err(querying)?).await;
        session.end(result).map(|rows| rows.into_iter().map(QueryResult::from).collect()).map_err(querying)
    }
}
