//! Orders, their lines and payments, and what the dispatcher has to visit.

use commerce_api_application::ports::{DeskChanges, PaymentTraces, SealedCard, StorageError};
use commerce_api_domain::{CardBrand, Order, PaymentId, Timestamp, WorkingSet};
use commerce_database::{Column, Delete, Insert, Merge, RowSet, RowValue, Update, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;

use super::write::{changed, insert, update};
use crate::sql::decode::duplicates;
use crate::sql::error::orm;

pub(super) const ORDERS: Insert = Insert {
    table: "orders",
    columns: &[
        Column::uuid("id"),
        Column::int("user_id"),
        Column::text("status"),
        Column::int("items_total"),
        Column::int("discount"),
        Column::int("total"),
        Column::int("points_part"),
        Column::int("card_part"),
        Column::uuid("issued_coupon_id"),
        Column::int("points_earned"),
        Column::int("event_seq"),
        Column::int("created_at"),
        Column::int("paid_at"),
        Column::int("expires_at"),
        Column::int("updated_at"),
    ],
};

pub(super) const ORDERS_CHANGED: Update = Update {
    table: "orders",
    columns: &[
        Column::uuid("id"),
        Column::text("status"),
        Column::int("points_earned"),
        Column::int("event_seq"),
        Column::int("paid_at"),
        Column::int("expires_at"),
        Column::int("updated_at"),
        Column::text("status_before"),
    ],
    keys: &["id"],
    set: &["status", "points_earned", "event_seq", "paid_at", "expires_at", "updated_at"],
    expect: &[("status", "status_before")],
};

pub(super) const LINES: Insert = Insert {
    table: "order_lines",
    columns: &[
        Column::uuid("order_id"),
        Column::int("product_id"),
        Column::text("name"),
        Column::int("unit_price"),
        Column::int("quantity"),
        Column::int("user_id"),
    ],
};

pub(super) const PAYMENTS: Insert = Insert {
    table: "payments",
    columns: &[
        Column::uuid("id"),
        Column::uuid("order_id"),
        Column::int("user_id"),
        Column::text("method"),
        Column::int("points_part"),
        Column::int("card_part"),
        Column::text("card_brand"),
        Column::text("card_last_four"),
        Column::text("status"),
        Column::text("gateway_key"),
        Column::text("reason"),
        Column::int("attempt"),
        Column::int("event_seq"),
        Column::int("created_at"),
        Column::int("updated_at"),
    ],
};

pub(super) const PAYMENTS_CHANGED: Update = Update {
    table: "payments",
    columns: &[
        Column::uuid("id"),
        Column::text("status"),
        Column::text("gateway_key"),
        Column::text("reason"),
        Column::int("attempt"),
        Column::int("event_seq"),
        Column::int("updated_at"),
        Column::text("duplicates"),
        Column::text("status_before"),
    ],
    keys: &["id"],
    set: &["status", "gateway_key", "reason", "attempt", "event_seq", "updated_at", "duplicates"],
    expect: &[("status", "status_before")],
};

pub(super) const EVENTS: Insert = Insert {
    table: "payment_events",
    columns: &[
        Column::uuid("payment_id"),
        Column::int("seq"),
        Column::text("event"),
        Column::int("attempt"),
        Column::text("gateway_key"),
        Column::text("reason"),
        Column::text("status"),
        Column::int("at"),
    ],
};

/// Makes payments due, whoever holds them: the dispatcher that does is not to put them off again.
pub(in crate::sql) const CHECKS: Upsert = Upsert {
    table: "payment_checks",
    columns: &[
        Column::uuid("payment_id"),
        Column::int("next_check_at"),
        Column::uuid("owner"),
        Column::int("until"),
        Column::int("tries"),
    ],
    key: &["payment_id"],
    update: &[
        ("next_check_at", Merge::Set),
        ("owner", Merge::Set),
        ("until", Merge::Set),
        ("tries", Merge::Set),
    ],
};

pub(super) const CHECKS_REMOVED: Delete =
    Delete { table: "payment_checks", keys: &[Column::uuid("payment_id")] };

pub(super) const VAULT: Insert =
    Insert { table: "card_vault", columns: &[Column::uuid("payment_id"), Column::bytes("sealed")] };

pub(super) const VAULT_CLEARED: Delete = Delete { table: "card_vault", keys: &[Column::uuid("payment_id")] };

pub(super) const REFUNDS: Insert = Insert {
    table: "refunds",
    columns: &[
        Column::uuid("payment_id"),
        Column::text("gateway_key"),
        Column::text("refund_key"),
        Column::int("amount"),
        Column::text("state"),
        Column::int("created_at"),
    ],
};

pub(super) const REFUNDS_SETTLED: Update = Update {
    table: "refunds",
    columns: &[
        Column::uuid("payment_id"),
        Column::text("gateway_key"),
        Column::text("state"),
        Column::int("settled_at"),
        Column::text("state_before"),
    ],
    keys: &["payment_id", "gateway_key"],
    set: &["state", "settled_at"],
    expect: &[("state", "state_before")],
};

/// State of a refund that became due.
pub(in crate::sql) const REFUND_PENDING: &str = "PENDING";
/// State of a refund that the gateway confirmed.
pub(in crate::sql) const REFUND_DONE: &str = "DONE";

pub(super) async fn write(tx: &WriteTransaction, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
    created(tx, changes.set).await?;
    moved(tx, changes.set).await?;
    events(tx, changes.set).await?;
    checks(tx, changes.traces, changes.now).await?;
    vault(tx, changes.cards, changes.traces).await?;
    refunds(tx, changes.traces, changes.now).await
}

fn time(at: Option<Timestamp>) -> RowValue<'static> {
    at.map(Timestamp::as_micros).into()
}

