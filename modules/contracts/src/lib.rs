//! What crosses a process border: the event envelope, its payloads and the topics, and the payment gateway's protocol.
//!
//! Payloads are additive: a field is never renamed or removed, a reader keeps working with the version before.

pub mod asyncapi;
mod envelope;
pub mod event;
pub mod gateway;
mod mask;
mod payload;
pub mod time;
pub mod topics;

pub use envelope::{AggregateType, Envelope};
pub use mask::mask_card_numbers;
pub use payload::{
    CouponMoved, LikeChanged, OrderCanceled, OrderCreated, OrderItem, OrderMoved, PaymentMoved,
    ProductChanged, ProductViewed, UserActivity,
};
