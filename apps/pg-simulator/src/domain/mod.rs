//! What a gateway decides, without clock, storage or network.

mod callback;
mod request;
mod transaction;

pub(crate) use callback::{Callback, Mishaps, Variant, callbacks_of};
pub(crate) use request::{ORDER_ID_CHARS_MAX, check_request};
pub use transaction::Range;
pub(crate) use transaction::{
    APPROVED, INVALID_CARD, LIMIT_EXCEEDED, Outcome, Recorded, decide, masked, status_name, transaction_key,
};
