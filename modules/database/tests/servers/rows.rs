//! Statements of many rows: the same rows come back on every engine.

use commerce_database::{
    Column, Database, DatabaseError, Delete, Dialect, ErrorClass, Insert, Lock, Merge, RowValue, Select,
    SqliteOptions, Step, Update, Upsert, ddl, execute_exact, migrate,
};
use commerce_databases::Scratch;
use sea_orm::{ConnectionTrait as _, QueryResult, Statement};
use uuid::Uuid;

use crate::{KINDS, with_table};

fn kinds(dialect: Dialect) -> String {
    let mut table = ddl::table("kinds");
    table
        .col(ddl::int("id"))
        .col(ddl::text("code", 40))
        .col(ddl::optional(ddl::int("n")))
        .col(ddl::optional(ddl::text("word", 200)))
        .col(ddl::optional(ddl::uuid("u")))
        .col(ddl::optional(ddl::long_bytes(dialect, "b")))
        .col(ddl::optional(ddl::flag("f")))
        .primary_key(&mut ddl::primary(&["id", "code"]));
    ddl::create(dialect, &mut table)
}

const STEPS: &[Step] = &[Step { id: 1, name: "kinds", statement: kinds }];

const COLUMNS: &[Column] = &[
    Column::int("id"),
    Column::text("code"),
    Column::int("n"),
    Column::text("word"),
    Column::uuid("u"),
    Column::bytes("b"),
    Column::bool("f"),
];

const INSERT: Insert = Insert { table: "kinds", columns: COLUMNS };

const KEY: &[Column] = &[Column::int("id"), Column::text("code")];

type Row = (i64, String, Option<i64>, Option<String>, Option<Uuid>, Option<Vec<u8>>, Option<bool>);

fn samples() -> Vec<Row> {
    let all: Vec<u8> = (0..=255).collect();
    vec![
        (
            1,
            "a".into(),
            Some(i64::MIN),
            Some("quote ' \" \\ % _".into()),
            Some(Uuid::nil()),
            Some(all),
            Some(true),
        ),
        (
            1,
            "A".into(),
            Some(i64::MAX),
            Some("한글 🦀 \u{7f}\n\t".into()),
            Some(Uuid::max()),
            Some(vec![]),
            Some(false),
        ),
        (2, "é".into(), None, None, None, None, None),
        (2, "e".into(), Some(0), Some(String::new()), None, Some(vec![0]), None),
    ]
}

async fn insert(database: &Database, rows: Vec<Row>) -> Result<(), DatabaseError> {
    database
        .write("insert", move |tx| {
            let mut set = INSERT.rows();
            for (id, code, n, word, u, b, f) in rows.clone() {
                let value = |b: Option<Vec<u8>>| b.map_or(RowValue::Null, RowValue::from);
                set.push([id.into(), code.into(), n.into(), word.into(), u.into(), value(b), f.into()]);
            }
            Box::pin(async move { Ok(tx.execute_raw(INSERT.statement(tx.dialect(), &set)).await.map(drop)?) })
        })
        .await
}

fn row(row: &QueryResult) -> Row {
    let text: Option<String> = row.try_get_by_index(3).unwrap();
    (
        row.try_get_by_index(0).unwrap(),
        row.try_get_by_index(1).unwrap(),
        row.try_get_by_index(2).unwrap(),
        text,
        row.try_get_by_index(4).unwrap(),
        row.try_get_by_index(5).unwrap(),
        row.try_get_by_index(6).unwrap(),
    )
}

