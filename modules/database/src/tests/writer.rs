//! The writer task: turns, limits, leases that vanish, closing.

use std::{sync::Mutex, time::Duration};

use futures::{future::join_all, poll};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

use super::{number, open, options, plain, rows_in_t, run, with_table};
use crate::{CommitError, Database, DatabaseError, ErrorClass, SqliteOptions};

const LONG_INSERT: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) \
                           INSERT INTO t SELECT x, x FROM c";

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back_before_the_next_begins() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let transaction = database.begin_write("lost").await.unwrap();
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    drop(transaction);

    let next = database.begin_write("next").await.unwrap();
    assert_eq!(number(&next, "SELECT count(*) FROM t").await, 0);
    next.execute_unprepared("INSERT INTO t VALUES (2, 2)").await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(rows_in_t(&database).await, 1);
}

#[tokio::test]
async fn a_future_dropped_in_the_middle_of_a_statement_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let transaction = database.begin_write("lost").await.unwrap();
    let mut work = Box::pin(async move {
        transaction.execute_unprepared("INSERT INTO t VALUES (-1, 1)").await.unwrap();
        transaction.execute_unprepared(LONG_INSERT).await.unwrap();
        transaction.commit().await.unwrap();
    });
    // Let the first statement finish and the long one start, then drop everything while it runs.
    while database.statements().count("lost") < 2 {
        assert!(poll!(&mut work).is_pending());
        tokio::task::yield_now().await;
    }
    drop(work);

    let next = database.begin_write("next").await.unwrap();
    assert_eq!(number(&next, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn nothing_runs_or_commits_after_a_cancelled_statement() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let transaction = database.begin_write("cancelled").await.unwrap();
    {
        let mut statement = Box::pin(transaction.execute_unprepared(LONG_INSERT));
        assert!(poll!(&mut statement).is_pending());
    }
    assert!(transaction.execute_unprepared("INSERT INTO t VALUES (-1, 1)").await.is_err());
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, CommitError::NotCommitted(_)), "{error:?}");
    assert_eq!(rows_in_t(&database).await, 0);
    run(&database, "INSERT INTO t VALUES (1, 1)").await.unwrap();
}

#[tokio::test]
async fn a_caller_that_stops_waiting_for_its_turn_does_not_block_the_queue() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let holder = database.begin_write("holder").await.unwrap();
    let mut gone = Box::pin(database.begin_write("gone"));
    assert!(poll!(&mut gone).is_pending());
    drop(gone);
    holder.commit().await.unwrap();
    database.begin_write("next").await.unwrap().commit().await.unwrap();
    assert_eq!(database.statements().transactions("gone"), 0);
}

#[tokio::test]
async fn turns_are_first_come_first_served() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let holder = database.begin_write("holder").await.unwrap();
    let order = Mutex::new(Vec::<i32>::new());
    let mut waiting = Vec::new();
    for turn in 0..8 {
        let (database, order) = (&database, &order);
        let mut wait = Box::pin(async move {
            let transaction = database.begin_write("turn").await.unwrap();
            order.lock().unwrap().push(turn);
            transaction.commit().await.unwrap();
        });
        assert!(poll!(&mut wait).is_pending());
        waiting.push(wait);
    }
    assert!(order.lock().unwrap().is_empty());
    holder.commit().await.unwrap();
    // Polled last to first, so that only the queue can put them in order.
    waiting.reverse();
    join_all(waiting).await;
    assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_is_refused_as_overload() {
    let directory = TempDir::new().unwrap();
    let limits = SqliteOptions { write_queue: 1, ..options(directory.path()) };
    let database = Database::open_sqlite(limits).await.unwrap();
    let holder = database.begin_write("holder").await.unwrap();
    let mut queued = Box::pin(database.begin_write("queued"));
    assert!(poll!(&mut queued).is_pending());
    let refused = database.begin_write("refused").await.unwrap_err();
    assert!(matches!(refused, DatabaseError::Overloaded { capacity: 1 }), "{refused:?}");
    assert_eq!(refused.class(), ErrorClass::Overloaded);
    assert!(!refused.is_transient());
    holder.rollback().await.unwrap();
    queued.await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn who_writes_for_many_waits_for_a_place_in_a_full_queue() {
    let directory = TempDir::new().unwrap();
    let limits = SqliteOptions { write_queue: 1, ..options(directory.path()) };
    let database = Database::open_sqlite(limits).await.unwrap();
    let holder = database.begin_write("holder").await.unwrap();
    let mut queued = Box::pin(database.begin_write("queued"));
    assert!(poll!(&mut queued).is_pending());
    let mut waiting = Box::pin(database.begin_write_waiting("waiting"));
    assert!(poll!(&mut waiting).is_pending());
    let refused = database.begin_write("refused").await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Overloaded);

    holder.rollback().await.unwrap();
    let queued = queued.await.unwrap();
    // The place that became free is the waiting one's, not that of somebody who comes later.
    let refused = database.begin_write("refused").await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Overloaded);
    queued.rollback().await.unwrap();
    waiting.await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn waiting_for_a_place_has_a_limit_too() {
    let directory = TempDir::new().unwrap();
    let wait = Duration::from_millis(1);
    let limits = SqliteOptions { write_queue: 1, write_wait_max: wait, ..options(directory.path()) };
    let database = Database::open_sqlite(limits).await.unwrap();
    let _holder = database.begin_write("holder").await.unwrap();
    let queued = database.begin_write("queued").await.unwrap_err();
    assert!(matches!(queued, DatabaseError::WriteWait { name: "queued" }), "{queued:?}");
    // The queued request still takes the only place.
    let waited = database.begin_write_waiting("waiting").await.unwrap_err();
    assert!(matches!(waited, DatabaseError::WriteWait { name: "waiting" }), "{waited:?}");
}

