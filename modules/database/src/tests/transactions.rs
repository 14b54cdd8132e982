//! Transactions and the runner: retries, panics, broken transactions, snapshots, counts, classes.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::FutureExt as _;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{execute, number, open, plain, rows_in_t, run, with_table};
use crate::{Classify, CommitError, Database, DatabaseError, ErrorClass, READER_NAME};

#[derive(Debug)]
struct Failure(ErrorClass);

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self(error.class())
    }
}

/// Inserts a row, then fails with `class` in the first `failures` attempts. Returns the result and the attempts.
async fn failing(database: &Database, class: ErrorClass, failures: usize) -> (Result<(), Failure>, usize) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let result = database
        .write("failing", move |transaction| {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                execute(transaction, "INSERT INTO t (n) VALUES (1)").await?;
                if attempt < failures { Err(Failure(class)) } else { Ok(()) }
            })
        })
        .await;
    (result, attempts.load(Ordering::SeqCst))
}

#[tokio::test]
async fn transient_errors_run_the_whole_transaction_again() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    for (done, class) in
        [ErrorClass::Busy, ErrorClass::Deadlock, ErrorClass::LockTimeout].into_iter().enumerate()
    {
        let (result, attempts) = failing(&database, class, 2).await;
        result.unwrap();
        assert_eq!(attempts, 3);
        assert_eq!(
            rows_in_t(&database).await,
            i64::try_from(done).unwrap() + 1,
            "failed attempts leave no row"
        );
    }
}

#[tokio::test]
async fn retries_end_after_three() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let (result, attempts) = failing(&database, ErrorClass::Busy, 99).await;
    assert_eq!(result.unwrap_err().0, ErrorClass::Busy);
    assert_eq!(attempts, 4);
    assert_eq!(rows_in_t(&database).await, 0);
}

#[tokio::test]
async fn other_errors_are_not_retried() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    for class in [
        ErrorClass::Data,
        ErrorClass::UniqueViolation,
        ErrorClass::CheckViolation,
        ErrorClass::Conflict,
        ErrorClass::Connection,
        ErrorClass::DiskFull,
        ErrorClass::Overloaded,
        ErrorClass::OutcomeUnknown,
        ErrorClass::Other,
    ] {
        let (result, attempts) = failing(&database, class, 1).await;
        assert_eq!((result.unwrap_err().0, attempts), (class, 1));
    }
    assert_eq!(rows_in_t(&database).await, 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cancel_its_transaction() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, open_gate) = (Arc::clone(&entered), Arc::clone(&gate));
    let mut write = Box::pin(database.write("left", move |transaction| {
        let (inside, open_gate) = (Arc::clone(&inside), Arc::clone(&open_gate));
        Box::pin(async move {
            inside.notify_one();
            open_gate.notified().await;
            execute(transaction, "INSERT INTO t VALUES (1, 1)").await
        })
    }));
    tokio::select! {
        _ = &mut write => panic!("the gate is shut"),
        () = entered.notified() => {}
    }
    drop(write);
    gate.notify_one();
    // The next turn comes after the transaction has ended, whichever way.
    let next = database.begin_write("next").await.unwrap();
    assert_eq!(number(&next, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_panic_rolls_back_and_reaches_the_caller() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let write = database.write("panics", |transaction| {
        Box::pin(async move {
            execute(transaction, "INSERT INTO t VALUES (1, 1)").await?;
            assert_eq!(transaction.name(), "another", "on purpose");
            Ok::<_, DatabaseError>(())
        })
    });
    let panic = AssertUnwindSafe(write).catch_unwind().await.unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("on purpose"));
    run(&database, "INSERT INTO t VALUES (2, 2)").await.unwrap();
    assert_eq!(rows_in_t(&database).await, 1);
}

#[tokio::test]
async fn after_a_full_disk_nothing_else_of_the_transaction_runs() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "CREATE TABLE big (data BLOB)").await.unwrap();
    let transaction = database.begin_write("full").await.unwrap();
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    transaction.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
    let error: DatabaseError = transaction
        .execute_unprepared("INSERT INTO big VALUES (zeroblob(1000000))")
        .await
        .unwrap_err()
        .into();
    assert_eq!(error.class(), ErrorClass::DiskFull);
    // SQLite may have rolled back by itself: this one would then be committed alone.
    let refused: DatabaseError =
        transaction.execute_unprepared("INSERT INTO t VALUES (2, 2)").await.unwrap_err().into();
    assert_eq!(refused.class(), ErrorClass::DiskFull);
    match transaction.commit().await.unwrap_err() {
        CommitError::NotCommitted(error) => assert_eq!(error.class(), ErrorClass::DiskFull),
        unknown @ CommitError::Unknown(_) => panic!("{unknown:?}"),
    }
    assert_eq!(rows_in_t(&database).await, 0);

    let next = database.begin_write("next").await.unwrap();
    next.execute_unprepared("PRAGMA max_page_count = 1000000").await.unwrap();
    next.execute_unprepared("INSERT INTO t VALUES (3, 3)").await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(rows_in_t(&database).await, 1);
}

