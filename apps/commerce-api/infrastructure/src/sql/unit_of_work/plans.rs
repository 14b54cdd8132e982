//! No statement of a batch may read a table from end to end: it would hold the locks for as long.

use std::collections::BTreeSet;

use commerce_api_domain::{ProductId, Timestamp, UserId};
use commerce_database::{Database, Delete, Dialect, Lock, RowValue, Select, SqliteOptions, Update};
use sea_orm::{ConnectionTrait, Statement};

use super::{LINES, balances, likes, lock, orders};
use crate::sql::migrate;

const SQLITE: Dialect = Dialect::Sqlite;

fn select(select: &Select) -> Statement {
    select.by_rows(SQLITE, Lock::Update, Vec::<Vec<RowValue<'_>>>::new())
}

fn update(update: &Update) -> Statement {
    update.statement(SQLITE, &update.rows())
}

fn delete(delete: &Delete) -> Statement {
    delete.statement(SQLITE, &delete.rows())
}

async fn plan(db: &Database, statement: &Statement) -> Vec<String> {
    let explain = Statement { sql: format!("EXPLAIN QUERY PLAN {}", statement.sql), ..statement.clone() };
    let steps = db.reader().query_all_raw(explain).await.unwrap();
    steps.iter().map(|row| row.try_get("", "detail").unwrap()).collect()
}

#[tokio::test]
async fn every_row_is_found_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(dir.path().join("plans.db")) };
    let db = Database::open_sqlite(options).await.unwrap();
    migrate(&db, Timestamp::default()).await.unwrap();
    let users = BTreeSet::from([UserId(1)]);
    let mut statements: Vec<Statement> = lock::SELECTS.iter().map(select).collect();
    statements.extend([super::ORDERS, LINES, likes::LIKES, likes::PRODUCTS].iter().map(select));
    statements.push(lock::purchases(SQLITE, [(UserId(1), ProductId(1))].into_iter()));
    statements.push(lock::charges(SQLITE, &users, Timestamp::default()));
    statements.extend([balances::PRODUCTS, balances::USERS, balances::COUPONS].iter().map(update));
    statements.extend([balances::ISSUED_CHANGED, orders::ORDERS_CHANGED].iter().map(update));
    statements.extend([orders::PAYMENTS_CHANGED, orders::REFUNDS_SETTLED].iter().map(update));
    statements.push(delete(&orders::CHECKS_REMOVED));
    for statement in statements {
        let plan = plan(&db, &statement).await;
        let scans: Vec<_> =
            plan.iter().filter(|step| step.starts_with("SCAN") && !step.starts_with("SCAN r ")).collect();
        assert!(scans.is_empty(), "{}\n{plan:#?}", statement.sql);
        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{}\n{plan:#?}", statement.sql);
    }
    // Of a ledger only the last day is read.
    let charges = plan(&db, &lock::charges(SQLITE, &users, Timestamp::default())).await.join("\n");
    assert!(charges.contains("INDEX idx_point_ledger_user (user_id=? AND id>?)"), "{charges}");
    // Of a customer's orders only those with the product.
    let pair = [(UserId(1), ProductId(1))].into_iter();
    let purchases = plan(&db, &lock::purchases(SQLITE, pair)).await.join("\n");
    assert!(
        purchases.contains("INDEX idx_order_lines_product_user (product_id=? AND user_id=?)"),
        "{purchases}"
    );
    db.close().await;
}
