//! The schema: applied from empty, applied again, and what its constraints refuse.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use commerce_api_domain::Timestamp;
use commerce_api_infrastructure::sql::schema::{MIGRATIONS, migrate};
use commerce_database::{Database, DatabaseError, Dialect, ErrorClass, SqliteOptions, Template};
use sea_orm::{ConnectionTrait, QueryResult, Value};

struct Empty {
    db: Database,
    _dir: tempfile::TempDir,
}

async fn empty() -> Empty {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(dir.path().join("oltp.db")) };
    Empty { db: Database::open_sqlite(options).await.unwrap(), _dir: dir }
}

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

async fn rows(db: &Database, sql: &'static str) -> Vec<QueryResult> {
    db.reader().query_all_raw(Template::new(sql).statement(db.dialect(), [])).await.unwrap()
}

/// What a pragma of `SQLite` tells of the table or index `name`.
async fn told(db: &Database, sql: &'static str, name: &str) -> Vec<QueryResult> {
    db.reader().query_all_raw(Template::new(sql).statement(db.dialect(), [name.into()])).await.unwrap()
}

const COLUMNS: &str = "SELECT * FROM pragma_table_info(?)";

fn text(row: &QueryResult, column: &str) -> String {
    row.try_get::<Option<String>>("", column).unwrap().unwrap_or_default()
}

fn int(row: &QueryResult, column: &str) -> i64 {
    row.try_get("", column).unwrap()
}

async fn tables(db: &Database) -> Vec<(String, String)> {
    let sql =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    rows(db, sql).await.iter().map(|row| (text(row, "name"), text(row, "sql"))).collect()
}

/// The text of every `CHECK (...)` of a table.
fn checks(sql: &str) -> Vec<String> {
    sql.split("CHECK (")
        .skip(1)
        .map(|rest| {
            let mut depth = 1;
            let end = rest.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            rest[..end.unwrap()].to_owned()
        })
        .collect()
}

/// Tables, columns, checks and indexes in a form that does not depend on how the DDL is spelt.
async fn describe(db: &Database) -> String {
    let mut out = String::new();
    for (table, sql) in tables(db).await {
        writeln!(out, "{table}").unwrap();
        for column in told(db, COLUMNS, &table).await {
            let null = if int(&column, "notnull") == 1 { "" } else { " null" };
            let default = text(&column, "dflt_value");
            let default = if default.is_empty() { default } else { format!(" default {default}") };
            let key = match int(&column, "pk") {
                0 => String::new(),
                position => format!(" key {position}"),
            };
            writeln!(out, "  {} {}{null}{default}{key}", text(&column, "name"), text(&column, "type"))
                .unwrap();
        }
        if sql.contains("AUTOINCREMENT") {
            writeln!(out, "  autoincrement").unwrap();
        }
        for check in checks(&sql) {
            writeln!(out, "  check {check}").unwrap();
        }
        let mut indexes = Vec::new();
        for index in told(db, "SELECT * FROM pragma_index_list(?)", &table).await {
            let name = text(&index, "name");
            let unique = if int(&index, "unique") == 1 { "unique" } else { "index" };
            let mut columns = Vec::new();
            for column in told(db, "SELECT * FROM pragma_index_xinfo(?)", &name).await {
                if int(&column, "key") == 1 {
                    let order = if int(&column, "desc") == 1 { " desc" } else { "" };
                    columns.push(format!("{}{order}", text(&column, "name")));
                }
            }
            indexes.push(format!("  {unique} {name} ({})", columns.join(", ")));
        }
        indexes.sort();
        for index in indexes {
            writeln!(out, "{index}").unwrap();
        }
    }
    out
}

#[tokio::test]
async fn the_schema_is_the_same_after_one_and_after_two_runs() {
    let Empty { db, _dir } = empty().await;
    let first = migrate(&db, NOW).await.unwrap();
    assert_eq!((first.applied.len(), first.already), (MIGRATIONS.len(), 0));
    let once = describe(&db).await;
    let second = migrate(&db, NOW).await.unwrap();
    assert_eq!((second.applied.len(), second.already), (0, MIGRATIONS.len()));
    assert_eq!(describe(&db).await, once);
    insta::assert_snapshot!("sqlite", once);
    db.close().await;
}

#[test]
fn the_same_definition_gives_the_ddl_of_mysql() {
    let ddl: String = MIGRATIONS.iter().map(|step| (step.statement)(Dialect::MySql) + ";\n").collect();
    insta::assert_snapshot!("mysql", ddl);
}

#[test]
fn names_and_numbers_of_steps_are_unique() {
    let mut names: Vec<_> = MIGRATIONS.iter().map(|step| step.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MIGRATIONS.len());
    assert!(MIGRATIONS.windows(2).all(|pair| pair[0].id + 1 == pair[1].id));
}