#[tokio::test]
async fn waiting_for_a_turn_has_a_limit_and_leaves_no_transaction_behind() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let limits = SqliteOptions { write_wait_max: Duration::from_millis(1), ..options(directory.path()) };
    let impatient = Database::open_sqlite(limits).await.unwrap();
    let holder = database.begin_write("holder").await.unwrap();
    let waited = impatient.begin_write("impatient").await.unwrap_err();
    assert!(matches!(waited, DatabaseError::WriteWait { name: "impatient" }), "{waited:?}");
    assert_eq!(waited.class(), ErrorClass::Overloaded);
    holder.rollback().await.unwrap();
    // The turn that nobody waits for any more is given back, or this would be BUSY.
    run(&database, "INSERT INTO t VALUES (1, 1)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_databases_on_one_file_wait_for_each_other() {
    let directory = TempDir::new().unwrap();
    let first = with_table(&directory).await;
    let second = open(&directory).await;
    let writes = (0..200).map(|turn| {
        let database = if turn % 2 == 0 { first.clone() } else { second.clone() };
        async move { run(&database, "INSERT INTO t (n) VALUES (1)").await }
    });
    for written in join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(rows_in_t(&first).await, 200);

    // With no patience the same situation is BUSY: the test above does wait for a lock.
    let hasty = SqliteOptions { busy_timeout: Duration::ZERO, ..options(directory.path()) };
    let hasty = Database::open_sqlite(hasty).await.unwrap();
    let holder = first.begin_write("holder").await.unwrap();
    let error = hasty.begin_write("hasty").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Busy);
    holder.commit().await.unwrap();
    hasty.begin_write("hasty").await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn close_finishes_the_queue_and_empties_the_log() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let log = directory.path().join("test.db-wal");
    assert!(log.metadata().unwrap().len() > 0);

    let holder = database.begin_write("holder").await.unwrap();
    let mut queued = Box::pin(async {
        let transaction = database.begin_write("queued").await?;
        transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await?;
        transaction.commit().await?;
        Ok::<_, DatabaseError>(())
    });
    assert!(poll!(&mut queued).is_pending());
    let mut closing = Box::pin(database.clone().close());
    assert!(poll!(&mut closing).is_pending());
    holder.commit().await.unwrap();
    let (written, ()) = futures::join!(queued, closing);
    written.unwrap();

    assert!(matches!(database.begin_write("late").await, Err(DatabaseError::Closed)));
    assert!(!log.exists(), "the last connection removes the log after a checkpoint");
    let reopened = open(&directory).await;
    assert_eq!(rows_in_t(&reopened).await, 1);
}

#[tokio::test]
async fn the_file_is_opened_as_promised() {
    let directory = TempDir::new().unwrap();
    let database = Database::open_sqlite(SqliteOptions::new(directory.path().join("d.db"))).await.unwrap();
    let writer = database.begin_write("pragmas").await.unwrap();
    assert_eq!(number(&writer, "PRAGMA synchronous").await, 2, "FULL");
    assert_eq!(number(&writer, "PRAGMA foreign_keys").await, 1);
    let mode = writer.query_one_raw(plain("PRAGMA journal_mode")).await.unwrap().unwrap();
    assert_eq!(mode.try_get_by_index::<String>(0).unwrap(), "wal");
    writer.execute_unprepared("CREATE TABLE t (id INTEGER PRIMARY KEY)").await.unwrap();
    writer.commit().await.unwrap();
    assert!(database.reader().execute_unprepared("INSERT INTO t VALUES (1)").await.is_err());
    assert_eq!(rows_in_t(&database).await, 0);

    let missing = SqliteOptions::new(directory.path().join("no-such-directory/d.db"));
    let error = Database::open_sqlite(missing).await.unwrap_err();
    assert!(error.to_string().contains("no-such-directory"), "{error}");
    assert_eq!(error.class(), ErrorClass::Connection);
}