#[tokio::test]
async fn a_commit_that_fails_keeps_nothing() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "CREATE TABLE child (t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)")
        .await
        .unwrap();
    let transaction = database.begin_write("orphan").await.unwrap();
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    transaction.execute_unprepared("INSERT INTO child VALUES (99)").await.unwrap();
    match transaction.commit().await.unwrap_err() {
        CommitError::NotCommitted(error) => assert_eq!(error.class(), ErrorClass::Data),
        unknown @ CommitError::Unknown(_) => panic!("{unknown:?}"),
    }
    run(&database, "INSERT INTO t VALUES (2, 2)").await.unwrap();
    assert_eq!(rows_in_t(&database).await, 1);
}

#[tokio::test]
async fn violations_have_their_class_and_leave_the_transaction_usable() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    run(&database, "CREATE TABLE u (name TEXT NOT NULL UNIQUE, t INTEGER REFERENCES t (id)) ").await.unwrap();
    let transaction = database.begin_write("violations").await.unwrap();
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    transaction.execute_unprepared("INSERT INTO u VALUES ('a', 1)").await.unwrap();
    for (sql, class) in [
        ("INSERT INTO t VALUES (1, 2)", ErrorClass::UniqueViolation),
        ("INSERT INTO u VALUES ('a', 1)", ErrorClass::UniqueViolation),
        ("INSERT INTO t VALUES (2, -1)", ErrorClass::CheckViolation),
        ("UPDATE t SET n = -1", ErrorClass::CheckViolation),
        ("INSERT INTO u VALUES (NULL, 1)", ErrorClass::Data),
        ("INSERT INTO u VALUES ('b', 7)", ErrorClass::Data),
        ("INSERT INTO t VALUES (3, json_extract('{', '$'))", ErrorClass::Data),
        ("INSERT INTO nowhere VALUES (1)", ErrorClass::Data),
    ] {
        let error: DatabaseError = transaction.execute_raw(plain(sql)).await.unwrap_err().into();
        assert_eq!(error.class(), class, "{sql}");
    }
    transaction.commit().await.unwrap();
    assert_eq!(rows_in_t(&database).await, 1);
}

#[tokio::test]
async fn a_read_transaction_sees_one_instant() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let before = database.begin_read("before").await.unwrap();
    run(&database, "INSERT INTO t VALUES (1, 1)").await.unwrap();
    assert_eq!(number(&before, "SELECT count(*) FROM t").await, 0);
    let after = database.begin_read("after").await.unwrap();
    assert_eq!(number(&after, "SELECT count(*) FROM t").await, 1);
    assert!(after.execute_unprepared("DELETE FROM t").await.is_err(), "a reader cannot write");
}

#[tokio::test]
async fn statements_are_counted_by_name() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let log = database.statements();
    log.reset();
    let transaction = database.begin_write("desk").await.unwrap();
    transaction.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
    transaction.execute_raw(plain("INSERT INTO t VALUES (2, 2)")).await.unwrap();
    number(&transaction, "SELECT count(*) FROM t").await;
    transaction.query_all_raw(plain("SELECT * FROM t")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((log.count("desk"), log.transactions("desk")), (4, 1));

    rows_in_t(&database).await;
    number(&database.reader_named("list"), "SELECT 1").await;
    number(&database.begin_read("audit").await.unwrap(), "SELECT 1").await;
    assert_eq!((log.count(READER_NAME), log.count("list"), log.count("audit")), (1, 1, 1));
    assert_eq!(log.total(), 7);
    log.reset();
    assert_eq!((log.count("desk"), log.total()), (0, 0));
}

/// Remembers which metrics were registered, by name and labels.
#[derive(Default)]
struct Registered(Mutex<Vec<String>>);

impl Registered {
    fn add(&self, key: &Key) {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let line = format!("{} {}", key.name(), labels.join(","));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Recorder for Registered {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.add(key);
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.add(key);
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.add(key);
        Histogram::noop()
    }
}

#[tokio::test]
async fn waits_holds_and_retries_are_metrics() {
    let registered = Registered::default();
    let _local = metrics::set_default_local_recorder(&registered);
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    failing(&database, ErrorClass::Deadlock, 1).await.0.unwrap();
    // The hold is recorded once the connection is back, which the next turn waits for.
    database.begin_write("next").await.unwrap().rollback().await.unwrap();
    let lines = registered.0.lock().unwrap().clone();
    for line in [
        "database_write_wait_seconds name=failing",
        "database_write_hold_seconds name=failing",
        "database_transaction_retries_total name=failing,cause=deadlock",
    ] {
        assert!(lines.iter().any(|seen| seen == line), "{line} is not in {lines:?}");
    }
}

#[tokio::test]
async fn entities_of_the_orm_run_on_a_transaction() {
    use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query};
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    run(&database, "CREATE TABLE v (id BLOB PRIMARY KEY, name TEXT)").await.unwrap();
    let id = uuid::Uuid::from_u128(7);
    let transaction = database.begin_write("builder").await.unwrap();
    let mut insert = Query::insert();
    insert
        .into_table(Alias::new("v"))
        .columns([Alias::new("id"), Alias::new("name")])
        .values_panic([id.into(), "it's".into()]);
    assert_eq!(transaction.execute(&insert).await.unwrap().rows_affected(), 1);
    let mut select = Query::select();
    select
        .columns([Alias::new("id"), Alias::new("name")])
        .from(Alias::new("v"))
        .and_where(Expr::col(Alias::new("id")).eq(id));
    let row = transaction.query_one(&select).await.unwrap().unwrap();
    assert_eq!(row.try_get::<uuid::Uuid>("", "id").unwrap(), id);
    assert_eq!(row.try_get::<String>("", "name").unwrap(), "it's");
}
