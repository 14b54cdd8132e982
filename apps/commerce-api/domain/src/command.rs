use std::sync::Arc;

use crate::{
    CardBrand, CouponId, IdSeed, IssuedCouponId, Money, MovementKind, OrderId, PaymentCommand, ProductId,
    Quantity, UserId,
};

/// One thing to do at the order desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The ids it may use, made before the first try.
    pub ids: IdSeed,
    /// What to do.
    pub kind: CommandKind,
}

/// What the order desk does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKind {
    /// Place an order.
    Place(PlaceOrder),
    /// Cancel an order.
    Cancel {
        /// Which.
        order: OrderId,
        /// Who asks.
        by: Actor,
    },
    /// Close an order that was not paid in time.
    Expire {
        /// Which.
        order: OrderId,
    },
    /// Tell what was learned of, or is about to happen to, the card part of an order.
    Payment {
        /// Whose payment.
        order: OrderId,
        /// What.
        command: PaymentCommand,
    },
    /// Add points to an account.
    ChargePoints {
        /// Whose.
        user: UserId,
        /// How many.
        amount: Money,
    },
    /// Receive or adjust stock.
    MoveStock {
        /// Of which product.
        product: ProductId,
        /// Why.
        kind: MovementKind,
        /// Pieces; negative for a loss.
        quantity: i64,
        /// What the operator wrote.
        reason: Option<Arc<str>>,
    },
    /// Give a coupon to a customer who asks for it.
    IssueCoupon {
        /// Which coupon.
        coupon: CouponId,
        /// To whom.
        user: UserId,
    },
}

/// Who asks for a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A customer, who may cancel only their own orders.
    Customer(UserId),
    /// An administrator.
    Admin(UserId),
}

/// A product and how many of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLineRequest {
    /// Which product.
    pub product: ProductId,
    /// Pieces.
    pub quantity: Quantity,
}

/// A card as far as anything but the vault may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDetails {
    /// Brand.
    pub brand: CardBrand,
    /// Last four digits.
    pub last_four: Arc<str>,
}

/// How the customer wants to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    /// The points part; without a card none means all of it, with a card none means nothing.
    pub points: Option<Money>,
    /// The card that pays the rest.
    pub card: Option<CardDetails>,
}

/// An order to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Whose.
    pub user: UserId,
    /// What; a product named twice is merged.
    pub lines: Vec<OrderLineRequest>,
    /// The coupon to use.
    pub issued_coupon: Option<IssuedCouponId>,
    /// How to pay.
    pub payment: PaymentRequest,
    /// The total that the customer saw; another one refuses the order.
    pub expected_total: Option<Money>,
}
