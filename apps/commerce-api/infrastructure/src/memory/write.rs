//! What a unit of work stages, with the constraints that the SQL schema holds.

use std::sync::Arc;

use commerce_api_application::ports::{
    DeskChanges, IdempotencyScope, InboxEntry, NewLikes, OutboxRecord, PaymentTraces, Verdict,
};
use commerce_api_domain::{
    Coupon, IssuedCoupon, IssuedCouponStatus, LedgerEntry, LedgerKind, Money, Order, OrderStatus, Payment,
    PaymentId, PaymentStatus, Product, Snapshot, Timestamp, User, WorkingSet,
};

use super::state::{KeptAnswer, KeptCallback, Refund, Tables};
use super::storage::MemoryError;

type Staged = Result<(), MemoryError>;

fn unique(is_new: bool, key: &'static str) -> Staged {
    if is_new { Ok(()) } else { Err(MemoryError::Taken(key)) }
}

fn check(is_kept: bool, name: &'static str) -> Staged {
    if is_kept { Ok(()) } else { Err(MemoryError::Check(name)) }
}

fn moved(row: &'static str) -> MemoryError {
    MemoryError::Moved(row)
}

/// Stages what a batch of the order desk changed.
pub(super) fn desk(tables: &mut Tables, changes: &DeskChanges<'_>) -> Staged {
    let set = changes.set;
    balances(tables, set)?;
    coupons(tables, set)?;
    orders(tables, set)?;
    for entry in &set.ledger {
        ledger_entry(tables, entry)?;
    }
    for record in &set.payment_events {
        let key = (record.payment, record.seq);
        unique(tables.payment_events.insert(key, record.clone()), "payment event")?;
    }
    for movement in &set.movements {
        check(movement.stock_after >= 0, "stock_after >= 0")?;
        unique(tables.movements.insert(movement.id, movement.clone()), "stock movement")?;
    }
    traces(tables, changes.traces, changes.now)?;
    for (payment, sealed) in changes.cards {
        unique(tables.vault.insert(*payment, sealed.clone()), "card number")?;
    }
    for (entry, verdict) in changes.callbacks {
        callback(tables, entry, *verdict);
    }
    outbox(tables, changes.outbox);
    for (scope, stored) in changes.answers {
        let kept = KeptAnswer { stored: stored.clone(), expires_at: changes.answers_expire_at };
        unique(tables.answers.insert(IdempotencyScope::clone(scope), kept), "idempotency key")?;
    }
    for entry in changes.audit {
        unique(tables.audit_log.insert(entry.id, entry.clone()), "audit entry")?;
    }
    Ok(())
}

/// Stages what a batch of likes changed.
pub(super) fn likes(tables: &mut Tables, changes: &NewLikes<'_>) {
    for like in changes.likes {
        tables.likes.put((like.product, like.user), like.clone());
    }
    outbox(tables, changes.outbox);
}

fn balances(tables: &mut Tables, set: &WorkingSet) -> Staged {
    let Snapshot { products, users, .. } = &set.snapshot;
    for id in &set.dirty_products {
        let (row, new) = tables.products.get(id).zip(products.get(id)).ok_or(moved("product"))?;
        check(new.stock >= 0, "stock >= 0")?;
        let row = Product { stock: new.stock, event_seq: new.event_seq, ..row.clone() };
        tables.products.put(*id, row);
    }
    for id in &set.dirty_users {
        let (row, new) = tables.users.get(id).zip(users.get(id)).ok_or(moved("account"))?;
        let row = User { balance: new.balance, ..row.clone() };
        tables.users.put(*id, row);
    }
    Ok(())
}

fn coupons(tables: &mut Tables, set: &WorkingSet) -> Staged {
    let Snapshot { coupons, issued, .. } = &set.snapshot;
    for id in &set.dirty_coupons {
        let (row, new) = tables.coupons.get(id).zip(coupons.get(id)).ok_or(moved("coupon"))?;
        check(new.issued_count >= 0, "issued_count >= 0")?;
        let limit = row.policy.issue_limit;
        check(limit.is_none_or(|limit| new.issued_count <= limit), "issued_count <= issue_limit")?;
        let row = Coupon { issued_count: new.issued_count, ..row.clone() };
        tables.coupons.put(*id, row);
    }
    for (id, expected) in &set.dirty_issued {
        let new = issued.get(id).ok_or(moved("issued coupon"))?;
        issued_coupon(tables, new, *expected)?;
    }
    for id in &set.created_issued {
        let new = issued.get(id).ok_or(moved("issued coupon"))?;
        unique(tables.issued.insert(*id, new.clone()), "issued coupon")?;
        unique(tables.issued_by_pair.insert((new.user, new.coupon), *id), "coupon of the customer")?;
    }
    Ok(())
}

fn issued_coupon(tables: &mut Tables, new: &IssuedCoupon, expected: IssuedCouponStatus) -> Staged {
    let row =
        tables.issued.get(&new.id).filter(|row| row.status == expected).ok_or(moved("issued coupon"))?;
    let row = IssuedCoupon { status: new.status, order: new.order, event_seq: new.event_seq, ..row.clone() };
    tables.issued.put(new.id, row);
    Ok(())
}