/// A row that every constraint of `table` accepts, as column and value.
async fn plain_row(db: &Database, table: &str) -> Vec<(String, Value)> {
    let mut row = Vec::new();
    for column in told(db, COLUMNS, table).await {
        let name = text(&column, "name");
        let value = match text(&column, "type").as_str() {
            _ if name == "quantity" => 1_i64.into(),
            kind if kind.starts_with("blob(") => {
                let length: usize = kind[5..kind.len() - 1].parse().unwrap();
                vec![0_u8; length].into()
            }
            kind if kind.contains("blob") => vec![0_u8].into(),
            kind if kind.contains("text") || kind.contains("char") => "a".into(),
            _ => 0_i64.into(),
        };
        row.push((name, value));
    }
    row
}

/// Inserts the row and takes it back.
async fn try_insert(
    db: &Database,
    table: &str,
    row: &[(String, Value)],
    change: Option<(&str, i64)>,
) -> Result<(), DatabaseError> {
    let values = row.iter().map(|(name, value)| match change {
        Some((changed, value)) if changed == name => value.into(),
        _ => value.clone(),
    });
    let insert = Template::new("INSERT INTO {table} ({columns}) VALUES ({values})")
        .identifier("table", table)
        .identifiers("columns", row.iter().map(|(name, _)| name.as_str()))
        .fragments("values", ", ", row.iter().map(|_| Template::new("?")));
    let tx = db.begin_write("test").await.unwrap();
    let result = tx.execute_raw(insert.statement(db.dialect(), values)).await;
    tx.rollback().await.unwrap();
    Ok(result.map(drop)?)
}

#[tokio::test]
async fn every_check_refuses_what_it_is_there_for() {
    let Empty { db, _dir } = empty().await;
    migrate(&db, NOW).await.unwrap();
    let mut refused = 0;
    for (table, sql) in tables(&db).await {
        let row = plain_row(&db, &table).await;
        try_insert(&db, &table, &row, None).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
        for check in checks(&sql) {
            let Some((column, "0")) = check.split_once(" >= ").or_else(|| check.split_once(" > ")) else {
                continue;
            };
            let column = column.trim_matches('"');
            let wrong = if column == "quantity" { 0 } else { -1 };
            let error = try_insert(&db, &table, &row, Some((column, wrong))).await.expect_err(column);
            assert_eq!(error.class(), ErrorClass::CheckViolation, "{table}.{column}");
            refused += 1;
        }
    }
    assert!(refused >= 35, "only {refused} checks were found");
    db.close().await;
}

#[tokio::test]
async fn checks_between_columns_refuse() {
    let Empty { db, _dir } = empty().await;
    migrate(&db, NOW).await.unwrap();
    let order = plain_row(&db, "orders").await;
    for column in ["total", "points_part", "card_part", "items_total", "discount"] {
        let error = try_insert(&db, "orders", &order, Some((column, 1))).await.expect_err(column);
        assert_eq!(error.class(), ErrorClass::CheckViolation, "orders.{column}");
    }
    let coupon = plain_row(&db, "coupons").await;
    let error = try_insert(&db, "coupons", &coupon, Some(("issued_count", 1))).await.expect_err("limit is 0");
    assert_eq!(error.class(), ErrorClass::CheckViolation);
    let unlimited: Vec<_> = coupon
        .into_iter()
        .map(|(name, value)| if name == "issue_limit" { (name, Value::BigInt(None)) } else { (name, value) })
        .collect();
    try_insert(&db, "coupons", &unlimited, Some(("issued_count", 1))).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn lines_of_before_there_were_purchase_limits_get_their_customer() {
    let Empty { db, _dir } = empty().await;
    let new = MIGRATIONS.iter().position(|step| step.name == "products_purchase_limit").unwrap();
    commerce_database::migrate(&db, &MIGRATIONS[..new], NOW.as_micros()).await.unwrap();
    let order = "INSERT INTO orders (id, user_id, status, items_total, discount, total, points_part, card_part, \
                 points_earned, event_seq, created_at, updated_at) VALUES (?, 7, 'PAID', 2, 0, 2, 2, 0, 0, 0, 0, 0)";
    let line = "INSERT INTO order_lines (order_id, product_id, name, unit_price, quantity) VALUES (?, 3, 'tea', 1, 2)";
    let tx = db.begin_write("test").await.unwrap();
    for sql in [order, line] {
        let statement = Template::new(sql).statement(db.dialect(), [vec![1_u8; 16].into()]);
        tx.execute_raw(statement).await.unwrap();
    }
    tx.commit().await.unwrap();
    migrate(&db, NOW).await.unwrap();
    let lines = rows(&db, "SELECT user_id, quantity FROM order_lines").await;
    assert_eq!(
        lines.iter().map(|row| (int(row, "user_id"), int(row, "quantity"))).collect::<Vec<_>>(),
        [(7, 2)]
    );
    db.close().await;
}
