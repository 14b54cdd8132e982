//! The same handle on real servers: what it promises on a file it keeps on `MySQL` and on `MariaDB`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
mod migrations;
mod rows;
mod transactions;

use commerce_database::{BoxFuture, Database, DatabaseError, WriteTransaction};
use commerce_databases::Scratch;
use commerce_servers::ServerKind;
use sea_orm::{ConnectionTrait, Statement};

const KINDS: [ServerKind; 2] = [ServerKind::MySql, ServerKind::MariaDb];

/// A database with `t(id, n >= 0)`.
async fn with_table(kind: ServerKind) -> (Scratch, Database) {
    let scratch = Scratch::empty(kind).await;
    let database = scratch.open().await;
    run(&database, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0))").await.unwrap();
    (scratch, database)
}

async fn run(database: &Database, sql: &'static str) -> Result<(), DatabaseError> {
    database.write("setup", move |tx| execute(tx, sql)).await
}

fn execute<'t>(tx: &'t WriteTransaction, sql: &'static str) -> BoxFuture<'t, Result<(), DatabaseError>> {
    Box::pin(async move { Ok(tx.execute_unprepared(sql).await.map(drop)?) })
}

async fn number(connection: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}
