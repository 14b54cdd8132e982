//! Row sets against `SQLite`: exact values, any number of rows, conditions, plans.

use sea_orm::{ConnectionTrait as _, Statement};
use tempfile::TempDir;
use uuid::Uuid;

use super::{number, open, rows_in_t, run, with_table};
use crate::{
    Column, ColumnKind, Database, DatabaseError, Delete, Dialect, ErrorClass, Insert, Lock, Merge, RowSet,
    RowValue, Select, Update, Upsert, WriteTransaction, execute_exact,
};

const SQLITE: Dialect = Dialect::Sqlite;
const COLUMNS: &[Column] = &[
    Column::int("id"),
    Column::text("t"),
    Column::uuid("u"),
    Column::bytes("x"),
    Column::blob("b"),
    Column::bool("f"),
];
const INSERT: Insert = Insert { table: "kinds", columns: COLUMNS };

async fn begin(database: &Database) -> WriteTransaction {
    database.begin_write("rows").await.unwrap()
}

async fn affected(transaction: &WriteTransaction, statement: Statement) -> u64 {
    transaction.execute_raw(statement).await.unwrap().rows_affected()
}

const BY_ID: Select =
    Select { table: "kinds", columns: &["id", "t", "u", "x", "b", "f"], keys: &[COLUMNS[0]], order: &[] };

#[tokio::test]
async fn values_survive_exactly() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    run(&database, "CREATE TABLE kinds (id INTEGER PRIMARY KEY, t TEXT, u BLOB, x BLOB, b BLOB, f INTEGER)")
        .await
        .unwrap();
    let numbers = [i64::MIN, i64::MIN + 1, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, i64::MAX - 1, i64::MAX];
    let texts = [
        "",
        "'",
        "\"",
        "\\",
        "a\\u0041",
        "', NULL); DROP TABLE kinds; --",
        "line\nbreak\ttab\r\u{1}\u{7f}",
        "한국어 🛒 e\u{301} \u{10ffff}",
        "[1,2]{\"a\":null} null 1.0",
    ];
    let id = |index: usize| Uuid::from_u128(u128::MAX / (index as u128 + 1));
    let mut rows = INSERT.rows();
    for (index, (number, text)) in numbers.iter().zip(texts).enumerate() {
        let bytes: Vec<u8> = (0..=255).collect();
        rows.push([(*number).into(), text.into(), id(index).into(), bytes.into(), text.into(), true.into()]);
    }
    let transaction = begin(&database).await;
    execute_exact(&transaction, INSERT.statement(SQLITE, &rows), 9).await.unwrap();
    transaction.commit().await.unwrap();

    let reader = database.reader();
    let found =
        reader.query_all_raw(BY_ID.by_ints(SQLITE, Lock::Update, numbers.into_iter().rev())).await.unwrap();
    assert_eq!(found.len(), 9);
    for (index, row) in found.iter().enumerate() {
        assert_eq!(row.try_get::<i64>("", "id").unwrap(), numbers[index], "ordered by key");
        assert_eq!(row.try_get::<String>("", "t").unwrap(), texts[index]);
        assert_eq!(row.try_get::<Uuid>("", "u").unwrap(), id(index));
        assert_eq!(row.try_get::<Vec<u8>>("", "x").unwrap(), (0..=255).collect::<Vec<u8>>());
        assert_eq!(row.try_get::<Vec<u8>>("", "b").unwrap(), texts[index].as_bytes());
        assert!(row.try_get::<bool>("", "f").unwrap());
    }
    let types = "SELECT count(*) FROM kinds WHERE typeof(id) || typeof(t) || typeof(u) || typeof(x) || typeof(b) \
                 || typeof(f) = 'integertextblobblobblobinteger'";
    assert_eq!(number(reader, types).await, 9);
    assert_eq!(number(reader, "SELECT count(*) FROM kinds WHERE length(u) = 16").await, 9);
}

#[tokio::test]
async fn null_is_null_in_every_kind() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    run(&database, "CREATE TABLE kinds (id, t, u, x, b, f)").await.unwrap();
    let mut rows = INSERT.rows();
    rows.push(std::iter::repeat_n(RowValue::Null, 6));
    let transaction = begin(&database).await;
    execute_exact(&transaction, INSERT.statement(SQLITE, &rows), 1).await.unwrap();
    let all = "SELECT count(*) FROM kinds WHERE coalesce(id, t, u, x, b, f) IS NULL";
    assert_eq!(number(&transaction, all).await, 1);
}

