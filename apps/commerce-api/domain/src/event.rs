use std::sync::Arc;

use crate::{
    CouponId, EventId, IssuedCouponId, Money, OrderId, OrderLine, PaymentId, PaymentMethod, ProductId,
    Timestamp, UserId,
};

/// Whose sequence an event counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregate {
    /// `orders.event_seq`.
    Order(OrderId),
    /// `products.event_seq`.
    Product(ProductId),
    /// The like row of a product and a user.
    ProductLike(ProductId, UserId),
    /// The issued coupon.
    Coupon(IssuedCouponId),
}

/// What other systems are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// An order was placed.
    OrderCreated {
        /// Before the payment, after the discount.
        total: Money,
        /// Taken off by the coupon.
        discount: Money,
        /// How it is paid.
        method: PaymentMethod,
        /// What was bought.
        items: Arc<[OrderLine]>,
    },
    /// An order was paid.
    OrderPaid {
        /// What was paid.
        total: Money,
        /// What was bought.
        items: Arc<[OrderLine]>,
    },
    /// An order was not paid in time.
    OrderExpired {
        /// What was to be paid.
        total: Money,
        /// What was given back.
        items: Arc<[OrderLine]>,
    },
    /// The card part was declined.
    OrderPaymentFailed {
        /// What was to be paid.
        total: Money,
        /// What was given back.
        items: Arc<[OrderLine]>,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// An order was cancelled.
    OrderCanceled {
        /// What was or was to be paid.
        total: Money,
        /// What was given back.
        items: Arc<[OrderLine]>,
        /// When it had been paid, if it was.
        paid_at: Option<Timestamp>,
    },
    /// The card part is about to be asked for.
    PaymentRequested {
        /// Which payment.
        payment: PaymentId,
        /// The card part.
        amount: Money,
    },
    /// The card part was captured.
    PaymentSucceeded {
        /// Which payment.
        payment: PaymentId,
        /// The card part.
        amount: Money,
    },
    /// The card part was not captured.
    PaymentFailed {
        /// Which payment.
        payment: PaymentId,
        /// The card part.
        amount: Money,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// The card part was given back.
    PaymentRefunded {
        /// Which payment.
        payment: PaymentId,
        /// The card part.
        amount: Money,
    },
    /// A customer likes a product.
    LikeAdded,
    /// A customer likes a product no more.
    LikeRemoved,
    /// The catalogue entry changed.
    ProductUpdated {
        /// Stock now.
        stock: i64,
    },
    /// The last piece was sold.
    StockDepleted,
    /// There are pieces again.
    StockRestored {
        /// Stock now.
        stock: i64,
    },
    /// A customer got a coupon.
    CouponIssued {
        /// Which coupon.
        coupon: CouponId,
    },
    /// An order used it.
    CouponUsed {
        /// Which coupon.
        coupon: CouponId,
        /// Which order.
        order: OrderId,
    },
    /// The order that used it ended unpaid or was cancelled.
    CouponRestored {
        /// Which coupon.
        coupon: CouponId,
        /// Which order.
        order: OrderId,
    },
}

/// One event, written in the transaction of the change it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent {
    /// Consumers dedupe by it.
    pub id: EventId,
    /// Whose sequence it counts in.
    pub aggregate: Aggregate,
    /// 1 for the first event of the aggregate, without a gap.
    pub sequence: i64,
    /// Whose order, like or coupon it is; none for events of a product.
    pub user: Option<UserId>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}
