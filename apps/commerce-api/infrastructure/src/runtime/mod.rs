//! The outside of the process: clock, random numbers, and what is made of them. The clock and the
//! generator are those of `commerce-runtime`.

mod clock;
mod fingerprint;
mod ids;
mod passwords;
mod tokens;

pub use commerce_runtime::{BusinessZone, UnknownZone, fill_random};

pub use clock::{ManualClock, SystemClock};
pub use fingerprint::HmacFingerprinter;
pub use ids::{RandomIds, SequenceIds};
pub use passwords::{Argon2Cost, Argon2Hasher, PasswordCostError};
pub use tokens::RandomTokens;
