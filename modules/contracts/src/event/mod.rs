//! Events as a consumer reads them: the envelope taken apart, the payload by its type.

mod decode;
mod kind;

pub use decode::{DecodeError, decode};
pub use kind::EventType;

use uuid::Uuid;

use crate::{
    CouponMoved, LikeChanged, OrderCanceled, OrderCreated, OrderMoved, PaymentMoved, ProductChanged,
    ProductViewed, UserActivity,
};

/// An event of a type and version that this code knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Consumers dedupe by it.
    pub id: Uuid,
    /// Its type; tells the aggregate's type and the topic.
    pub event_type: EventType,
    /// Which aggregate.
    pub aggregate_id: String,
    /// 1 for the first event of the aggregate, without a gap; 0 where nothing is counted.
    pub sequence: i64,
    /// When it happened, in microseconds since the epoch.
    pub occurred_at_us: i64,
    /// What happened.
    pub payload: Payload,
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// An order was placed.
    OrderCreated(OrderCreated),
    /// An order is paid in full.
    OrderPaid(OrderMoved),
    /// An order was not paid in time.
    OrderExpired(OrderMoved),
    /// An order's card part was declined.
    OrderPaymentFailed(OrderMoved),
    /// An order was cancelled, paid or not.
    OrderCanceled(OrderCanceled),
    /// The card part is about to be asked for.
    PaymentRequested(PaymentMoved),
    /// The card part was captured.
    PaymentSucceeded(PaymentMoved),
    /// The card part was not captured.
    PaymentFailed(PaymentMoved),
    /// The card part was given back.
    PaymentRefunded(PaymentMoved),
    /// A user likes a product.
    LikeAdded(LikeChanged),
    /// A user likes a product no more.
    LikeRemoved(LikeChanged),
    /// A product was looked at.
    ProductViewed(ProductViewed),
    /// The catalogue entry changed.
    ProductUpdated(ProductChanged),
    /// The last piece was sold.
    StockDepleted(ProductChanged),
    /// There are pieces again.
    StockRestored(ProductChanged),
    /// A user got a coupon.
    CouponIssued(CouponMoved),
    /// An order used a coupon.
    CouponUsed(CouponMoved),
    /// A coupon was given back.
    CouponRestored(CouponMoved),
    /// A user did something.
    UserActivity(UserActivity),
}
