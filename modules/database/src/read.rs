//! Named reads: a consistent snapshot, and single statements on the reader pool.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, TransactionTrait as _,
};
use tokio::sync::Mutex;

use crate::{DatabaseError, Dialect, StatementLog, mysql};

/// The name under which statements run directly on [`crate::Database::reader`] are counted.
pub const READER_NAME: &str = "reader";

/// One snapshot of the database, held until drop: every statement sees the same state.
/// It pins the write-ahead log, or a server's undo log, so hold it no longer than needed.
pub struct ReadTransaction {
    name: &'static str,
    log: Arc<StatementLog>,
    inner: Snapshot,
}

enum Snapshot {
    Sqlite(DatabaseTransaction),
    MySql(Mutex<mysql::Held>),
}

impl ReadTransaction {
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    pub(crate) async fn begin_sqlite(
        name: &'static str,
        log: Arc<StatementLog>,
        readers: &DatabaseConnection,
    ) -> Result<Self, DatabaseError> {
        let inner = readers.begin().await?;
        // BEGIN alone is lazy: the first read takes the snapshot.
        inner
            .query_one_raw(Statement::from_string(DbBackend::Sqlite, "SELECT 1 FROM sqlite_schema LIMIT 1"))
            .await?;
        log.transaction(name);
        Ok(Self { name, log, inner: Snapshot::Sqlite(inner) })
    }

    pub(crate) fn begun_mysql(name: &'static str, log: Arc<StatementLog>, held: mysql::Held) -> Self {
        log.transaction(name);
        Self { name, log, inner: Snapshot::MySql(Mutex::new(held)) }
    }

    /// The name it was begun under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        match self.inner {
            Snapshot::Sqlite(_) => Dialect::Sqlite,
            Snapshot::MySql(_) => Dialect::MySql,
        }
    }
}

impl fmt::Debug for ReadTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTransaction").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The reader pool under a name of its own in the [`StatementLog`]; each statement sees the newest state.
#[derive(Debug, Clone)]
pub struct NamedReader {
    name: &'static str,
    log: Arc<StatementLog>,
    inner: DatabaseConnection,
}

impl NamedReader {
    pub(crate) fn new(name: &'static str, log: Arc<StatementLog>, inner: DatabaseConnection) -> Self {
        Self { name, log, inner }
    }
}

#[async_trait]
impl ConnectionTrait for ReadTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.dialect().backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        match &self.inner {
            Snapshot::Sqlite(inner) => inner.execute_raw(stmt).await,
            Snapshot::MySql(held) => held.lock().await.execute(stmt).await.map_err(executing),
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        match &self.inner {
            Snapshot::Sqlite(inner) => inner.execute_unprepared(sql).await,
            Snapshot::MySql(held) => held.lock().await.execute_text(sql).await.map_err(executing),
        }
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.log.statement(self.name);
        match &self.inner {
            Snapshot::Sqlite(inner) => inner.query_one_raw(stmt).await,
            Snapshot::MySql(held) => held.lock().await.fetch_optional(stmt).await.map_err(querying),
        }
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.log.statement(self.name);
        match &self.inner {
            Snapshot::Sqlite(inner) => inner.query_all_raw(stmt).await,
            Snapshot::MySql(held) => held.lock().await.fetch_all(stmt).await.map_err(querying),
        }
    }
}

fn executing(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn querying(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

#[async_trait]
impl ConnectionTrait for NamedReader {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        self.inner.execute_raw(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.log.statement(self.name);
        self.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.log.statement(self.name);
        self.inner.query_one_raw(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.log.statement(self.name);
        self.inner.query_all_raw(stmt).await
    }
}
