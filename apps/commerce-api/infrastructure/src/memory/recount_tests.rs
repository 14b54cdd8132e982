//! A shop with every kind of row is clean, and each invariant is found when it is broken on purpose.

use commerce_api_domain::{
    Actor, CommandKind, IssuedCouponStatus, LedgerKind, OrderStatus, PaymentCommand, PaymentStatus,
    ProductId, UserId,
};

use super::fixture::{COUPON, NOW, Shop, won};
use super::{MemoryState, violations};

/// A paid order with a coupon, a cancelled one, a pending card order, and a card order whose refund is due.
async fn busy_state() -> MemoryState {
    let shop = Shop::new();
    let issued = shop.issue().await;
    shop.order(2, Some(issued), false).await;
    let canceled = shop.order(1, None, false).await;
    let by = Actor::Customer(shop.user);
    shop.run(CommandKind::Cancel { order: canceled.id, by }).await;
    shop.order(1, None, true).await;
    let refunded = shop.order(3, None, true).await;
    let payment = |command| CommandKind::Payment { order: refunded.id, command };
    shop.run(payment(PaymentCommand::Send)).await;
    shop.run(payment(PaymentCommand::Captured { key: "TX-1".into() })).await;
    shop.run(CommandKind::Cancel { order: refunded.id, by }).await;
    shop.storage.state()
}

/// Breaks the state and expects a finding of `invariant` and of no other.
async fn breaks(invariant: u8, name: &str, break_it: impl FnOnce(&mut MemoryState)) {
    let mut state = busy_state().await;
    assert_eq!(violations(&state), Vec::<String>::new());
    break_it(&mut state);
    let found = violations(&state);
    assert!(!found.is_empty(), "{name} was not found");
    let prefix = format!("{invariant}: ");
    assert!(found.iter().all(|line| line.starts_with(&prefix)), "{name}: {found:?}");
}

#[tokio::test]
async fn invariant_1_stock() {
    breaks(1, "a piece too many", |state| state.products.values_mut().for_each(|p| p.stock += 1)).await;
    breaks(1, "a movement lost", |state| state.movements.clear()).await;
    breaks(1, "a product lost", |state| {
        state.products.remove(&ProductId(1));
    })
    .await;
    breaks(1, "stock below zero", |state| {
        let product = state.products.values_mut().next().unwrap();
        let movement = state.movements.values_mut().next().unwrap();
        movement.quantity -= product.stock + 1;
        product.stock = -1;
    })
    .await;
}

#[tokio::test]
async fn invariant_2_ledger() {
    breaks(2, "balance off", |state| state.users.values_mut().for_each(|user| user.balance = won(1))).await;
    for kind in [LedgerKind::Use, LedgerKind::Refund, LedgerKind::Earn, LedgerKind::Revoke] {
        breaks(2, kind.name(), |state| {
            let id = *state.ledger.iter().find(|(_, row)| row.kind == kind && row.amount > won(0)).unwrap().0;
            let row = state.ledger.remove(&id).unwrap();
            // The balance goes with it, as in a compensation that was skipped as a whole.
            let user = state.users.get_mut(&row.user).unwrap();
            user.balance = won(user.balance.won() - row.signed_amount());
        })
        .await;
    }
    breaks(2, "given back while it is live", |state| {
        let live = state.orders.values().find(|order| order.status == OrderStatus::Paid).unwrap().id;
        let row = state.ledger.values_mut().find(|row| row.kind == LedgerKind::Refund).unwrap();
        row.order = Some(live);
    })
    .await;
    breaks(2, "ledger of nobody", |state| {
        state.users.remove(&UserId(1));
    })
    .await;
    breaks(2, "total off", |state| {
        state.orders.values_mut().for_each(|order| order.total = won(order.total.won() + 1));
    })
    .await;
    breaks(2, "lines off", |state| {
        state.orders.values_mut().for_each(|order| {
            order.items_total = won(order.items_total.won() + 1);
            order.discount = won(order.discount.won() + 1);
        });
    })
    .await;
}

#[tokio::test]
async fn invariant_3_payments() {
    breaks(3, "status off", |state| {
        let order = state.orders.values_mut().find(|order| order.status == OrderStatus::Paid).unwrap();
        order.payment.status = PaymentStatus::Failed;
    })
    .await;
    breaks(3, "last event lost", |state| {
        let last = *state.payment_events.keys().next_back().unwrap();
        state.payment_events.remove(&last);
    })
    .await;
    breaks(3, "first event lost", |state| {
        let first = *state.payment_events.keys().next().unwrap();
        state.payment_events.remove(&first);
    })
    .await;
    breaks(3, "refund lost", |state| state.refunds.clear()).await;
    breaks(3, "refund settled too early", |state| {
        state.refunds.values_mut().for_each(|refund| refund.settled_at = Some(NOW));
    })
    .await;
    breaks(3, "pair not allowed", |state| {
        let order =
            state.orders.values_mut().find(|order| order.status == OrderStatus::CancelPending).unwrap();
        order.status = OrderStatus::Canceled;
        order.payment.status = PaymentStatus::Success;
    })
    .await;
}

#[tokio::test]
async fn invariant_4_coupons() {
    breaks(4, "USABLE in a live order", |state| {
        let issued = state.issued.values_mut().next().unwrap();
        (issued.status, issued.order) = (IssuedCouponStatus::Usable, None);
    })
    .await;
    breaks(4, "two live orders", |state| {
        let coupon = state.issued.keys().next().copied();
        let pending =
            state.orders.values_mut().find(|order| order.status == OrderStatus::PaymentPending).unwrap();
        pending.issued_coupon = coupon;
    })
    .await;
    breaks(4, "USED by nobody", |state| {
        state.orders.values_mut().for_each(|order| order.issued_coupon = None);
    })
    .await;
    breaks(4, "count off", |state| state.coupons.get_mut(&COUPON).unwrap().issued_count = 0).await;
    breaks(4, "above the limit", |state| {
        state.coupons.get_mut(&COUPON).unwrap().policy.issue_limit = Some(0);
    })
    .await;
}

#[tokio::test]
async fn invariant_6_checks() {
    breaks(6, "checks lost", |state| state.checks.clear()).await;
}