#[tokio::test]
async fn none_one_and_five_thousand_rows_of_sixteen_columns() {
    const WIDE: [Column; 16] = {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
        let kinds = [ColumnKind::Int, ColumnKind::Text, ColumnKind::Uuid, ColumnKind::Blob];
        let mut columns = [Column::int("a"); 16];
        let mut index = 0;
        while index < 16 {
            columns[index] = Column { name: names[index], kind: kinds[index % 4] };
            index += 1;
        }
        columns
    };
    let insert = Insert { table: "wide", columns: &WIDE };
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    run(&database, "CREATE TABLE wide (a INTEGER PRIMARY KEY, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)")
        .await
        .unwrap();
    database.statements().reset();
    let mut next = 0_u32;
    for count in [0_u32, 1, 5_000] {
        let mut rows = insert.rows();
        for _ in 0..count {
            next += 1;
            rows.push((0..16_u32).map(|index| match index % 4 {
                0 => RowValue::from(next + index),
                1 | 3 => RowValue::from(format!("text {next}")),
                _ => RowValue::from(Uuid::from_u128(u128::from(next))),
            }));
        }
        assert_eq!((rows.len(), rows.is_empty()), (count as usize, count == 0));
        let transaction = begin(&database).await;
        execute_exact(&transaction, insert.statement(SQLITE, &rows), u64::from(count)).await.unwrap();
        transaction.commit().await.unwrap();
    }
    assert_eq!(database.statements().count("rows"), 3, "one statement whatever the number of rows");
    let exact = "SELECT count(*) FROM wide WHERE e = a + 4 AND b = 'text ' || a AND length(c) = 16 \
                 AND typeof(p) = 'blob'";
    assert_eq!(number(database.reader(), exact).await, 5_001);
}

const T: &[Column] = &[Column::int("id"), Column::int("n")];

fn pairs(pairs: &[(i64, i64)]) -> RowSet {
    let mut rows = RowSet::new(T);
    for (id, n) in pairs {
        rows.push([(*id).into(), (*n).into()]);
    }
    rows
}

async fn content(transaction: &WriteTransaction) -> Vec<(i64, i64)> {
    let rows = transaction.query_all_raw(super::plain("SELECT id, n FROM t ORDER BY id")).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

#[tokio::test]
async fn upserts_set_add_or_keep() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let transaction = begin(&database).await;
    let insert = Insert { table: "t", columns: T };
    affected(&transaction, insert.statement(SQLITE, &pairs(&[(1, 10), (2, 20)]))).await;
    let upsert = |update| Upsert { table: "t", columns: T, key: &["id"], update };

    let add = upsert(&[("n", Merge::Add)]).statement(SQLITE, &pairs(&[(2, 5), (3, 30)]));
    assert_eq!(affected(&transaction, add).await, 2);
    assert_eq!(content(&transaction).await, [(1, 10), (2, 25), (3, 30)]);
    let set = upsert(&[("n", Merge::Set)]).statement(SQLITE, &pairs(&[(1, 7), (4, 40)]));
    assert_eq!(affected(&transaction, set).await, 2);
    let keep = upsert(&[]).statement(SQLITE, &pairs(&[(1, 99), (5, 50)]));
    assert_eq!(affected(&transaction, keep).await, 1);
    assert_eq!(content(&transaction).await, [(1, 7), (2, 25), (3, 30), (4, 40), (5, 50)]);
    let error =
        transaction.execute_raw(insert.statement(SQLITE, &pairs(&[(6, 1), (1, 1)]))).await.unwrap_err();
    assert_eq!(DatabaseError::from(error).class(), ErrorClass::UniqueViolation);
    assert_eq!(content(&transaction).await.len(), 5, "a failed statement leaves none of its rows");
}

const MOVE: Update = Update {
    table: "o",
    columns: &[Column::uuid("id"), Column::text("status"), Column::int("total"), Column::text("expected")],
    keys: &["id"],
    set: &["status", "total"],
    expect: &[("status", "expected")],
};

const ORDERS: Insert = Insert { table: "o", columns: &[Column::uuid("id"), Column::text("status")] };

async fn with_orders(directory: &TempDir) -> Database {
    let database = open(directory).await;
    run(&database, "CREATE TABLE o (id BLOB PRIMARY KEY, status TEXT, total INTEGER)").await.unwrap();
    let mut rows = ORDERS.rows();
    rows.push([Uuid::from_u128(1).into(), "PENDING".into()]);
    rows.push([Uuid::from_u128(2).into(), RowValue::Null]);
    rows.push([Uuid::from_u128(3).into(), "PAID".into()]);
    let transaction = begin(&database).await;
    affected(&transaction, ORDERS.statement(SQLITE, &rows)).await;
    transaction.commit().await.unwrap();
    database
}

