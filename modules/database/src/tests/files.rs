//! The files: who may read them, and how long the write-ahead log gets.

use std::{path::Path, time::Duration};

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tokio::sync::watch;

use super::{number, open, options, run, with_table};
use crate::{Database, SqliteOptions};

#[cfg(unix)]
fn mode(directory: &TempDir, file: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;

    directory.path().join(file).metadata().unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    for file in ["test.db", "test.db-wal", "test.db-shm"] {
        assert_eq!(mode(&directory, file), 0o600, "{file}");
    }
    run(&database, "INSERT INTO t VALUES (1, 1)").await.unwrap();

    // Left over from a time when others could read them.
    for file in ["test.db", "test.db-wal", "test.db-shm"] {
        fs::set_permissions(directory.path().join(file), fs::Permissions::from_mode(0o664)).unwrap();
    }
    let again = open(&directory).await;
    for file in ["test.db", "test.db-wal", "test.db-shm"] {
        assert_eq!(mode(&directory, file), 0o600, "{file}");
    }
    assert_eq!(number(again.reader(), "SELECT count(*) FROM t").await, 1, "what it holds stays");
}

fn log_bytes(directory: &Path) -> u64 {
    directory.join("test.db-wal").metadata().unwrap().len()
}

/// Reads all the time, so that there is no moment without a reader.
async fn overlapping_reads(database: Database, mut stop: watch::Receiver<bool>) -> u32 {
    let mut current = database.begin_read("read").await.unwrap();
    let mut reads = 1;
    while !*stop.borrow_and_update() {
        let next = database.begin_read("read").await.unwrap();
        number(&next, "SELECT count(*) FROM big").await;
        drop(std::mem::replace(&mut current, next));
        reads += 1;
    }
    reads
}

#[tokio::test]
async fn the_log_stays_bounded_while_readers_overlap() {
    const MAX_BYTES: u64 = 256 * 1024;
    let directory = TempDir::new().unwrap();
    let small = SqliteOptions {
        wal_max_bytes: MAX_BYTES,
        wal_restart_pause: Duration::ZERO,
        ..options(directory.path())
    };
    let database = Database::open_sqlite(small).await.unwrap();
    run(&database, "CREATE TABLE big (data BLOB)").await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let reader = tokio::spawn(overlapping_reads(database.clone(), stopped));
    let mut longest = 0;
    for _ in 0..200 {
        run(&database, "INSERT INTO big VALUES (zeroblob(60000))").await.unwrap();
        longest = longest.max(log_bytes(directory.path()));
    }
    stop.send(true).unwrap();
    assert!(reader.await.unwrap() > 10, "there were readers all the time");
    // 12 MB were written. One attempt may fail, for a reader that holds on; each lets a transaction in.
    assert!(longest > MAX_BYTES, "the limit was reached: {longest}");
    assert!(longest < 8 * MAX_BYTES, "{longest}");

    let transaction = database.begin_write("patience").await.unwrap();
    assert_eq!(number(&transaction, "PRAGMA busy_timeout").await, 5_000, "as patient as before");
}

#[tokio::test]
async fn a_reader_that_holds_the_log_delays_writers_only_for_a_moment() {
    let directory = TempDir::new().unwrap();
    let small = SqliteOptions { wal_max_bytes: 1, ..options(directory.path()) };
    let database = Database::open_sqlite(small).await.unwrap();
    run(&database, "CREATE TABLE big (data BLOB)").await.unwrap();
    let reader = database.begin_read("holds").await.unwrap();
    // The next attempt is due only after a second; none of these fails, and the reader's state stays its own.
    for _ in 0..20 {
        run(&database, "INSERT INTO big VALUES (zeroblob(60000))").await.unwrap();
    }
    assert_eq!(number(&reader, "SELECT count(*) FROM big").await, 0);
    assert!(log_bytes(directory.path()) > 20 * 60_000);
    drop(reader);
    let transaction = database.begin_write("more").await.unwrap();
    transaction.execute_unprepared("INSERT INTO big VALUES (x'00')").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(number(database.reader(), "SELECT count(*) FROM big").await, 21);
}
