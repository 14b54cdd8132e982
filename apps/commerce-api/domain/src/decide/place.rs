use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Outcome, coupon, payment, stock};
use crate::working_set::Scratch;
use crate::{
    CouponError, EventKind, IssuedCouponId, LedgerKind, Money, Order, OrderId, OrderLine, OrderLineRequest,
    OrderStatus, Payment, PaymentEvent, PaymentId, PaymentMethod, PaymentRequest, PaymentStatus, PlaceOrder,
    ProductId, ProductStatus, Quantity, Refusal, Timestamp, UserId,
};

pub(super) fn place(scratch: &mut Scratch<'_>, place: &PlaceOrder) -> Result<Outcome, Refusal> {
    let (order_id, payment_id) = (OrderId(scratch.next_id()), PaymentId(scratch.next_id()));
    let balance = scratch.account(place.user)?.balance;
    let lines = take_lines(scratch, place)?;
    let items_total = total_of(&lines)?;
    let discount = match place.issued_coupon {
        Some(issued) => discount_by(scratch, issued, place.user, items_total)?,
        None => Money::ZERO,
    };
    let total = items_total.checked_sub(discount)?;
    if let Some(expected) = place.expected_total
        && expected != total
    {
        return Err(Refusal::PriceChanged { expected, actual: total });
    }
    let split = Split::of(total, &place.payment)?;
    if split.points > balance {
        return Err(Refusal::InsufficientPoints { required: split.points, balance });
    }
    let mut order = Order {
        id: order_id,
        user: place.user,
        status: OrderStatus::PaymentPending,
        lines,
        items_total,
        discount,
        total,
        issued_coupon: place.issued_coupon,
        points_earned: Money::ZERO,
        event_seq: 0,
        created_at: scratch.now,
        paid_at: None,
        expires_at: Some(scratch.now.plus(scratch.rules.unsent_deadline)),
        updated_at: scratch.now,
        payment: new_payment(payment_id, order_id, place, &split, scratch.now),
    };
    if !split.points.is_zero() {
        scratch.move_points(place.user, Some(order_id), LedgerKind::Use, split.points)?;
    }
    scratch.record_payment(&mut order, PaymentEvent::Created)?;
    let created =
        EventKind::OrderCreated { total, discount, method: split.method, items: order.lines.clone() };
    scratch.emit_order(&mut order, created);
    if let Some(issued) = place.issued_coupon {
        coupon::mark_used(scratch, issued, place.user, order_id)?;
    }
    if split.card.is_zero() {
        scratch.record_payment(&mut order, PaymentEvent::PointsPaid)?;
        payment::mark_paid(scratch, &mut order)?;
    } else {
        let requested = EventKind::PaymentRequested { payment: payment_id, amount: split.card };
        scratch.emit_order(&mut order, requested);
    }
    scratch.put_order(order.clone());
    Ok(Outcome::Order(Box::new(order)))
}

fn new_payment(id: PaymentId, order: OrderId, place: &PlaceOrder, split: &Split, now: Timestamp) -> Payment {
    Payment {
        id,
        order,
        user: place.user,
        method: split.method,
        points_part: split.points,
        card_part: split.card,
        card: place.payment.card.as_ref().map(|card| (card.brand, card.last_four.clone())),
        status: PaymentStatus::Pending,
        gateway_key: None,
        duplicates: Vec::new(),
        reason: None,
        attempt: 0,
        event_seq: 0,
        created_at: now,
        updated_at: now,
    }
}

/// Merges lines of one product, takes their stock and keeps name and price of this moment.
fn take_lines(scratch: &mut Scratch<'_>, place: &PlaceOrder) -> Result<Arc<[OrderLine]>, Refusal> {
    let requests: &[OrderLineRequest] = &place.lines;
    if requests.is_empty() || requests.len() > scratch.rules.lines_max {
        return Err(Refusal::Inconsistent("an order has at least one line and not too many".into()));
    }
    let mut merged: BTreeMap<ProductId, Quantity> = BTreeMap::new();
    for line in requests {
        let quantity = match merged.get(&line.product) {
            Some(quantity) => {
                quantity.checked_add(line.quantity).map_err(|_| Refusal::QuantityTooLarge(line.product))?
            }
            None => line.quantity,
        };
        merged.insert(line.product, quantity);
    }
    merged
        .into_iter()
        .map(|(product, quantity)| {
            let row = scratch.product(product)?;
            if row.status != ProductStatus::OnSale {
                return Err(Refusal::ProductNotOnSale(product));
            }
            let limit = row.purchase_limit;
            let line = OrderLine { product, name: row.name.clone(), unit_price: row.price, quantity };
            within_limit(scratch, place.user, &line, limit)?;
            stock::take(scratch, product, quantity)?;
            Ok(line)
        })
        .collect()
}

/// Counts the pieces of `line` against what one customer may hold in live orders.
fn within_limit(
    scratch: &mut Scratch<'_>,
    user: UserId,
    line: &OrderLine,
    limit: Option<Quantity>,
) -> Result<(), Refusal> {
    let Some(limit) = limit.map(Quantity::get) else { return Ok(()) };
    let (product, requested) = (line.product, line.quantity.get());
    let held = scratch
        .purchased(user, product)
        .ok_or_else(|| Refusal::Inconsistent("purchases of a limited product were not read".into()))?;
    // Below what is held already where the limit was lowered.
    let left = (limit - held).max(0);
    if requested > left {
        return Err(Refusal::PurchaseLimitExceeded { product, limit, left, requested });
    }
    scratch.add_purchased(user, product, requested);
    Ok(())
}

fn total_of(lines: &[OrderLine]) -> Result<Money, Refusal> {
    lines.iter().try_fold(Money::ZERO, |sum, line| {
        Ok(sum.checked_add(line.unit_price.checked_mul(line.quantity.get())?)?)
    })
}

fn discount_by(
    scratch: &mut Scratch<'_>,
    issued: IssuedCouponId,
    user: UserId,
    items_total: Money,
) -> Result<Money, Refusal> {
    let now = scratch.now;
    let row = scratch.issued(issued)?;
    if row.user != user {
        return Err(Refusal::IssuedCouponNotFound);
    }
    let coupon = row.coupon;
    scratch.policy(coupon)?.discount_for(items_total, now).map_err(|error| match error {
        CouponError::NotValidNow => Refusal::CouponNotValid,
        CouponError::BelowMinimum(minimum) => Refusal::CouponMinimumNotMet { minimum },
    })
}

/// How a total is split between points and card.
struct Split {
    method: PaymentMethod,
    points: Money,
    card: Money,
}

impl Split {
    fn of(total: Money, request: &PaymentRequest) -> Result<Self, Refusal> {
        if request.card.is_none() {
            let points = request.points.unwrap_or(total);
            if points != total {
                return Err(Refusal::PaymentMismatch("without a card the points must equal the total"));
            }
            return Ok(Self { method: PaymentMethod::Points, points, card: Money::ZERO });
        }
        let points = request.points.unwrap_or(Money::ZERO);
        let card = total
            .checked_sub(points)
            .map_err(|_| Refusal::PaymentMismatch("the points part is above the total"))?;
        if card.is_zero() {
            return Err(Refusal::PaymentMismatch("nothing is left for the card to pay"));
        }
        let method = if points.is_zero() { PaymentMethod::Card } else { PaymentMethod::PointsAndCard };
        Ok(Self { method, points, card })
    }
}
