//! Backups of a database in use.

use std::fs;

use tempfile::TempDir;

use super::{number, run, with_table};
use crate::{Database, DatabaseError, SqliteOptions, backup_sqlite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_writers_is_a_database_of_one_instant() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "INSERT INTO t VALUES (1, 0), (2, 0)").await.unwrap();
    let writer = database.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..50 {
            // Every commit keeps the sum of both rows even.
            run(&writer, "UPDATE t SET n = n + 1").await.unwrap();
        }
    });
    let target = directory.path().join("it's a copy.db");
    let size = backup_sqlite(&database, &target).await.unwrap();
    writing.await.unwrap();
    assert_eq!(size, target.metadata().unwrap().len());

    let copy = Database::open_sqlite(SqliteOptions::new(&target)).await.unwrap();
    assert_eq!(number(copy.reader(), "SELECT count(*) FROM t").await, 2);
    assert_eq!(number(copy.reader(), "SELECT max(n) - min(n) FROM t").await, 0);
    assert_eq!(
        number(copy.reader(), "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_backup_while_a_transaction_is_open_has_what_was_committed() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "INSERT INTO t VALUES (1, 1)").await.unwrap();
    let open = database.begin_write("open").await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&open, "INSERT INTO t VALUES (2, 2)").await.unwrap();
    let target = directory.path().join("copy.db");
    backup_sqlite(&database, &target).await.unwrap();
    open.commit().await.unwrap();
    let copy = Database::open_sqlite(SqliteOptions::new(&target)).await.unwrap();
    assert_eq!(number(copy.reader(), "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn an_existing_target_is_refused_and_kept() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let target = directory.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let error = backup_sqlite(&database, &target).await.unwrap_err();
    assert!(matches!(&error, DatabaseError::BackupTarget { path, .. } if *path == target), "{error:?}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    let missing = directory.path().join("no/such/directory");
    assert!(backup_sqlite(&database, &missing).await.is_err());
}
