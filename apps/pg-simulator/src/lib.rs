//! A payment gateway to develop and test against: the protocol of the reference platform's simulator, what ours adds to
//! it, two presets, and a script of faults that can be changed while it runs.
//!
//! It stands for the outside world: it keeps card numbers in its own database in the clear, as its callbacks carry them,
//! and logs none.

mod alarm;
mod courier;
mod decider;
mod dice;
mod domain;
mod error;
mod faults;
mod gateway;
mod interfaces;
mod metrics;
mod options;
mod preset;
mod recorder;
mod running;
mod script;
mod storage;

pub use domain::Range;
pub use error::StartError;
pub use faults::{Chance, Decline, Faults, FaultsError};
pub use options::{CallbackRetry, Capabilities, Options};
pub use preset::{Preset, UnknownPreset};
pub use running::{Running, Simulator};
