//! A payment as the fold of its events.

mod decide;
mod fold;
mod status;

pub use decide::{IllegalMove, NotRecorded, PaymentCommand};
pub use fold::{DuplicateCapture, Payment, PaymentEvent, PaymentEventRecord, PaymentFoldError};
pub use status::{CardBrand, PaymentMethod, PaymentStatus, pair_is_allowed};
