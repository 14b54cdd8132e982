use std::sync::Arc;

use crate::{IllegalMove, Money, MoneyError, ProductId};

/// Why the order desk refuses a command. A refusal changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such product.
    #[error("product {0} does not exist")]
    ProductNotFound(ProductId),
    /// The product is shown but not sold.
    #[error("product {0} is not on sale")]
    ProductNotOnSale(ProductId),
    /// Fewer pieces than asked for.
    #[error("product {product} has {available} left, {requested} were asked for")]
    OutOfStock {
        /// Which product.
        product: ProductId,
        /// Pieces there are.
        available: i64,
        /// Pieces asked for.
        requested: i64,
    },
    /// More pieces than one customer may hold in live orders.
    #[error(
        "at most {limit} of product {product} are sold to one customer; {left} are left to you, {requested} were asked for"
    )]
    PurchaseLimitExceeded {
        /// Which product.
        product: ProductId,
        /// Pieces that one customer may hold.
        limit: i64,
        /// Pieces that this customer may still buy.
        left: i64,
        /// Pieces asked for.
        requested: i64,
    },
    /// The balance does not cover it.
    #[error("the order takes {required} points, the balance is {balance}")]
    InsufficientPoints {
        /// Points it takes.
        required: Money,
        /// Points there are.
        balance: Money,
    },
    /// Points and card do not add up to the total.
    #[error("{0}")]
    PaymentMismatch(&'static str),
    /// The total is another one than the customer saw.
    #[error("the total is {actual}, not {expected}")]
    PriceChanged {
        /// What the customer saw.
        expected: Money,
        /// What it is now.
        actual: Money,
    },
    /// A sum beyond what money can be.
    #[error("the amount is too large")]
    AmountTooLarge,
    /// Merged lines of one product beyond the most pieces of a line.
    #[error("too many pieces of product {0}")]
    QuantityTooLarge(ProductId),
    /// No such user; a deleted account.
    #[error("the account does not exist")]
    UserNotFound,
    /// No such order, or another customer's.
    #[error("the order does not exist")]
    OrderNotFound,
    /// The order is in no state for this.
    #[error("an order in {from} cannot become {to}")]
    OrderState {
        /// Name of the state.
        from: &'static str,
        /// Name of the state asked for.
        to: &'static str,
    },
    /// The order's deadline has not come.
    #[error("the order's payment deadline has not passed")]
    NotDue,
    /// The points that the order earned are spent.
    #[error("the order earned points of which {shortfall} are already spent")]
    EarnedPointsSpent {
        /// Points missing.
        shortfall: Money,
    },
    /// The payment is in no state for this.
    #[error(transparent)]
    Payment(#[from] IllegalMove),
    /// No such coupon.
    #[error("the coupon does not exist")]
    CouponNotFound,
    /// No such coupon in this customer's hands.
    #[error("the coupon was not issued to this customer")]
    IssuedCouponNotFound,
    /// A live order uses it.
    #[error("the coupon was used already")]
    CouponAlreadyUsed,
    /// Outside its validity.
    #[error("the coupon is not valid now")]
    CouponNotValid,
    /// The order is too small for it.
    #[error("the coupon needs an order of at least {minimum} won")]
    CouponMinimumNotMet {
        /// Smallest total.
        minimum: Money,
    },
    /// All were issued.
    #[error("no more of this coupon are left")]
    CouponSoldOut,
    /// This customer has it.
    #[error("the coupon was issued to this customer already")]
    CouponAlreadyIssued,
    /// Above the limit of one charge.
    #[error("a charge is at most {max} points")]
    ChargeTooLarge {
        /// The limit.
        max: Money,
    },
    /// Above what a user may charge in a day.
    #[error("at most {max} points can be charged a day; {left} are left today")]
    DailyChargeExceeded {
        /// The limit.
        max: Money,
        /// What can still be charged today.
        left: Money,
    },
    /// A charge of nothing.
    #[error("a charge is at least 1 point")]
    ChargeZero,
    /// A movement of nothing, or a receipt that takes away.
    #[error("{0}")]
    MovementInvalid(&'static str),
    /// A loss of more than there is.
    #[error("the stock is {available}; {requested} cannot be taken away")]
    StockTooLow {
        /// Pieces there are.
        available: i64,
        /// Pieces to take away.
        requested: i64,
    },
    /// Above the most pieces a product can have.
    #[error("the stock would be too large")]
    StockTooLarge,
    /// The ledger or history contradicts the order: our own bug, refused rather than written.
    #[error("inconsistent: {0}")]
    Inconsistent(Arc<str>),
}

impl From<MoneyError> for Refusal {
    fn from(_: MoneyError) -> Self {
        Self::AmountTooLarge
    }
}
