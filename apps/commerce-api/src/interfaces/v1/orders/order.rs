//! An order as it is shown.

use commerce_api_domain::{Money, Order, OrderLine};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::interfaces::input::{Pieces, Time, Won};
use crate::interfaces::v1::names::OrderStatus;
use crate::interfaces::v1::payments::PaymentPart;

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderResponse {
    /// Which order.
    id: Uuid,
    /// Where it stands.
    status: OrderStatus,
    /// Whose.
    #[schema(example = 7)]
    user_id: i64,
    /// What was bought.
    lines: Vec<LineResponse>,
    /// Sum of the lines.
    items_total: Won,
    /// Taken off by the coupon.
    discount: Won,
    /// To pay: `itemsTotal` less `discount`.
    total: Won,
    /// The coupon that it used.
    #[schema(required = true)]
    issued_coupon_id: Option<Uuid>,
    /// Points earned when it was paid.
    points_earned: Won,
    /// Its payment.
    payment: PaymentPart,
    /// When it was placed.
    created_at: Time,
    /// When it was paid; stays after a cancel.
    #[schema(required = true)]
    paid_at: Option<Time>,
    /// When it expires unless it is paid; null once it cannot.
    #[schema(required = true)]
    expires_at: Option<Time>,
}

/// A product of an order, as it was when the order was placed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LineResponse {
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    /// Its name then.
    #[schema(example = "Boseong green tea")]
    name: String,
    /// Its price then.
    unit_price: Won,
    /// How many.
    quantity: Pieces,
    /// Price times pieces.
    line_total: Won,
}

impl From<&OrderLine> for LineResponse {
    fn from(line: &OrderLine) -> Self {
        // A line that was placed fits: its total is a part of the order's.
        let line_total = line.unit_price.checked_mul(line.quantity.get()).unwrap_or(Money::MAX);
        Self {
            product_id: line.product.0,
            name: line.name.to_string(),
            unit_price: line.unit_price.into(),
            quantity: line.quantity.into(),
            line_total: line_total.into(),
        }
    }
}

impl From<&Order> for OrderResponse {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id.0,
            status: order.status.into(),
            user_id: order.user.0,
            lines: order.lines.iter().map(LineResponse::from).collect(),
            items_total: order.items_total.into(),
            discount: order.discount.into(),
            total: order.total.into(),
            issued_coupon_id: order.issued_coupon.map(|issued| issued.0),
            points_earned: order.points_earned.into(),
            payment: (&order.payment).into(),
            created_at: order.created_at.into(),
            paid_at: order.paid_at.map(Into::into),
            expires_at: order.expires_at.map(Into::into),
        }
    }
}
