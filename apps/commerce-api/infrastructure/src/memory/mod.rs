//! Storage in ordered maps: the second implementation of the unit of work, held to the same contract as SQL.
//!
//! It draws no random number and sets no timer, so that a run on it repeats exactly. Faults are injected by the test:
//! see [`Faults`].

mod faults;
mod outbox;
mod payments;
mod reconciliation;
mod recount;
mod state;
mod storage;
mod table;
mod unit;
mod write;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod recount_tests;
#[cfg(test)]
mod storage_tests;

pub use faults::{Fault, Faults};
pub use recount::violations;
pub use state::{Check, KeptAnswer, KeptCallback, MemoryState, Refund};
pub use storage::{MemoryError, MemoryStorage};
