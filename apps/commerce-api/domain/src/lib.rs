//! Pure decisions about money, stock, coupons, orders and payments.
//!
//! Nothing here is async, reads a clock, draws a random number or knows SQL or HTTP: time and ids come in as
//! arguments. The entry point is [`decide()`], which applies one [`Command`] to a [`WorkingSet`]; equal inputs give
//! equal outputs, so that a batch that runs again after a lost commit answer writes the same rows.

mod command;
mod coupon;
mod decide;
mod event;
mod ids;
mod likes;
mod money;
mod order;
mod payment;
mod points;
mod reconcile;
mod refusal;
mod rules;
mod stock;
mod time;
mod user;
mod working_set;

pub use command::{Actor, CardDetails, Command, CommandKind, OrderLineRequest, PaymentRequest, PlaceOrder};
pub use coupon::{Coupon, CouponError, CouponPolicy, Discount, IssuedCoupon, IssuedCouponStatus};
pub use decide::{Outcome, decide};
pub use event::{Aggregate, DomainEvent, EventKind};
pub use ids::{
    BrandId, CouponId, EventId, IdSeed, IssuedCouponId, LedgerId, MovementId, OrderId, PaymentId, ProductId,
    UserId,
};
pub use likes::{Like, LikeChange, decide_like};
pub use money::{Money, MoneyError};
pub use order::{Order, OrderLine, OrderStatus};
pub use payment::{
    CardBrand, DuplicateCapture, IllegalMove, NotRecorded, Payment, PaymentCommand, PaymentEvent,
    PaymentEventRecord, PaymentFoldError, PaymentMethod, PaymentStatus, pair_is_allowed,
};
pub use points::{LedgerEntry, LedgerKind};
pub use reconcile::{
    Compared, Mismatch, MismatchKind, MoneyMovement, OurMovement, OurSide, ProposedAction, SettlementEntry,
    Standing, TheirSide, compare_ours, compare_reported,
};
pub use refusal::Refusal;
pub use rules::Rules;
pub use stock::{MovementKind, Product, ProductStatus, Quantity, QuantityError, StockMovement};
pub use time::Timestamp;
pub use user::{Role, User};
pub use working_set::{Snapshot, WorkingSet};
