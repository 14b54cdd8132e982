use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time;

/// One product of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderItem {
    /// Which product.
    pub product_id: i64,
    /// Pieces.
    pub quantity: i64,
    /// Price of one piece, won.
    pub price: i64,
}

/// `OrderCreated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// Which order.
    pub order_id: Uuid,
    /// Whose.
    pub user_id: i64,
    /// To pay, after the discount, won.
    pub total_price: i64,
    /// Taken off by a coupon, won.
    pub discount: i64,
    /// `POINTS`, `CARD` or `POINTS_AND_CARD`.
    pub payment_method: String,
    /// What was bought.
    pub items: Vec<OrderItem>,
}

/// `OrderPaid`, `OrderExpired`, `OrderPaymentFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderMoved {
    /// Which order.
    pub order_id: Uuid,
    /// Whose.
    pub user_id: i64,
    /// The total, won.
    pub total_price: i64,
    /// Why, where there is a why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was bought.
    pub items: Vec<OrderItem>,
}

/// `OrderCanceled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCanceled {
    /// The order as the other events tell it.
    #[serde(flatten)]
    pub order: OrderMoved,
    /// When it had been paid, RFC 3339; null if it never was.
    pub paid_at: Option<String>,
}

impl OrderCanceled {
    /// The same in microseconds since the epoch. What was decoded is a time, or null.
    pub fn paid_at_us(&self) -> Option<i64> {
        self.paid_at.as_deref().and_then(time::micros)
    }
}

/// `PaymentRequested`, `PaymentSucceeded`, `PaymentFailed`, `PaymentRefunded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentMoved {
    /// Which payment.
    pub payment_id: Uuid,
    /// Of which order.
    pub order_id: Uuid,
    /// The card part, won.
    pub amount: i64,
    /// Why, where there is a why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `LikeAdded`, `LikeRemoved`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LikeChanged {
    /// Which product.
    pub product_id: i64,
    /// Whose like.
    pub user_id: i64,
}

/// `ProductUpdated`, `StockDepleted`, `StockRestored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductChanged {
    /// Which product.
    pub product_id: i64,
    /// Pieces now, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
}

/// `CouponIssued`, `CouponUsed`, `CouponRestored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CouponMoved {
    /// Which coupon.
    pub coupon_id: i64,
    /// Which issue of it.
    pub issued_coupon_id: Uuid,
    /// Whose.
    pub user_id: i64,
    /// The order that used or gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
}

/// `ProductViewed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductViewed {
    /// Which product.
    pub product_id: i64,
    /// Who, where somebody was logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
}

/// `UserActivity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserActivity {
    /// Who.
    pub user_id: i64,
    /// What was done: `LOGIN`, `SEARCH`.
    pub activity_type: String,
    /// To what kind of thing.
    pub resource_type: String,
    /// To which of them.
    pub resource_id: String,
}
