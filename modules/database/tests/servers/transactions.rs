//! Locks, retries and snapshots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use commerce_database::{Database, DatabaseError, ErrorClass};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use tokio::sync::Barrier;

use crate::{KINDS, number, run, with_table};

async fn add(tx: &commerce_database::WriteTransaction, id: i64) -> Result<(), DbErr> {
    let sql = "UPDATE t SET n = n + 1 WHERE id = ?";
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, [id.into()]))
        .await
        .map(drop)
}

#[tokio::test]
async fn the_victim_of_a_deadlock_runs_again_and_both_are_done() {
    for kind in KINDS {
        let (_scratch, database) = with_table(kind).await;
        run(&database, "INSERT INTO t VALUES (1, 0), (2, 0)").await.unwrap();
        let (both_hold, runs) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
        let cross = |first: i64, second: i64| {
            let (both_hold, runs) = (both_hold.clone(), runs.clone());
            database.write::<_, DatabaseError, _>("cross", move |tx| {
                let (both_hold, runs) = (both_hold.clone(), runs.clone());
                Box::pin(async move {
                    let first_run = runs.fetch_add(1, Ordering::SeqCst) < 2;
                    add(tx, first).await?;
                    if first_run {
                        both_hold.wait().await;
                    }
                    Ok(add(tx, second).await?)
                })
            })
        };
        let (one, other) = tokio::join!(cross(1, 2), cross(2, 1));
        one.unwrap();
        other.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 3, "{kind}: one of them ran twice");
        assert_eq!(number(database.reader(), "SELECT COUNT(*) FROM t WHERE n = 2").await, 2);
        database.close().await;
    }
}

#[tokio::test]
async fn a_lock_that_is_not_granted_in_time_has_its_class_and_nothing_is_kept() {
    for kind in KINDS {
        let (scratch, database) = with_table(kind).await;
        run(&database, "INSERT INTO t VALUES (1, 0)").await.unwrap();
        let holder = database.begin_write("holder").await.unwrap();
        add(&holder, 1).await.unwrap();
        let mut hasty = scratch.options();
        hasty.lock_wait = Duration::from_secs(1);
        let hasty = Database::open_mysql(hasty).await.unwrap();
        let waiter = hasty.begin_write("waiter").await.unwrap();
        waiter.execute_unprepared("INSERT INTO t VALUES (9, 9)").await.unwrap();
        let error = DatabaseError::from(add(&waiter, 1).await.unwrap_err());
        assert_eq!(error.class(), ErrorClass::LockTimeout, "{kind}: {error:?}");
        assert!(waiter.commit().await.is_err(), "{kind}: what was cut short is not committed");
        holder.commit().await.unwrap();
        assert_eq!(number(database.reader(), "SELECT n FROM t").await, 1, "{kind}");
        for database in [hasty, database] {
            database.close().await;
        }
    }
}

#[tokio::test]
async fn what_a_row_is_refused_for_has_its_class_and_the_transaction_goes_on() {
    for kind in KINDS {
        let (_scratch, database) = with_table(kind).await;
        let tx = database.begin_write("classes").await.unwrap();
        tx.execute_unprepared("INSERT INTO t VALUES (1, 1)").await.unwrap();
        for (sql, class) in [
            ("INSERT INTO t VALUES (1, 2)", ErrorClass::UniqueViolation),
            ("UPDATE t SET n = -1", ErrorClass::CheckViolation),
            ("UPDATE t SET n = 'word'", ErrorClass::Data),
            ("UPDATE t SET n = n + 9223372036854775807", ErrorClass::Data),
            ("INSERT INTO t VALUES (3, NULL)", ErrorClass::Data),
            ("SELEKT 1", ErrorClass::Data),
        ] {
            let error = DatabaseError::from(tx.execute_unprepared(sql).await.unwrap_err());
            assert_eq!(error.class(), class, "{kind} {sql}: {error:?}");
        }
        tx.commit().await.unwrap();
        assert_eq!(number(database.reader(), "SELECT n FROM t").await, 1);
        database.close().await;
    }
}

#[tokio::test]
async fn a_snapshot_stays_as_it_was_and_a_transaction_that_is_dropped_leaves_nothing() {
    for kind in KINDS {
        let (_scratch, database) = with_table(kind).await;
        let snapshot = database.begin_read("snapshot").await.unwrap();
        run(&database, "INSERT INTO t VALUES (1, 0)").await.unwrap();
        assert_eq!(
            number(&snapshot, "SELECT COUNT(*) FROM t").await,
            0,
            "{kind}: it began before its first read"
        );
        assert_eq!(number(database.reader(), "SELECT COUNT(*) FROM t").await, 1);
        drop(snapshot);
        let dropped = database.begin_write("dropped").await.unwrap();
        add(&dropped, 1).await.unwrap();
        drop(dropped);
        // Its row lock is gone, soon after its connection.
        run(&database, "UPDATE t SET n = n + 10").await.unwrap();
        assert_eq!(number(database.reader(), "SELECT n FROM t").await, 10, "{kind}");
        database.close().await;
        let closed = database_is_closed(kind).await;
        assert!(closed);
    }
}

async fn database_is_closed(kind: commerce_servers::ServerKind) -> bool {
    let (_scratch, database) = with_table(kind).await;
    let other = database.clone();
    database.close().await;
    matches!(other.begin_write("late").await, Err(DatabaseError::Closed))
}