fn orders(tables: &mut Tables, set: &WorkingSet) -> Staged {
    for id in &set.created_orders {
        let order = set.snapshot.orders.get(id).ok_or(moved("order"))?;
        check(parts_add_up(order), "total = points_part + card_part")?;
        check(
            order.items_total.checked_sub(order.discount) == Ok(order.total),
            "total = items_total - discount",
        )?;
        unique(tables.orders.insert(*id, order.clone()), "order")?;
        unique(tables.orders_by_payment.insert(order.payment.id, *id), "payment")?;
        gateway_key(tables, order.payment.id, None, order.payment.gateway_key.as_ref())?;
    }
    for (id, expected) in &set.dirty_orders {
        let new = set.snapshot.orders.get(id).ok_or(moved("order"))?;
        dirty_order(tables, new, *expected)?;
    }
    Ok(())
}

fn parts_add_up(order: &Order) -> bool {
    let Payment { points_part, card_part, .. } = &order.payment;
    points_part.checked_add(*card_part) == Ok(order.total)
}

fn dirty_order(tables: &mut Tables, new: &Order, expected: (OrderStatus, PaymentStatus)) -> Staged {
    let row =
        tables.orders.get(&new.id).filter(|row| row.status == expected.0).ok_or(moved("order"))?.clone();
    if row.payment.status != expected.1 {
        return Err(moved("payment"));
    }
    gateway_key(tables, row.payment.id, row.payment.gateway_key.as_ref(), new.payment.gateway_key.as_ref())?;
    let payment = Payment {
        status: new.payment.status,
        gateway_key: new.payment.gateway_key.clone(),
        duplicates: new.payment.duplicates.clone(),
        reason: new.payment.reason.clone(),
        attempt: new.payment.attempt,
        event_seq: new.payment.event_seq,
        updated_at: new.payment.updated_at,
        ..row.payment
    };
    let order = Order {
        status: new.status,
        points_earned: new.points_earned,
        event_seq: new.event_seq,
        paid_at: new.paid_at,
        expires_at: new.expires_at,
        updated_at: new.updated_at,
        payment,
        ..row
    };
    tables.orders.put(new.id, order);
    Ok(())
}

fn gateway_key(
    tables: &mut Tables,
    payment: PaymentId,
    old: Option<&Arc<str>>,
    new: Option<&Arc<str>>,
) -> Staged {
    if old == new {
        return Ok(());
    }
    if let Some(old) = old {
        tables.payments_by_gateway_key.remove(old.clone());
    }
    new.map_or(Ok(()), |new| {
        unique(tables.payments_by_gateway_key.insert(new.clone(), payment), "gateway key")
    })
}

fn ledger_entry(tables: &mut Tables, entry: &LedgerEntry) -> Staged {
    unique(tables.ledger.insert(entry.id, entry.clone()), "ledger row")?;
    if let Some(order) = entry.order {
        unique(tables.ledger_by_order.insert((order, entry.kind), entry.id), "ledger row of the order")?;
    }
    if entry.kind == LedgerKind::Charge {
        tables.charges.put((entry.user, entry.at, entry.id), entry.amount);
    }
    Ok(())
}

fn traces(tables: &mut Tables, traces: &PaymentTraces, now: Timestamp) -> Staged {
    for payment in &traces.checks_added {
        let check = tables.checks.get(payment).copied().unwrap_or_default();
        tables.checks.put(*payment, check.due(now));
    }
    for payment in &traces.checks_removed {
        tables.checks.remove(*payment);
    }
    for payment in &traces.vault_cleared {
        tables.vault.remove(*payment);
    }
    for row in &traces.refunds_added {
        let (refund_key, amount, created_at) = (row.refund_key.clone(), row.amount, row.at);
        let refund = Refund { refund_key, amount, created_at, settled_at: None };
        check(row.amount >= Money::ZERO, "amount >= 0")?;
        unique(
            tables.refunds.insert((row.payment, row.gateway_key.clone()), refund),
            "refund of the capture",
        )?;
    }
    for key in &traces.refunds_settled {
        let open = tables.refunds.get(key).filter(|refund| refund.settled_at.is_none());
        let refund = open.cloned().ok_or(moved("refund"))?;
        tables.refunds.put(key.clone(), Refund { settled_at: Some(now), ..refund });
    }
    Ok(())
}

/// Keeps a callback; one that came before keeps its text and takes the verdict.
pub(super) fn callback(tables: &mut Tables, entry: &InboxEntry, verdict: Verdict) {
    let entry = match tables.callbacks.get(&entry.event_id) {
        Some(known) => known.entry.clone(),
        None => entry.clone(),
    };
    tables.callbacks.put(entry.event_id.clone(), KeptCallback { entry, verdict });
}

fn outbox(tables: &mut Tables, records: &[OutboxRecord]) {
    for record in records {
        tables.last_outbox_id += 1;
        tables.outbox.put(tables.last_outbox_id, record.clone());
    }
}
