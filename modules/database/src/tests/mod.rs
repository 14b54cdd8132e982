//! Tests against real `SQLite` files in temporary directories.

mod backup;
mod commit;
mod files;
mod migrate;
mod read_only;
mod row_statements;
mod transactions;
mod writer;

use std::path::Path;

use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use crate::{BoxFuture, Database, DatabaseError, Dialect, SqliteOptions, WriteTransaction};

/// Options for a throwaway file.
fn options(directory: &Path) -> SqliteOptions {
    SqliteOptions { durable: false, ..SqliteOptions::new(directory.join("test.db")) }
}

async fn open(directory: &TempDir) -> Database {
    Database::open_sqlite(options(directory.path())).await.unwrap()
}

/// A database with `t(id INTEGER PRIMARY KEY, n INTEGER CHECK (n >= 0))`.
async fn with_table(directory: &TempDir) -> Database {
    let database = open(directory).await;
    run(&database, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n >= 0))").await.unwrap();
    database
}

async fn run(database: &Database, sql: &'static str) -> Result<(), DatabaseError> {
    database.write("setup", move |transaction| execute(transaction, sql)).await
}

fn execute<'t>(
    transaction: &'t WriteTransaction,
    sql: &'static str,
) -> BoxFuture<'t, Result<(), DatabaseError>> {
    Box::pin(async move {
        transaction.execute_unprepared(sql).await?;
        Ok(())
    })
}

fn plain(sql: &str) -> Statement {
    Statement::from_string(Dialect::Sqlite.backend(), sql)
}

async fn number(connection: &impl ConnectionTrait, sql: &str) -> i64 {
    let row = connection.query_one_raw(plain(sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn rows_in_t(database: &Database) -> i64 {
    number(database.reader(), "SELECT count(*) FROM t").await
}
