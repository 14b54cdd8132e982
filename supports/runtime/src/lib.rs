//! The outside of the process: clock, random numbers and the calendar of the shop's zone. With the adapters of
//! commerce-api the only place that reads a clock or draws a random number.

mod clock;
mod entropy;
mod zone;

pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{fill as fill_random, uuid_v7};
pub use zone::{BusinessZone, UnknownZone};
