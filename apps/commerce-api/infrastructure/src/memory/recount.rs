//! The invariants of the data model counted again, straight from the rows. It shares no code with the SQL audit and
//! none with the decisions, but for the fold of a payment, which the invariant names.

use std::collections::BTreeMap;

use commerce_api_domain::{
    IssuedCouponId, IssuedCouponStatus, LedgerKind, Order, OrderId, OrderStatus, PaymentEvent,
    PaymentEventRecord, PaymentId, PaymentStatus, pair_is_allowed,
};

use super::{MemoryState, Refund};

/// What breaks invariants 1 to 4 and 6, each as `number: row: what`; empty where all hold.
pub fn violations(state: &MemoryState) -> Vec<String> {
    let mut found = Found::default();
    products(state, &mut found);
    accounts(state, &mut found);
    orders(state, &mut found);
    payments(state, &mut found);
    captures(state, &mut found);
    coupons(state, &mut found);
    checks(state, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn expect(&mut self, holds: bool, invariant: u8, row: impl FnOnce() -> String) {
        if !holds {
            self.0.push(format!("{invariant}: {}", row()));
        }
    }
}

fn is_live(order: &Order) -> bool {
    matches!(order.status, OrderStatus::PaymentPending | OrderStatus::Paid)
}

fn products(state: &MemoryState, found: &mut Found) {
    let mut moved: BTreeMap<_, i64> = BTreeMap::new();
    for movement in state.movements.values() {
        *moved.entry(movement.product).or_default() += movement.quantity;
    }
    let mut sold: BTreeMap<_, i64> = BTreeMap::new();
    for line in state.orders.values().filter(|order| is_live(order)).flat_map(|order| order.lines.iter()) {
        *sold.entry(line.product).or_default() += line.quantity.get();
    }
    for (id, product) in &state.products {
        let (sold, moved) = (sold.remove(id).unwrap_or_default(), moved.remove(id).unwrap_or_default());
        found.expect(product.stock >= 0, 1, || format!("product:{id}: stock {}", product.stock));
        found.expect(product.stock + sold == moved, 1, || {
            format!("product:{id}: stock {} + sold {sold} is not moved {moved}", product.stock)
        });
    }
    for id in sold.keys().chain(moved.keys()) {
        found.expect(false, 1, || format!("product:{id}: sold or moved, and does not exist"));
    }
}

fn accounts(state: &MemoryState, found: &mut Found) {
    let mut sums: BTreeMap<_, i64> = BTreeMap::new();
    for entry in state.ledger.values() {
        let debit = matches!(entry.kind, LedgerKind::Use | LedgerKind::Revoke);
        *sums.entry(entry.user).or_default() += if debit { -entry.amount.won() } else { entry.amount.won() };
        let order = entry.order.map(|id| state.orders.get(&id).map(|order| order.user));
        let expected = if entry.kind == LedgerKind::Charge { None } else { Some(Some(entry.user)) };
        found.expect(order == expected, 2, || {
            format!("ledger:{}: {} of another order or of none", entry.id, entry.kind.name())
        });
    }
    for (id, user) in &state.users {
        let sum = sums.remove(id).unwrap_or_default();
        found.expect(user.balance.won() == sum, 2, || {
            format!("user:{id}: balance {} is not the ledger's {sum}", user.balance)
        });
    }
    for (id, sum) in sums {
        found.expect(sum == 0, 2, || format!("user:{id}: ledger {sum} of nobody"));
    }
}

fn orders(state: &MemoryState, found: &mut Found) {
    let mut rows: BTreeMap<OrderId, BTreeMap<LedgerKind, Vec<i64>>> = BTreeMap::new();
    for entry in state.ledger.values() {
        if let Some(order) = entry.order {
            let amounts = rows.entry(order).or_default().entry(entry.kind).or_default();
            amounts.push(entry.amount.won());
        }
    }
    for (id, order) in &state.orders {
        let rows = rows.get(id);
        let points = order.payment.points_part.won();
        let was_paid = order.paid_at.is_some();
        let expected = [
            (LedgerKind::Use, (points > 0).then_some(points)),
            (LedgerKind::Refund, (points > 0 && !is_live(order)).then_some(points)),
            (LedgerKind::Earn, was_paid.then_some(order.points_earned.won())),
            (
                LedgerKind::Revoke,
                (was_paid && order.status != OrderStatus::Paid).then_some(order.points_earned.won()),
            ),
        ];
        for (kind, amount) in expected {
            let there = rows.and_then(|rows| rows.get(&kind)).map_or(&[][..], Vec::as_slice);
            found.expect(there == amount.as_slice(), 2, || {
                format!("order:{id}: {} {there:?}, expected {amount:?}", kind.name())
            });
        }
        totals(order, found);
    }
}

fn totals(order: &Order, found: &mut Found) {
    let id = order.id;
    let lines: i64 = order.lines.iter().map(|line| line.unit_price.won() * line.quantity.get()).sum();
    let (items, discount, total) = (order.items_total.won(), order.discount.won(), order.total.won());
    let parts = order.payment.points_part.won() + order.payment.card_part.won();
    found.expect(lines == items, 2, || format!("order:{id}: items {items} are not the lines' {lines}"));
    found.expect(items - discount == total, 2, || {
        format!("order:{id}: total {total} is not {items} - {discount}")
    });
    found.expect(parts == total, 2, || format!("order:{id}: total {total} is not the parts' {parts}"));
    found.expect((order.status != OrderStatus::Paid) || order.paid_at.is_some(), 2, || {
        format!("order:{id}: PAID, and was never paid")
    });
}

fn histories(state: &MemoryState) -> BTreeMap<PaymentId, Vec<&PaymentEventRecord>> {
    let mut histories: BTreeMap<PaymentId, Vec<&PaymentEventRecord>> = BTreeMap::new();
    for record in state.payment_events.values() {
        histories.entry(record.payment).or_default().push(record);
    }
    histories
}

fn payments(state: &MemoryState, found: &mut Found) {
    let mut histories = histories(state);
    for (id, order) in &state.orders {
        let payment = &order.payment;
        let history = histories.remove(&payment.id).unwrap_or_default();
        let gapless = history.iter().zip(1..).all(|(record, seq)| record.seq == seq);
        found.expect(gapless, 3, || format!("payment:{}: the history has a gap", payment.id));
        match payment.refold(history) {
            Ok(folded) => found.expect(folded == *payment, 3, || {
                format!("payment:{}: {} is not the fold of its events", payment.id, payment.status.name())
            }),
            Err(error) => found.expect(false, 3, || format!("payment:{}: {error}", payment.id)),
        }
        found.expect(pair_is_allowed(order.status, payment.status), 3, || {
            format!("order:{id}: {} with payment {}", order.status.name(), payment.status.name())
        });
        let (paid, success) = (order.status == OrderStatus::Paid, payment.status == PaymentStatus::Success);
        found.expect(paid == success, 3, || format!("order:{id}: PAID {paid}, SUCCESS {success}"));
        found.expect(payment.order == *id && payment.user == order.user, 3, || {
            format!("payment:{}: of another order", payment.id)
        });
    }
    for id in histories.keys() {
        found.expect(false, 3, || format!("payment:{id}: a history of no payment"));
    }
}

/// Per payment, which implies the sums: what was captured is refunded, due, or belongs to a PAID order.
fn captures(state: &MemoryState, found: &mut Found) {
    let histories = histories(state);
    let mut refunds: BTreeMap<PaymentId, i64> = BTreeMap::new();
    for ((payment, _), refund) in &state.refunds {
        *refunds.entry(*payment).or_default() += refund.amount.won();
    }
    for order in state.orders.values() {
        let payment = &order.payment;
        let history = histories.get(&payment.id).map_or(&[][..], Vec::as_slice);
        let takes = history.iter().filter(|record| {
            matches!(
                record.event,
                PaymentEvent::Captured { .. }
                    | PaymentEvent::CapturedLate { .. }
                    | PaymentEvent::DuplicateCaptured { .. }
            )
        });
        let captured: i64 = takes.map(|_| payment.card_part.won()).sum();
        let given_back = refunds.remove(&payment.id).unwrap_or_default();
        let kept = if order.status == OrderStatus::Paid { payment.card_part.won() } else { 0 };
        found.expect(captured - given_back == kept, 3, || {
            format!("payment:{}: captured {captured}, given back {given_back}, kept {kept}", payment.id)
        });
        let is_open =
            |(key, refund): &(&(PaymentId, _), &Refund)| key.0 == payment.id && refund.settled_at.is_none();
        let open = state.refunds.iter().filter(is_open).count();
        let whole = payment.status == PaymentStatus::RefundPending && !payment.card_part.is_zero();
        let noted = |name| history.iter().filter(|record| record.event.name() == name).count();
        let due = usize::from(whole) + noted("DUPLICATE_CAPTURED") - noted("DUPLICATE_REFUNDED");
        found.expect(open == due, 3, || format!("payment:{}: refund open {open}, due {due}", payment.id));
    }
    for id in refunds.keys() {
        found.expect(false, 3, || format!("payment:{id}: a refund of no payment"));
    }
}

fn coupons(state: &MemoryState, found: &mut Found) {
    let mut users: BTreeMap<IssuedCouponId, Vec<OrderId>> = BTreeMap::new();
    for order in state.orders.values().filter(|order| is_live(order)) {
        if let Some(issued) = order.issued_coupon {
            users.entry(issued).or_default().push(order.id);
        }
    }
    let mut counts: BTreeMap<_, i64> = BTreeMap::new();
    for (id, issued) in &state.issued {
        *counts.entry(issued.coupon).or_default() += 1;
        let used_by = users.remove(id).unwrap_or_default();
        let expected = match issued.status {
            IssuedCouponStatus::Used => issued.order.into_iter().collect(),
            IssuedCouponStatus::Usable => Vec::new(),
        };
        let complete = (issued.status == IssuedCouponStatus::Used) == issued.order.is_some();
        found.expect(complete && used_by == expected, 4, || {
            format!(
                "issued coupon:{id}: {} for {:?}, used by {used_by:?}",
                issued.status.name(),
                issued.order
            )
        });
    }
    for id in users.keys() {
        found.expect(false, 4, || format!("issued coupon:{id}: used, and does not exist"));
    }
    for (id, coupon) in &state.coupons {
        let (count, rows) = (coupon.issued_count, counts.remove(id).unwrap_or_default());
        found.expect(count == rows, 4, || format!("coupon:{id}: issued_count {count}, rows {rows}"));
        found.expect(coupon.policy.issue_limit.is_none_or(|limit| rows <= limit), 4, || {
            format!("coupon:{id}: {rows} issued, above the limit")
        });
    }
    for id in counts.keys() {
        found.expect(false, 4, || format!("coupon:{id}: issued, and does not exist"));
    }
}

/// Without a clock: whether a check is there at all.
fn checks(state: &MemoryState, found: &mut Found) {
    for order in state.orders.values() {
        let payment = &order.payment;
        let ended = matches!(
            payment.status,
            PaymentStatus::Success | PaymentStatus::Failed | PaymentStatus::Voided | PaymentStatus::Refunded
        );
        found.expect(ended || state.checks.contains_key(&payment.id), 6, || {
            format!("payment:{}: {} without a check", payment.id, payment.status.name())
        });
        let open =
            state.refunds.iter().any(|((of, _), refund)| *of == payment.id && refund.settled_at.is_none());
        found.expect(!open || state.checks.contains_key(&payment.id), 6, || {
            format!("payment:{}: a refund is due without a check", payment.id)
        });
        let waits = order.status == OrderStatus::PaymentPending;
        let kept = state.vault.contains_key(&payment.id);
        let needed = matches!(
            payment.status,
            PaymentStatus::Pending | PaymentStatus::Requesting | PaymentStatus::Unknown
        );
        found.expect(!kept || (waits && needed), 6, || {
            format!("payment:{}: {} with a card number", payment.id, payment.status.name())
        });
    }
}
