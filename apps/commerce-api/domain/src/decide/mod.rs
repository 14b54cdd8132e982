//! One command at a time: refuse it whole, or apply it whole.

mod close;
mod coupon;
mod payment;
mod place;
mod points;
mod stock;

use crate::working_set::Scratch;
use crate::{
    Command, CommandKind, CouponPolicy, IssuedCoupon, LedgerEntry, Order, Refusal, Rules, StockMovement,
    Timestamp, WorkingSet,
};

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The order as it is now.
    Order(Box<Order>),
    /// Points were added.
    PointsCharged(LedgerEntry),
    /// Stock moved.
    StockMoved(StockMovement),
    /// A coupon was issued.
    CouponIssued(IssuedCoupon, CouponPolicy),
}

/// Applies `command` to `set`, or refuses it and leaves `set` as it was.
pub fn decide(
    command: &Command,
    set: &mut WorkingSet,
    now: Timestamp,
    rules: &Rules,
) -> Result<Outcome, Refusal> {
    let mut scratch = Scratch::new(&set.snapshot, command.ids, now, rules);
    let outcome = match &command.kind {
        CommandKind::Place(place) => place::place(&mut scratch, place),
        CommandKind::Cancel { order, by } => close::cancel(&mut scratch, *order, *by),
        CommandKind::Expire { order } => close::expire(&mut scratch, *order),
        CommandKind::Payment { order, command } => payment::apply(&mut scratch, *order, command),
        CommandKind::ChargePoints { user, amount } => points::charge(&mut scratch, *user, *amount),
        CommandKind::MoveStock { product, kind, quantity, reason } => {
            stock::move_stock(&mut scratch, *product, *kind, *quantity, reason.clone())
        }
        CommandKind::IssueCoupon { coupon, user } => coupon::issue(&mut scratch, *coupon, *user),
    }?;
    let delta = scratch.finish();
    set.absorb(delta);
    Ok(outcome)
}
