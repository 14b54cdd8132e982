//! The outside of the process: clock, random numbers, and what is made of them. The only place that reads a clock or
//! draws a random number.

mod clock;
mod entropy;
mod fingerprint;
mod ids;
mod passwords;
mod tokens;
mod zone;

pub use clock::{ManualClock, SystemClock};
pub use entropy::fill as fill_random;
pub use fingerprint::HmacFingerprinter;
pub use ids::{RandomIds, SequenceIds};
pub use passwords::{Argon2Cost, Argon2Hasher, PasswordCostError};
pub use tokens::RandomTokens;
pub use zone::{BusinessZone, UnknownZone};
