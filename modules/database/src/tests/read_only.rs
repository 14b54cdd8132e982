//! A file that somebody else writes.

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

use super::{number, options, plain, run, with_table};
use crate::Database;

const COUNT: &str = "SELECT count(*) FROM t";

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let directory = TempDir::new().unwrap();
    let options = options(directory.path());
    assert!(Database::open_sqlite_read_only(&options).await.unwrap().is_none());
    assert!(!options.path.exists());
}

#[tokio::test]
async fn what_another_handle_commits_is_seen_and_nothing_can_be_written() {
    let directory = TempDir::new().unwrap();
    let writer = with_table(&directory).await;
    let options = options(directory.path());
    let read_only = Database::open_sqlite_read_only(&options).await.unwrap().unwrap();
    let reader = read_only.reader_named("count");
    assert_eq!(number(&reader, COUNT).await, 0);
    run(&writer, "INSERT INTO t VALUES (1, 1)").await.unwrap();
    assert_eq!(number(&reader, COUNT).await, 1);
    assert_eq!(read_only.statements().count("count"), 2);
    assert!(reader.execute_raw(plain("INSERT INTO t VALUES (2, 2)")).await.is_err());
    assert!(reader.execute_raw(plain("PRAGMA query_only = OFF")).await.is_ok());
    assert!(reader.execute_raw(plain("INSERT INTO t VALUES (2, 2)")).await.is_err());
}

#[tokio::test]
async fn a_file_that_nobody_has_open_is_read_and_a_writer_may_come_later() {
    let directory = TempDir::new().unwrap();
    let writer = with_table(&directory).await;
    run(&writer, "INSERT INTO t VALUES (1, 1)").await.unwrap();
    writer.close().await;
    let options = options(directory.path());
    let read_only = Database::open_sqlite_read_only(&options).await.unwrap().unwrap();
    assert_eq!(number(&read_only.reader_named("count"), COUNT).await, 1);
    let again = Database::open_sqlite(options).await.unwrap();
    run(&again, "INSERT INTO t VALUES (2, 2)").await.unwrap();
    assert_eq!(number(&read_only.reader_named("count"), COUNT).await, 2);
    again.close().await;
}
