//! Named reads: a consistent snapshot, and single statements on the reader pool.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement, TransactionTrait as _,
};

use crate::{DatabaseError, Dialect, StatementLog};

/// The name under which statements run directly on [`crate::Database::reader`] are counted.
pub const READER_NAME: &str = "reader";

/// One snapshot of the database, held until drop: every statement sees the same state.
/// It pins the write-ahead log, so hold it no longer than needed.
pub struct ReadTransaction {
    name: &'static str,
    log: Arc<StatementLog>,
    inner: DatabaseTransaction,
}

impl ReadTransaction {
    #[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
    pub(crate) async fn begin(
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
        Ok(Self { name, log, inner })
    }

    /// The name it was begun under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        Dialect::Sqlite
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
