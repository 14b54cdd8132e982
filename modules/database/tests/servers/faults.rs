//! A network that fails between us and the server.

use std::time::Duration;

use commerce_chaos::{Mode, Proxy};
use commerce_database::{CommitError, Database, DatabaseError, ErrorClass, MySqlOptions, Template};
use commerce_servers::{ServerKind, shared};
use sea_orm::ConnectionTrait as _;

use crate::{number, run, with_table};

async fn behind(proxy: &Proxy, database: &str) -> Database {
    let url = format!("mysql://root@{}/{database}", proxy.address());
    let mut options = MySqlOptions::new(&url).unwrap();
    (options.pool_min, options.pool_max) = (0, 4);
    options.statement_max = Duration::from_millis(500);
    options.connect_timeout = Duration::from_secs(2);
    Database::open_mysql(options).await.unwrap()
}

/// Waits until statements are answered again.
async fn answers_again(database: &Database) {
    for _ in 0..200 {
        if database.reader().execute_unprepared("DO 0").await.is_ok() {
            return;
        }
        // tidy: sleep between two looks at what comes back by itself
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the database does not come back");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_of_unknown_outcome_and_never_called_done_or_undone() {
    let (scratch, database) = with_table(ServerKind::MySql).await;
    let proxy = Proxy::start(shared(ServerKind::MySql).address()).unwrap();
    let far = behind(&proxy, scratch.options().database()).await;
    for (id, mode) in [(1_i64, Mode::HalfOpen), (2, Mode::Cut), (3, Mode::Reset)] {
        let tx = far.begin_write("lost").await.unwrap();
        let insert = Template::new("INSERT INTO t VALUES ({id}, 0)").number("id", id);
        tx.execute_unprepared(&insert.text()).await.unwrap();
        proxy.set(mode).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(error, CommitError::Unknown(_)), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass).await.unwrap();
        answers_again(&far).await;
    }
    assert_eq!(number(database.reader(), "SELECT COUNT(*) FROM t").await, 0, "none of them came through");
    for database in [far, database] {
        database.close().await;
    }
}

#[tokio::test]
async fn a_server_out_of_reach_is_told_as_such_and_used_again_when_it_is_back() {
    let (scratch, database) = with_table(ServerKind::MySql).await;
    let proxy = Proxy::start(shared(ServerKind::MySql).address()).unwrap();
    let far = behind(&proxy, scratch.options().database()).await;
    run(&far, "INSERT INTO t VALUES (1, 0)").await.unwrap();
    for mode in [Mode::Cut, Mode::HalfOpen, Mode::Reset] {
        proxy.set(mode).await.unwrap();
        let error = run(&far, "UPDATE t SET n = n + 1").await.unwrap_err();
        let class = error.class();
        assert!(matches!(class, ErrorClass::Connection | ErrorClass::Overloaded), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass).await.unwrap();
        answers_again(&far).await;
    }
    run(&far, "UPDATE t SET n = n + 1").await.unwrap();
    assert_eq!(number(database.reader(), "SELECT n FROM t").await, 1);
    for database in [far, database] {
        database.close().await;
    }
}

#[tokio::test]
async fn a_statement_that_is_never_answered_gives_its_connection_up() {
    let (scratch, database) = with_table(ServerKind::MySql).await;
    let mut options = scratch.options();
    options.statement_max = Duration::from_millis(200);
    let hasty = Database::open_mysql(options).await.unwrap();
    let tx = hasty.begin_write("slow").await.unwrap();
    let error = DatabaseError::from(tx.execute_unprepared("DO SLEEP(600)").await.unwrap_err());
    assert_eq!(error.class(), ErrorClass::Connection, "{error:?}");
    assert!(tx.commit().await.is_err());
    for database in [hasty, database] {
        database.close().await;
    }
}
