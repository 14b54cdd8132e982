//! Stock, points and coupons: the balances, and the append-only rows that explain them.

use commerce_api_application::ports::StorageError;
use commerce_api_domain::{IssuedCoupon, WorkingSet};
use commerce_database::{Column, Insert, RowValue, Update, WriteTransaction};

use super::write::{changed, insert, update};

pub(super) const PRODUCTS: Update = Update {
    table: "products",
    columns: &[Column::int("id"), Column::int("stock"), Column::int("event_seq")],
    keys: &["id"],
    set: &["stock", "event_seq"],
    expect: &[],
};

pub(super) const USERS: Update = Update {
    table: "users",
    columns: &[Column::int("id"), Column::int("balance")],
    keys: &["id"],
    set: &["balance"],
    expect: &[],
};

pub(super) const COUPONS: Update = Update {
    table: "coupons",
    columns: &[Column::int("id"), Column::int("issued_count")],
    keys: &["id"],
    set: &["issued_count"],
    expect: &[],
};

pub(super) const ISSUED: Insert = Insert {
    table: "issued_coupons",
    columns: &[
        Column::uuid("id"),
        Column::int("coupon_id"),
        Column::int("user_id"),
        Column::text("status"),
        Column::uuid("order_id"),
        Column::int("event_seq"),
        Column::int("issued_at"),
    ],
};

pub(super) const ISSUED_CHANGED: Update = Update {
    table: "issued_coupons",
    columns: &[
        Column::uuid("id"),
        Column::text("status"),
        Column::uuid("order_id"),
        Column::int("event_seq"),
        Column::text("status_before"),
    ],
    keys: &["id"],
    set: &["status", "order_id", "event_seq"],
    expect: &[("status", "status_before")],
};

pub(super) const LEDGER: Insert = Insert {
    table: "point_ledger",
    columns: &[
        Column::uuid("id"),
        Column::int("user_id"),
        Column::uuid("order_id"),
        Column::text("kind"),
        Column::int("amount"),
        Column::int("signed_amount"),
        Column::int("balance_after"),
        Column::int("at"),
    ],
};

pub(super) const MOVEMENTS: Insert = Insert {
    table: "stock_movements",
    columns: &[
        Column::uuid("id"),
        Column::int("product_id"),
        Column::text("kind"),
        Column::int("quantity"),
        Column::int("stock_after"),
        Column::text("reason"),
        Column::int("at"),
    ],
};

pub(super) async fn write(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut products = PRODUCTS.rows();
    for id in &set.dirty_products {
        let product = changed(&set.snapshot.products, id)?;
        products.push([id.0.into(), product.stock.into(), product.event_seq.into()]);
    }
    update(tx, &PRODUCTS, &products).await?;
    let mut users = USERS.rows();
    for id in &set.dirty_users {
        users.push([id.0.into(), changed(&set.snapshot.users, id)?.balance.won().into()]);
    }
    update(tx, &USERS, &users).await?;
    let mut coupons = COUPONS.rows();
    for id in &set.dirty_coupons {
        coupons.push([id.0.into(), changed(&set.snapshot.coupons, id)?.issued_count.into()]);
    }
    update(tx, &COUPONS, &coupons).await?;
    issued(tx, set).await?;
    ledger(tx, set).await?;
    movements(tx, set).await
}

async fn issued(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let order = |issued: &IssuedCoupon| RowValue::from(issued.order.map(|order| order.0));
    let mut created = ISSUED.rows();
    for id in &set.created_issued {
        let issued = changed(&set.snapshot.issued, id)?;
        created.push([
            id.0.into(),
            issued.coupon.0.into(),
            issued.user.0.into(),
            issued.status.name().into(),
            order(issued),
            issued.event_seq.into(),
            issued.issued_at.as_micros().into(),
        ]);
    }
    insert(tx, &ISSUED, &created).await?;
    let mut moved = ISSUED_CHANGED.rows();
    for (id, before) in &set.dirty_issued {
        let issued = changed(&set.snapshot.issued, id)?;
        moved.push([
            id.0.into(),
            issued.status.name().into(),
            order(issued),
            issued.event_seq.into(),
            before.name().into(),
        ]);
    }
    update(tx, &ISSUED_CHANGED, &moved).await
}

async fn ledger(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = set.ledger.iter().collect();
    sorted.sort_by_key(|entry| entry.id);
    let mut rows = LEDGER.rows();
    for entry in sorted {
        rows.push([
            entry.id.0.into(),
            entry.user.0.into(),
            entry.order.map(|order| order.0).into(),
            entry.kind.name().into(),
            entry.amount.won().into(),
            entry.signed_amount().into(),
            entry.balance_after.won().into(),
            entry.at.as_micros().into(),
        ]);
    }
    insert(tx, &LEDGER, &rows).await
}

async fn movements(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = set.movements.iter().collect();
    sorted.sort_by_key(|movement| movement.id);
    let mut rows = MOVEMENTS.rows();
    for movement in sorted {
        rows.push([
            movement.id.0.into(),
            movement.product.0.into(),
            movement.kind.name().into(),
            movement.quantity.into(),
            movement.stock_after.into(),
            movement.reason.as_deref().into(),
            movement.at.as_micros().into(),
        ]);
    }
    insert(tx, &MOVEMENTS, &rows).await
}
