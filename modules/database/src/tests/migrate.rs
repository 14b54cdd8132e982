//! The migrations runner.

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

use super::{number, open, plain, run};
use crate::{DatabaseError, Dialect, MigrationError, Step, migrate};

const FIRST: Step = Step { id: 1, name: "create a", statement: |_| "CREATE TABLE a (id INTEGER)".to_owned() };
const SECOND: Step = Step {
    id: 2,
    name: "create b",
    statement: |dialect| match dialect {
        Dialect::Sqlite => "CREATE TABLE b (id INTEGER)".to_owned(),
        Dialect::MySql => "CREATE TABLE b (id BIGINT)".to_owned(),
    },
};
const THIRD: Step = Step { id: 5, name: "index b", statement: |_| "CREATE INDEX b_id ON b (id)".to_owned() };

fn refused(result: Result<crate::MigrationReport, DatabaseError>) -> MigrationError {
    match result {
        Err(DatabaseError::Migration(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_step_is_applied_once() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    let first = migrate(&database, &[FIRST, SECOND], 1_000).await.unwrap();
    assert_eq!((first.applied, first.already), (vec!["create a", "create b"], 0));
    let again = migrate(&database, &[FIRST, SECOND], 2_000).await.unwrap();
    assert_eq!((again.applied, again.already), (vec![], 2));
    let more = migrate(&database, &[FIRST, SECOND, THIRD], 3_000).await.unwrap();
    assert_eq!((more.applied, more.already), (vec!["index b"], 2));

    let rows = database
        .reader()
        .query_all_raw(plain("SELECT id, name, applied_at_us FROM schema_migrations ORDER BY id"))
        .await
        .unwrap();
    let rows: Vec<(i64, String, i64)> = rows
        .iter()
        .map(|row| {
            (
                row.try_get_by_index(0).unwrap(),
                row.try_get_by_index(1).unwrap(),
                row.try_get_by_index(2).unwrap(),
            )
        })
        .collect();
    let expected = [(1, "create a", 1_000), (2, "create b", 1_000), (5, "index b", 3_000)];
    assert_eq!(rows, expected.map(|(id, name, at)| (id, name.to_owned(), at)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_may_migrate_at_once() {
    for _ in 0..5 {
        let directory = TempDir::new().unwrap();
        // Opened at once as well: both create the file and switch it to WAL.
        let (one, two) = futures::join!(open(&directory), open(&directory));
        let steps = [FIRST, SECOND, THIRD];
        let (one_done, two_done) =
            futures::join!(tokio::spawn(async move { migrate(&one, &steps, 1).await.unwrap() }), async {
                migrate(&two, &steps, 1).await.unwrap()
            });
        let one_done = one_done.unwrap();
        let mut applied = [one_done.applied.clone(), two_done.applied.clone()].concat();
        applied.sort_unstable();
        assert_eq!(applied, ["create a", "create b", "index b"]);
        assert_eq!(one_done.already + two_done.already, 3);
        assert_eq!(number(two.reader(), "SELECT count(*) FROM schema_migrations").await, 3);
    }
}

#[tokio::test]
async fn an_edited_step_is_refused() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    migrate(&database, &[FIRST], 1).await.unwrap();
    let edited = Step { statement: |_| "CREATE TABLE a (id BIGINT)".to_owned(), ..FIRST };
    let error = refused(migrate(&database, &[edited, SECOND], 2).await);
    assert!(matches!(error, MigrationError::Changed { id: 1, name: "create a", .. }), "{error:?}");
    assert_eq!(
        number(database.reader(), "SELECT count(*) FROM schema_migrations").await,
        1,
        "nothing was applied"
    );
}

#[tokio::test]
async fn a_newer_database_a_late_step_and_a_muddled_list_are_refused() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    migrate(&database, &[FIRST, THIRD_AFTER_FIRST], 1).await.unwrap();
    let error = refused(migrate(&database, &[FIRST], 2).await);
    assert_eq!(error, MigrationError::Newer { id: 5, name: "index a".to_owned() });
    let error = refused(migrate(&database, &[FIRST, SECOND, THIRD_AFTER_FIRST], 2).await);
    assert_eq!(error, MigrationError::Skipped { id: 2, name: "create b", newest: 5 });
    let error = refused(migrate(&database, &[SECOND, FIRST], 2).await);
    assert_eq!(error, MigrationError::Disordered { id: 1 });
}

const THIRD_AFTER_FIRST: Step =
    Step { id: 5, name: "index a", statement: |_| "CREATE INDEX a_id ON a (id)".to_owned() };

#[tokio::test]
async fn a_step_that_fails_leaves_no_trace_and_may_be_repaired() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    assert!(migrate(&database, &[FIRST, THIRD], 1).await.is_err(), "table b does not exist");
    assert_eq!(number(database.reader(), "SELECT max(id) FROM schema_migrations").await, 1);
    run(&database, "CREATE TABLE b (id INTEGER)").await.unwrap();
    let report = migrate(&database, &[FIRST, THIRD], 2).await.unwrap();
    assert_eq!((report.applied, report.already), (vec!["index b"], 1));
}