async fn created(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut sorted = Vec::with_capacity(set.created_orders.len());
    let (mut orders, mut lines) = (ORDERS.rows(), LINES.rows());
    for id in &set.created_orders {
        let order = changed(&set.snapshot.orders, id)?;
        orders.push([
            id.0.into(),
            order.user.0.into(),
            order.status.name().into(),
            order.items_total.won().into(),
            order.discount.won().into(),
            order.total.won().into(),
            order.payment.points_part.won().into(),
            order.payment.card_part.won().into(),
            order.issued_coupon.map(|issued| issued.0).into(),
            order.points_earned.won().into(),
            order.event_seq.into(),
            order.created_at.as_micros().into(),
            time(order.paid_at),
            time(order.expires_at),
            order.updated_at.as_micros().into(),
        ]);
        for line in order.lines.iter() {
            lines.push([
                id.0.into(),
                line.product.0.into(),
                (&*line.name).into(),
                line.unit_price.won().into(),
                line.quantity.get().into(),
                order.user.0.into(),
            ]);
        }
        sorted.push(order);
    }
    insert(tx, &ORDERS, &orders).await?;
    insert(tx, &LINES, &lines).await?;
    sorted.sort_by_key(|order| order.payment.id);
    payments(tx, &sorted).await
}

async fn payments(tx: &WriteTransaction, orders: &[&Order]) -> Result<(), StorageError> {
    let mut rows = PAYMENTS.rows();
    for payment in orders.iter().map(|order| &order.payment) {
        let card = payment.card.as_ref();
        rows.push([
            payment.id.0.into(),
            payment.order.0.into(),
            payment.user.0.into(),
            payment.method.name().into(),
            payment.points_part.won().into(),
            payment.card_part.won().into(),
            card.map(|(brand, _)| CardBrand::name(*brand)).into(),
            card.map(|(_, last_four)| &**last_four).into(),
            payment.status.name().into(),
            payment.gateway_key.as_deref().into(),
            payment.reason.as_deref().into(),
            payment.attempt.into(),
            payment.event_seq.into(),
            payment.created_at.as_micros().into(),
            payment.updated_at.as_micros().into(),
        ]);
    }
    insert(tx, &PAYMENTS, &rows).await
}

async fn moved(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut sorted = Vec::with_capacity(set.dirty_orders.len());
    let mut orders = ORDERS_CHANGED.rows();
    for (id, (before, payment_before)) in &set.dirty_orders {
        let order = changed(&set.snapshot.orders, id)?;
        orders.push([
            id.0.into(),
            order.status.name().into(),
            order.points_earned.won().into(),
            order.event_seq.into(),
            time(order.paid_at),
            time(order.expires_at),
            order.updated_at.as_micros().into(),
            before.name().into(),
        ]);
        sorted.push((&order.payment, payment_before));
    }
    update(tx, &ORDERS_CHANGED, &orders).await?;
    sorted.sort_by_key(|(payment, _)| payment.id);
    let mut payments = PAYMENTS_CHANGED.rows();
    for (payment, before) in sorted {
        payments.push([
            payment.id.0.into(),
            payment.status.name().into(),
            payment.gateway_key.as_deref().into(),
            payment.reason.as_deref().into(),
            payment.attempt.into(),
            payment.event_seq.into(),
            payment.updated_at.as_micros().into(),
            duplicates(payment)?.into(),
            before.name().into(),
        ]);
    }
    update(tx, &PAYMENTS_CHANGED, &payments).await
}

