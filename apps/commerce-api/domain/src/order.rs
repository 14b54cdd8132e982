use std::sync::Arc;

use crate::{IssuedCouponId, Money, OrderId, Payment, ProductId, Quantity, Timestamp, UserId};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderStatus {
    /// Waits for its card part.
    PaymentPending,
    /// Paid.
    Paid,
    /// The card part was declined.
    PaymentFailed,
    /// Was paid; its card part is being given back.
    CancelPending,
    /// Cancelled; everything was given back.
    Canceled,
    /// Not paid in time.
    Expired,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::PaymentPending,
        Self::Paid,
        Self::PaymentFailed,
        Self::CancelPending,
        Self::Canceled,
        Self::Expired,
    ];

    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentPending => "PAYMENT_PENDING",
            Self::Paid => "PAID",
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::CancelPending => "CANCEL_PENDING",
            Self::Canceled => "CANCELED",
            Self::Expired => "EXPIRED",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the order holds stock, points and a coupon.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::PaymentPending | Self::Paid)
    }
}

/// One product of an order, at the price of the moment it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Which product.
    pub product: ProductId,
    /// Its name then.
    pub name: Arc<str>,
    /// Its price then.
    pub unit_price: Money,
    /// Pieces.
    pub quantity: Quantity,
}

/// An order with its lines and its payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which order.
    pub id: OrderId,
    /// Whose.
    pub user: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was bought, by product.
    pub lines: Arc<[OrderLine]>,
    /// Sum of the lines.
    pub items_total: Money,
    /// Taken off by the coupon.
    pub discount: Money,
    /// To pay: items less discount; equals points part plus card part.
    pub total: Money,
    /// The coupon it used.
    pub issued_coupon: Option<IssuedCouponId>,
    /// Points earned when it was paid.
    pub points_earned: Money,
    /// Events so far.
    pub event_seq: i64,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it was paid; stays after a cancel.
    pub paid_at: Option<Timestamp>,
    /// When it expires unless it was paid; none once it cannot.
    pub expires_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its payment.
    pub payment: Payment,
}
