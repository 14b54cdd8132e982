//! What the payment of an order does to the order.

use super::{Outcome, close};
use crate::working_set::Scratch;
use crate::{EventKind, LedgerKind, Order, OrderId, OrderStatus, PaymentCommand, PaymentEvent, Refusal};

pub(super) fn apply(
    scratch: &mut Scratch<'_>,
    order: OrderId,
    command: &PaymentCommand,
) -> Result<Outcome, Refusal> {
    let mut order = scratch.order(order)?;
    let waits = order.status == OrderStatus::PaymentPending;
    let fence = scratch.fence(order.payment.id);
    let events = order.payment.decide(command, waits, fence)?;
    if events.is_empty() {
        return Ok(Outcome::Order(Box::new(order)));
    }
    for event in events {
        scratch.record_payment(&mut order, event.clone())?;
        follow(scratch, &mut order, &event)?;
    }
    order.updated_at = scratch.now;
    scratch.put_order(order.clone());
    Ok(Outcome::Order(Box::new(order)))
}

/// What one payment event means for its order.
fn follow(scratch: &mut Scratch<'_>, order: &mut Order, event: &PaymentEvent) -> Result<(), Refusal> {
    let (payment, amount) = (order.payment.id, order.payment.card_part);
    match event {
        PaymentEvent::Sent { .. } => {
            order.expires_at = Some(order.created_at.plus(scratch.rules.sent_deadline));
        }
        PaymentEvent::Captured { .. } => {
            scratch.emit_order(order, EventKind::PaymentSucceeded { payment, amount });
            mark_paid(scratch, order)?;
        }
        PaymentEvent::Declined { reason, .. } => fail(scratch, order, Some(reason.clone()))?,
        PaymentEvent::NeverRecorded => fail(scratch, order, None)?,
        PaymentEvent::Refunded if order.status == OrderStatus::CancelPending => {
            order.status = OrderStatus::Canceled;
            scratch.emit_order(order, EventKind::PaymentRefunded { payment, amount });
        }
        _ => {}
    }
    Ok(())
}

fn fail(
    scratch: &mut Scratch<'_>,
    order: &mut Order,
    reason: Option<std::sync::Arc<str>>,
) -> Result<(), Refusal> {
    if order.status != OrderStatus::PaymentPending {
        // Cancelled or expired before: everything was given back then.
        return Ok(());
    }
    close::close_unpaid(scratch, order, OrderStatus::PaymentFailed)?;
    let (payment, amount) = (order.payment.id, order.payment.card_part);
    scratch.emit_order(order, EventKind::PaymentFailed { payment, amount, reason: reason.clone() });
    let failed = EventKind::OrderPaymentFailed { total: order.total, items: order.lines.clone(), reason };
    scratch.emit_order(order, failed);
    Ok(())
}

/// Makes an order PAID and gives what it earns; the EARN row is written even where it is 0, so that it stands for
/// "was paid" in the ledger.
pub(super) fn mark_paid(scratch: &mut Scratch<'_>, order: &mut Order) -> Result<(), Refusal> {
    order.status = OrderStatus::Paid;
    order.paid_at = Some(scratch.now);
    order.expires_at = None;
    order.updated_at = scratch.now;
    order.points_earned = order.total.share(scratch.rules.earn_basis_points);
    scratch.move_points(order.user, Some(order.id), LedgerKind::Earn, order.points_earned)?;
    let paid = EventKind::OrderPaid { total: order.total, items: order.lines.clone() };
    scratch.emit_order(order, paid);
    Ok(())
}