#[tokio::test]
async fn updates_change_only_what_is_as_expected() {
    let directory = TempDir::new().unwrap();
    let database = with_orders(&directory).await;
    let transaction = begin(&database).await;
    let moved = |expected: [Option<&'static str>; 3]| {
        let mut rows = MOVE.rows();
        for (id, expected) in (1..).zip(expected) {
            rows.push([Uuid::from_u128(id).into(), "DONE".into(), i64::MAX.into(), expected.into()]);
        }
        MOVE.statement(SQLITE, &rows)
    };
    let error =
        execute_exact(&transaction, moved([Some("PENDING"), None, Some("PENDING")]), 3).await.unwrap_err();
    match &error {
        DatabaseError::Conflict { table, expected: 3, affected: 2 } if table == "o" => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(error.class(), ErrorClass::Conflict);
    transaction.rollback().await.unwrap();

    let transaction = begin(&database).await;
    execute_exact(&transaction, moved([Some("PENDING"), None, Some("PAID")]), 3).await.unwrap();
    let done = "SELECT count(*) FROM o WHERE status = 'DONE' AND total = 9223372036854775807";
    assert_eq!(number(&transaction, done).await, 3);
    execute_exact(&transaction, MOVE.statement(SQLITE, &MOVE.rows()), 0).await.unwrap();
}

const KEY: &[Column] = &[Column::uuid("id")];

#[tokio::test]
async fn every_statement_searches_by_its_key() {
    let directory = TempDir::new().unwrap();
    let database = with_orders(&directory).await;
    let select = Select { table: "o", columns: &["status"], keys: KEY, order: &[] };
    let delete = Delete { table: "o", keys: KEY };
    for statement in [
        MOVE.statement(SQLITE, &MOVE.rows()),
        select.by_uuids(SQLITE, Lock::None, []),
        delete.statement(SQLITE, &delete.rows()),
    ] {
        let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement };
        let rows = database.reader().query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        assert!(plan.iter().any(|line| line.contains("SEARCH o USING")), "{plan:?}");
        assert!(!plan.iter().any(|line| line.contains("SCAN o")), "{plan:?}");
    }
}

const K: &[Column] = &[Column::int("a"), Column::text("b"), Column::uuid("c"), Column::int("n")];

#[tokio::test]
async fn selects_and_deletes_take_composite_keys() {
    let directory = TempDir::new().unwrap();
    let database = open(&directory).await;
    run(&database, "CREATE TABLE k (a INTEGER, b TEXT, c BLOB, n INTEGER, PRIMARY KEY (a, b, c))")
        .await
        .unwrap();
    let insert = Insert { table: "k", columns: K };
    let mut rows = insert.rows();
    for n in 0..8_u32 {
        let c = Uuid::from_u128(u128::from(n % 2));
        rows.push([(n / 4).into(), if n % 4 < 2 { "x" } else { "y" }.into(), c.into(), n.into()]);
    }
    let transaction = begin(&database).await;
    execute_exact(&transaction, insert.statement(SQLITE, &rows), 8).await.unwrap();

    let key = |a: i64, b: &'static str, c: u128| [a.into(), b.into(), Uuid::from_u128(c).into()];
    let select = Select { table: "k", columns: &["n"], keys: K.split_at(3).0, order: &["n"] };
    let wanted = [key(1, "y", 1), key(0, "x", 0), key(1, "y", 1), key(7, "x", 0), key(0, "' OR 1=1 --", 0)];
    let found = transaction.query_all_raw(select.by_rows(SQLITE, Lock::Update, wanted)).await.unwrap();
    let found: Vec<i64> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(found, [0, 7], "once each, ordered, unknown keys find nothing");

    let delete = Delete { table: "k", keys: K.split_at(3).0 };
    let mut keys = delete.rows();
    keys.push(key(1, "y", 1));
    keys.push(key(9, "y", 1));
    assert_eq!(affected(&transaction, delete.statement(SQLITE, &keys)).await, 1);
    assert_eq!(number(&transaction, "SELECT count(*) FROM k").await, 7);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn rows_of_another_statement_are_a_bug() {
    let directory = TempDir::new().unwrap();
    let database = with_table(&directory).await;
    let mixed = std::panic::catch_unwind(|| INSERT.statement(SQLITE, &pairs(&[(1, 1)])));
    assert!(mixed.is_err());
    assert_eq!(rows_in_t(&database).await, 0);
}
