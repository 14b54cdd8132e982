//! Deterministic simulation: the desk, the dispatcher, callbacks, the relay, expiry and the collector run in one thread
//! under one seed, on a simulated clock, in memory, against a gateway and a bus that fail in every way.
//!
//! A run draws everything from its seed and repeats to the byte. What must hold at every instant is counted again after
//! commits; then the faults stop, and everything has to settle.

mod bus;
mod clients;
mod counts;
mod database;
mod fault;
mod fleet;
mod gateway;
mod life;
mod plan;
mod rng;
mod run;
mod shrink;
mod sweep;
mod verdict;
mod witness;
mod world;

pub use fault::{Fault, Faults};
pub use plan::{Command, Deed, Plan};
pub use run::{Attention, Report, run};
pub use shrink::shrink;
pub use sweep::{Sweep, sweep};
