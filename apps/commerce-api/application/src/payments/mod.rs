//! Payments at the gateway: the dispatcher that brings every one of them to an end, callbacks, and what is done by hand.

mod admin;
mod callbacks;
mod dispatcher;
mod facts;
mod metrics;
mod visit;

pub use admin::{ByHand, ByHandError, Payments};
pub use callbacks::{CallbackError, CallbackOutcome, Callbacks, VerifiedCallback};
pub use dispatcher::{DispatchOptions, PaymentDispatcher};
pub use metrics::describe_metrics as describe_payment_metrics;
