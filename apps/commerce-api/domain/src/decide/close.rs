//! Ends of an order before or after it was paid, and what each gives back.

use super::{Outcome, coupon, stock};
use crate::working_set::Scratch;
use crate::{
    Actor, EventKind, LedgerKind, Money, Order, OrderId, OrderStatus, PaymentEvent, PaymentStatus, Refusal,
};

pub(super) fn cancel(scratch: &mut Scratch<'_>, order: OrderId, by: Actor) -> Result<Outcome, Refusal> {
    let mut order = scratch.order(order)?;
    if let Actor::Customer(user) = by
        && user != order.user
    {
        // Another customer's order does not exist for this one.
        return Err(Refusal::OrderNotFound);
    }
    match order.status {
        OrderStatus::PaymentPending => {
            close_unpaid(scratch, &mut order, OrderStatus::Canceled)?;
            let canceled =
                EventKind::OrderCanceled { total: order.total, items: order.lines.clone(), paid_at: None };
            scratch.emit_order(&mut order, canceled);
        }
        OrderStatus::Paid => cancel_paid(scratch, &mut order)?,
        OrderStatus::CancelPending | OrderStatus::Canceled => return Ok(Outcome::Order(Box::new(order))),
        OrderStatus::PaymentFailed | OrderStatus::Expired => {
            return Err(Refusal::OrderState { from: order.status.name(), to: OrderStatus::Canceled.name() });
        }
    }
    scratch.put_order(order.clone());
    Ok(Outcome::Order(Box::new(order)))
}

pub(super) fn expire(scratch: &mut Scratch<'_>, order: OrderId) -> Result<Outcome, Refusal> {
    let mut order = scratch.order(order)?;
    if order.status == OrderStatus::PaymentPending {
        if order.expires_at.is_none_or(|deadline| scratch.now < deadline) {
            return Err(Refusal::NotDue);
        }
        close_unpaid(scratch, &mut order, OrderStatus::Expired)?;
        let expired = EventKind::OrderExpired { total: order.total, items: order.lines.clone() };
        scratch.emit_order(&mut order, expired);
        scratch.put_order(order.clone());
    }
    Ok(Outcome::Order(Box::new(order)))
}

/// Closes an order that was never paid. A payment that may be at the gateway goes on being visited.
pub(super) fn close_unpaid(
    scratch: &mut Scratch<'_>,
    order: &mut Order,
    to: OrderStatus,
) -> Result<(), Refusal> {
    if order.payment.status == PaymentStatus::Pending {
        scratch.record_payment(order, PaymentEvent::Voided)?;
    }
    leave_live(scratch, order, to)
}

fn cancel_paid(scratch: &mut Scratch<'_>, order: &mut Order) -> Result<(), Refusal> {
    scratch.record_payment(order, PaymentEvent::RefundRequested)?;
    let to = if order.payment.card_part.is_zero() {
        scratch.record_payment(order, PaymentEvent::Refunded)?;
        OrderStatus::Canceled
    } else {
        OrderStatus::CancelPending
    };
    leave_live(scratch, order, to)?;
    revoke_earned(scratch, order)?;
    let canceled =
        EventKind::OrderCanceled { total: order.total, items: order.lines.clone(), paid_at: order.paid_at };
    scratch.emit_order(order, canceled);
    Ok(())
}

/// Gives back what was taken: stock, the customer's allowance, the points part and the coupon. It runs in the one move that leaves
/// `PAYMENT_PENDING` or PAID, so it runs once; the ledger's unique (order, kind) holds that in storage.
fn leave_live(scratch: &mut Scratch<'_>, order: &mut Order, to: OrderStatus) -> Result<(), Refusal> {
    for line in order.lines.iter() {
        stock::give_back(scratch, line.product, line.quantity)?;
        scratch.add_purchased(order.user, line.product, -line.quantity.get());
    }
    if !order.payment.points_part.is_zero() {
        scratch.move_points(order.user, Some(order.id), LedgerKind::Refund, order.payment.points_part)?;
    }
    if let Some(issued) = order.issued_coupon {
        coupon::restore(scratch, issued, order.user, order.id)?;
    }
    order.status = to;
    order.expires_at = None;
    order.updated_at = scratch.now;
    Ok(())
}

fn revoke_earned(scratch: &mut Scratch<'_>, order: &Order) -> Result<(), Refusal> {
    let balance = scratch.account(order.user)?.balance;
    if balance < order.points_earned {
        let shortfall = order.points_earned.checked_sub(balance).unwrap_or(Money::ZERO);
        return Err(Refusal::EarnedPointsSpent { shortfall });
    }
    scratch.move_points(order.user, Some(order.id), LedgerKind::Revoke, order.points_earned)?;
    Ok(())
}
