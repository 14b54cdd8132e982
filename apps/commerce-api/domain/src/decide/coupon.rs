use super::Outcome;
use crate::working_set::Scratch;
use crate::{
    Aggregate, CouponId, EventKind, IssuedCoupon, IssuedCouponId, IssuedCouponStatus, OrderId, Refusal,
    UserId,
};

pub(super) fn issue(scratch: &mut Scratch<'_>, coupon: CouponId, user: UserId) -> Result<Outcome, Refusal> {
    let now = scratch.now;
    let id = IssuedCouponId(scratch.next_id());
    let already = scratch.has_coupon(user, coupon);
    scratch.account(user)?;
    let row = scratch.coupon(coupon)?;
    if already {
        return Err(Refusal::CouponAlreadyIssued);
    }
    if !row.policy.is_valid_at(now) {
        return Err(Refusal::CouponNotValid);
    }
    if row.policy.issue_limit.is_some_and(|limit| row.issued_count >= limit) {
        return Err(Refusal::CouponSoldOut);
    }
    row.issued_count += 1;
    let policy = row.policy.clone();
    let issued = IssuedCoupon {
        id,
        coupon,
        user,
        status: IssuedCouponStatus::Usable,
        order: None,
        event_seq: 1,
        issued_at: now,
    };
    scratch.put_issued(issued.clone());
    scratch.emit(Aggregate::Coupon(id), 1, Some(user), EventKind::CouponIssued { coupon });
    Ok(Outcome::CouponIssued(issued, policy))
}

/// Marks a coupon as used by `order`.
pub(super) fn mark_used(
    scratch: &mut Scratch<'_>,
    issued: IssuedCouponId,
    user: UserId,
    order: OrderId,
) -> Result<(), Refusal> {
    let row = scratch.issued(issued)?;
    if row.status == IssuedCouponStatus::Used {
        return Err(Refusal::CouponAlreadyUsed);
    }
    row.status = IssuedCouponStatus::Used;
    row.order = Some(order);
    row.event_seq += 1;
    let (coupon, sequence) = (row.coupon, row.event_seq);
    scratch.emit(Aggregate::Coupon(issued), sequence, Some(user), EventKind::CouponUsed { coupon, order });
    Ok(())
}

/// Gives a coupon back that `order` used; past its validity it stays expired, which is derived when it is read.
pub(super) fn restore(
    scratch: &mut Scratch<'_>,
    issued: IssuedCouponId,
    user: UserId,
    order: OrderId,
) -> Result<(), Refusal> {
    let row = scratch.issued(issued)?;
    if row.status != IssuedCouponStatus::Used || row.order != Some(order) {
        return Err(Refusal::Inconsistent(format!("coupon {issued} is not used by order {order}").into()));
    }
    row.status = IssuedCouponStatus::Usable;
    row.order = None;
    row.event_seq += 1;
    let (coupon, sequence) = (row.coupon, row.event_seq);
    scratch.emit(
        Aggregate::Coupon(issued),
        sequence,
        Some(user),
        EventKind::CouponRestored { coupon, order },
    );
    Ok(())
}
