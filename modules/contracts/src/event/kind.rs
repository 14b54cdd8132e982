use crate::{AggregateType, topics};

/// The type of an event, as `eventType` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// An order was placed.
    OrderCreated,
    /// An order is paid in full.
    OrderPaid,
    /// An order was not paid in time.
    OrderExpired,
    /// An order's card part was declined.
    OrderPaymentFailed,
    /// An order was cancelled, paid or not.
    OrderCanceled,
    /// The card part is about to be asked for.
    PaymentRequested,
    /// The card part was captured.
    PaymentSucceeded,
    /// The card part was not captured.
    PaymentFailed,
    /// The card part was given back.
    PaymentRefunded,
    /// A user likes a product.
    LikeAdded,
    /// A user likes a product no more.
    LikeRemoved,
    /// A product was looked at.
    ProductViewed,
    /// The catalogue entry changed.
    ProductUpdated,
    /// The last piece was sold.
    StockDepleted,
    /// There are pieces again.
    StockRestored,
    /// A user got a coupon.
    CouponIssued,
    /// An order used a coupon.
    CouponUsed,
    /// A coupon was given back.
    CouponRestored,
    /// A user did something.
    UserActivity,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 19] = [
        Self::OrderCreated,
        Self::OrderPaid,
        Self::OrderExpired,
        Self::OrderPaymentFailed,
        Self::OrderCanceled,
        Self::PaymentRequested,
        Self::PaymentSucceeded,
        Self::PaymentFailed,
        Self::PaymentRefunded,
        Self::LikeAdded,
        Self::LikeRemoved,
        Self::ProductViewed,
        Self::ProductUpdated,
        Self::StockDepleted,
        Self::StockRestored,
        Self::CouponIssued,
        Self::CouponUsed,
        Self::CouponRestored,
        Self::UserActivity,
    ];

    /// The type of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event_type| event_type.name() == name)
    }

    /// The published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderCreated => "OrderCreated",
            Self::OrderPaid => "OrderPaid",
            Self::OrderExpired => "OrderExpired",
            Self::OrderPaymentFailed => "OrderPaymentFailed",
            Self::OrderCanceled => "OrderCanceled",
            Self::PaymentRequested => "PaymentRequested",
            Self::PaymentSucceeded => "PaymentSucceeded",
            Self::PaymentFailed => "PaymentFailed",
            Self::PaymentRefunded => "PaymentRefunded",
            Self::LikeAdded => "LikeAdded",
            Self::LikeRemoved => "LikeRemoved",
            Self::ProductViewed => "ProductViewed",
            Self::ProductUpdated => "ProductUpdated",
            Self::StockDepleted => "StockDepleted",
            Self::StockRestored => "StockRestored",
            Self::CouponIssued => "CouponIssued",
            Self::CouponUsed => "CouponUsed",
            Self::CouponRestored => "CouponRestored",
            Self::UserActivity => "UserActivity",
        }
    }

    /// The newest version of its payload.
    pub const fn version(self) -> u32 {
        1
    }

    /// Whose sequence it counts in.
    pub const fn aggregate_type(self) -> AggregateType {
        match self {
            Self::OrderCreated
            | Self::OrderPaid
            | Self::OrderExpired
            | Self::OrderPaymentFailed
            | Self::OrderCanceled
            | Self::PaymentRequested
            | Self::PaymentSucceeded
            | Self::PaymentFailed
            | Self::PaymentRefunded => AggregateType::Order,
            Self::LikeAdded | Self::LikeRemoved => AggregateType::ProductLike,
            Self::ProductViewed => AggregateType::ProductView,
            Self::ProductUpdated | Self::StockDepleted | Self::StockRestored => AggregateType::Product,
            Self::CouponIssued | Self::CouponUsed | Self::CouponRestored => AggregateType::Coupon,
            Self::UserActivity => AggregateType::Activity,
        }
    }

    /// The topic that carries it.
    pub const fn topic(self) -> &'static str {
        match self.aggregate_type() {
            AggregateType::Order => topics::ORDER,
            AggregateType::Product | AggregateType::ProductView => topics::PRODUCT,
            AggregateType::ProductLike => topics::PRODUCT_LIKE,
            AggregateType::Coupon => topics::COUPON,
            AggregateType::Activity => topics::USER_ACTIVITY,
        }
    }
}
