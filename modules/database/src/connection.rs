//! A connection with a transaction open on it, of either engine.

use sea_orm::{ExecResult, QueryResult, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{Sqlite, query::Query};

use crate::{Dialect, mysql, writer::Lease};

/// Dropping it rolls back.
pub(crate) enum Held {
    /// The only connection that writes the file.
    Sqlite(Lease),
    /// One of a pool.
    MySql(mysql::Held),
}

type Outcome<T> = Result<T, sqlx::Error>;

impl Held {
    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
        }
    }

    /// Runs a statement of our own.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Outcome<()> {
        match self {
            Self::Sqlite(lease) => sqlx::query(sql).execute(lease.connection()).await.map(drop),
            Self::MySql(held) => held.run(sql).await,
        }
    }

    pub(crate) async fn execute_text(&mut self, sql: &str) -> Outcome<ExecResult> {
        match self {
            Self::Sqlite(lease) => {
                let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()));
                statement.execute(lease.connection()).await.map(ExecResult::from)
            }
            Self::MySql(held) => held.execute_text(sql).await,
        }
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Outcome<ExecResult> {
        match self {
            Self::Sqlite(lease) => bound(statement).execute(lease.connection()).await.map(ExecResult::from),
            Self::MySql(held) => held.execute(statement).await,
        }
    }

    pub(crate) async fn fetch_optional(&mut self, statement: Statement) -> Outcome<Option<QueryResult>> {
        match self {
            Self::Sqlite(lease) => {
                let row = bound(statement).fetch_optional(lease.connection()).await?;
                Ok(row.map(QueryResult::from))
            }
            Self::MySql(held) => held.fetch_optional(statement).await,
        }
    }

    pub(crate) async fn fetch_all(&mut self, statement: Statement) -> Outcome<Vec<QueryResult>> {
        match self {
            Self::Sqlite(lease) => {
                let rows = bound(statement).fetch_all(lease.connection()).await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
            Self::MySql(held) => held.fetch_all(statement).await,
        }
    }

    /// Gives the connection back with no transaction open.
    pub(crate) fn finish(self) {
        match self {
            Self::Sqlite(lease) => lease.finish(),
            Self::MySql(held) => held.finish(),
        }
    }

    /// Gives a connection up that is not fit for use.
    pub(crate) async fn discard(self) {
        match self {
            Self::Sqlite(lease) => lease.discard().await,
            Self::MySql(held) => held.discard(),
        }
    }
}

fn bound(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    // Statements come from the code and its query builders; strings from outside are always bound.
    sqlx::query_with(sqlx::AssertSqlSafe(statement.sql), SqlxValues(values))
}
