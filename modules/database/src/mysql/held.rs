//! A connection of the pool in the hands of one transaction.

use std::time::Duration;

use sea_orm::{ExecResult, QueryResult, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{MySql, mysql::MySqlConnection, pool::PoolConnection, query::Query};
use tokio::time::timeout;

use super::took_too_long;

/// Dropping it without [`finish`](Self::finish) closes the connection, and so the server rolls back.
pub(crate) struct Held {
    connection: Option<PoolConnection<MySql>>,
    statement_max: Duration,
}

type Outcome<T> = Result<T, sqlx::Error>;

impl Held {
    pub(super) fn new(connection: PoolConnection<MySql>, statement_max: Duration) -> Self {
        Self { connection: Some(connection), statement_max }
    }

    fn connection(&mut self) -> &mut MySqlConnection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("it has its connection until it is given back, which consumes it"),
        }
    }

    /// Runs a statement of our own.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Outcome<()> {
        let max = self.statement_max;
        limited(max, sqlx::raw_sql(sql).execute(self.connection())).await.map(drop)
    }

    pub(crate) async fn execute_text(&mut self, sql: &str) -> Outcome<ExecResult> {
        let max = self.statement_max;
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
        limited(max, statement.execute(self.connection())).await.map(ExecResult::from)
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Outcome<ExecResult> {
        let max = self.statement_max;
        limited(max, bound(statement).execute(self.connection())).await.map(ExecResult::from)
    }

    pub(crate) async fn fetch_optional(&mut self, statement: Statement) -> Outcome<Option<QueryResult>> {
        let max = self.statement_max;
        let row = limited(max, bound(statement).fetch_optional(self.connection())).await?;
        Ok(row.map(QueryResult::from))
    }

    pub(crate) async fn fetch_all(&mut self, statement: Statement) -> Outcome<Vec<QueryResult>> {
        let max = self.statement_max;
        let rows = limited(max, bound(statement).fetch_all(self.connection())).await?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Gives the connection back to the pool with no transaction open.
    pub(crate) fn finish(mut self) {
        drop(self.connection.take());
    }

    /// Gives a connection up that is not fit for use.
    pub(crate) fn discard(self) {
        drop(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

async fn limited<T>(max: Duration, statement: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    timeout(max, statement).await.unwrap_or_else(|_| Err(took_too_long()))
}

fn bound(statement: Statement) -> Query<'static, MySql, SqlxValues> {
    // Text that was read lately has most likely been prepared; what has literals in it would only fill the cache.
    let persistent = statement.values.is_some();
    let values = statement.values.unwrap_or(Values(Vec::new()));
    // Statements come from the code and its query builders; strings from outside are always bound.
    sqlx::query_with(sqlx::AssertSqlSafe(statement.sql), SqlxValues(values)).persistent(persistent)
}