async fn events(tx: &WriteTransaction, set: &WorkingSet) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = set.payment_events.iter().collect();
    sorted.sort_by_key(|record| (record.payment, record.seq));
    let mut rows = EVENTS.rows();
    for record in sorted {
        rows.push([
            record.payment.0.into(),
            record.seq.into(),
            record.event.name().into(),
            record.attempt.into(),
            record.event.gateway_key().map(|key| &**key).into(),
            record.event.reason().map(|reason| &**reason).into(),
            record.status.name().into(),
            record.at.as_micros().into(),
        ]);
    }
    insert(tx, &EVENTS, &rows).await
}

async fn checks(tx: &WriteTransaction, traces: &PaymentTraces, now: Timestamp) -> Result<(), StorageError> {
    if !traces.checks_added.is_empty() {
        let rows = due_at(traces.checks_added.iter().copied(), now);
        // Some may have a check already, so there is no number of rows to expect.
        tx.execute_raw(CHECKS.statement(tx.dialect(), &rows)).await.map_err(orm)?;
    }
    // A check that is gone already is no reason to refuse what the gateway said; the audit tells of it.
    delete(tx, &CHECKS_REMOVED, &traces.checks_removed).await
}

/// Rows of [`CHECKS`] that make `payments` due at `at`.
pub(in crate::sql) fn due_at(payments: impl IntoIterator<Item = PaymentId>, at: Timestamp) -> RowSet {
    let mut payments: Vec<_> = payments.into_iter().collect();
    payments.sort_unstable();
    let mut rows = CHECKS.rows();
    for payment in payments {
        rows.push([payment.0.into(), at.as_micros().into(), RowValue::Null, RowValue::Null, 0_i64.into()]);
    }
    rows
}

/// Deletes the rows of `payments`, those that are there.
async fn delete(tx: &WriteTransaction, delete: &Delete, payments: &[PaymentId]) -> Result<(), StorageError> {
    if payments.is_empty() {
        return Ok(());
    }
    let mut sorted = payments.to_vec();
    sorted.sort_unstable();
    let mut rows = delete.rows();
    for payment in sorted {
        rows.push([payment.0.into()]);
    }
    tx.execute_raw(delete.statement(tx.dialect(), &rows)).await.map_err(orm)?;
    Ok(())
}

async fn vault(
    tx: &WriteTransaction,
    cards: &[(PaymentId, SealedCard)],
    traces: &PaymentTraces,
) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = cards.iter().collect();
    sorted.sort_by_key(|(payment, _)| *payment);
    let mut rows = VAULT.rows();
    for (payment, sealed) in sorted {
        rows.push([payment.0.into(), sealed.0.as_slice().into()]);
    }
    insert(tx, &VAULT, &rows).await?;
    delete(tx, &VAULT_CLEARED, &traces.vault_cleared).await
}

async fn refunds(tx: &WriteTransaction, traces: &PaymentTraces, now: Timestamp) -> Result<(), StorageError> {
    let mut added: Vec<_> = traces.refunds_added.iter().collect();
    added.sort_by_key(|refund| (refund.payment, &refund.gateway_key));
    let mut rows = REFUNDS.rows();
    for refund in added {
        rows.push([
            refund.payment.0.into(),
            (&*refund.gateway_key).into(),
            (&refund.refund_key).into(),
            refund.amount.won().into(),
            REFUND_PENDING.into(),
            refund.at.as_micros().into(),
        ]);
    }
    insert(tx, &REFUNDS, &rows).await?;
    let mut settled: Vec<_> = traces.refunds_settled.iter().collect();
    settled.sort_unstable();
    let mut rows = REFUNDS_SETTLED.rows();
    for (payment, gateway_key) in settled {
        rows.push([
            payment.0.into(),
            (&**gateway_key).into(),
            REFUND_DONE.into(),
            now.as_micros().into(),
            REFUND_PENDING.into(),
        ]);
    }
    update(tx, &REFUNDS_SETTLED, &rows).await
}
