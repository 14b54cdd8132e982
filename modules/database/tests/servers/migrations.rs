//! Migrations where DDL commits by itself.

use commerce_database::{Database, DatabaseError, Dialect, Step, Template, ddl, migrate};
use commerce_databases::Scratch;
use sea_orm::ConnectionTrait as _;

use crate::{KINDS, number, run};

fn table(dialect: Dialect) -> String {
    ddl::create(dialect, ddl::table("things").col(ddl::int("id").primary_key().take()))
}

fn column(dialect: Dialect) -> String {
    ddl::add_column(dialect, "things", ddl::count("n").default(0).take())
}

fn wrong(_: Dialect) -> String {
    "CREATE TABEL nothing (id BIGINT)".to_owned()
}

const STEPS: &[Step] = &[
    Step { id: 1, name: "things", statement: table },
    Step { id: 2, name: "things_n", statement: column },
    Step {
        id: 3,
        name: "idx_things_n",
        statement: |d| ddl::index(d, "idx_things_n", "things", &[("n", sea_orm::sea_query::IndexOrder::Asc)]),
    },
];

#[tokio::test]
async fn steps_are_applied_once_also_by_two_nodes_at_once() {
    for kind in KINDS {
        let scratch = Scratch::empty(kind).await;
        let (one, other) = (scratch.open().await, scratch.open().await);
        let both = tokio::join!(migrate(&one, STEPS, 7), migrate(&other, STEPS, 7));
        let (one_did, other_did) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(one_did.applied.len() + other_did.applied.len(), STEPS.len(), "{kind}");
        assert_eq!(migrate(&one, STEPS, 8).await.unwrap().already, STEPS.len());
        assert_eq!(number(one.reader(), "SELECT CAST(SUM(done) AS SIGNED) FROM schema_migrations").await, 3);
        close([one, other]).await;
    }
}

#[tokio::test]
async fn a_step_that_was_cut_off_before_or_after_its_statement_is_finished_by_the_next_start() {
    for kind in KINDS {
        for cut in 1..=STEPS.len() {
            for statement_was_done in [false, true] {
                let scratch = Scratch::empty(kind).await;
                let database = scratch.open().await;
                migrate(&database, &STEPS[..cut], 7).await.unwrap();
                // As a process that died there leaves it.
                let undone = Template::new("UPDATE schema_migrations SET done = 0 WHERE id = {cut}");
                let undone = undone.number("cut", i64::try_from(cut).unwrap()).text();
                database.reader().execute_unprepared(&undone).await.unwrap();
                if !statement_was_done {
                    let undo = [
                        "DROP TABLE things",
                        "ALTER TABLE things DROP COLUMN n",
                        "DROP INDEX idx_things_n ON things",
                    ];
                    run(&database, undo[cut - 1]).await.unwrap();
                }
                let report = migrate(&database, STEPS, 8).await.unwrap();
                assert_eq!(report.already, cut - 1, "{kind} {cut} {statement_was_done}");
                assert_eq!(number(database.reader(), "SELECT COUNT(*) FROM things WHERE n >= 0").await, 0);
                close([database]).await;
            }
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_is_not_recorded_as_done_and_is_tried_again() {
    for kind in KINDS {
        let scratch = Scratch::empty(kind).await;
        let database = scratch.open().await;
        let broken = [STEPS[0], Step { id: 2, name: "nothing", statement: wrong }];
        for _ in 0..2 {
            let error = migrate(&database, &broken, 7).await.unwrap_err();
            assert!(matches!(error, DatabaseError::Driver { .. }), "{kind}: {error:?}");
        }
        assert_eq!(
            number(database.reader(), "SELECT CAST(SUM(done) AS SIGNED) FROM schema_migrations").await,
            1
        );
        close([database]).await;
    }
}

async fn close<const N: usize>(databases: [Database; N]) {
    for database in databases {
        database.close().await;
    }
}