async fn all(database: &Database) -> Vec<Row> {
    let sql = "SELECT id, code, n, word, u, b, f FROM kinds ORDER BY id, code";
    let statement = Statement::from_string(database.dialect().backend(), sql);
    database.reader().query_all_raw(statement).await.unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_was_and_in_the_same_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = Database::open_sqlite(SqliteOptions::new(directory.path().join("rows.db"))).await.unwrap();
    migrate(&file, STEPS, 0).await.unwrap();
    insert(&file, samples()).await.unwrap();
    let expected = all(&file).await;
    assert_eq!(expected.len(), samples().len());
    for kind in KINDS {
        let scratch = Scratch::empty(kind).await;
        let database = scratch.open().await;
        migrate(&database, STEPS, 0).await.unwrap();
        insert(&database, samples()).await.unwrap();
        assert_eq!(all(&database).await, expected, "{kind}");
        let twice = insert(&database, samples()).await.unwrap_err();
        assert_eq!(twice.class(), ErrorClass::UniqueViolation, "{kind}");

        let keys =
            [(1, "A"), (1, "A"), (2, "e"), (2, "E")].map(|(id, code)| [RowValue::Int(id), code.into()]);
        let found = BY_KEY.by_rows(Dialect::MySql, Lock::None, keys);
        let found = database.reader().query_all_raw(found).await.unwrap();
        let found: Vec<(i64, String)> = found
            .iter()
            .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
            .collect();
        assert_eq!(found, [(1, "A".to_owned()), (2, "e".to_owned())], "{kind}");
        database.close().await;
    }
    file.close().await;
}

const N: &[Column] = &[Column::int("id"), Column::int("n")];

const EXPECTING: &[Column] = &[Column::int("id"), Column::int("n"), Column::int("was")];

const ID: &[Column] = &[Column::int("id")];

const BY_KEY: Select = Select { table: "kinds", columns: &["id", "code"], keys: KEY, order: &[] };

#[tokio::test]
async fn rows_are_added_changed_and_deleted_where_they_are_as_expected() {
    for kind in KINDS {
        let (_scratch, database) = with_table(kind).await;
        let upsert = Upsert { table: "t", columns: N, key: &["id"], update: &[("n", Merge::Add)] };
        let once = Upsert { update: &[], ..upsert };
        let numbers = |pairs: &[(i64, i64)]| {
            let mut rows = upsert.rows();
            for (id, n) in pairs {
                rows.push([(*id).into(), (*n).into()]);
            }
            rows
        };
        let tx = database.begin_write("rows").await.unwrap();
        for rows in [numbers(&[(1, 1), (2, 2)]), numbers(&[(2, 20), (3, 30)])] {
            tx.execute_raw(upsert.statement(Dialect::MySql, &rows)).await.unwrap();
        }
        tx.execute_raw(once.statement(Dialect::MySql, &numbers(&[(1, 99), (4, 4)]))).await.unwrap();
        let update =
            Update { table: "t", columns: EXPECTING, keys: &["id"], set: &["n"], expect: &[("n", "was")] };
        let mut rows = update.rows();
        rows.push([1_i64, 5, 1].map(Into::into));
        // The same value again counts as changed, as on a file.
        rows.push([2_i64, 22, 22].map(Into::into));
        execute_exact(&tx, update.statement(Dialect::MySql, &rows), 2).await.unwrap();
        let mut rows = update.rows();
        rows.push([3_i64, 0, 31].map(Into::into));
        let refused = execute_exact(&tx, update.statement(Dialect::MySql, &rows), 1).await.unwrap_err();
        assert!(matches!(refused, DatabaseError::Conflict { affected: 0, .. }), "{kind}: {refused:?}");
        let delete = Delete { table: "t", keys: ID };
        let mut rows = delete.rows();
        rows.push([3_i64.into()]);
        rows.push([77_i64.into()]);
        execute_exact(&tx, delete.statement(Dialect::MySql, &rows), 1).await.unwrap();
        tx.commit().await.unwrap();
        let left = Statement::from_string(Dialect::MySql.backend(), "SELECT id, n FROM t ORDER BY id");
        let left = database.reader().query_all_raw(left).await.unwrap();
        let left: Vec<(i64, i64)> = left
            .iter()
            .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
            .collect();
        assert_eq!(left, [(1, 5), (2, 22), (4, 4)], "{kind}");
        database.close().await;
    }
}
