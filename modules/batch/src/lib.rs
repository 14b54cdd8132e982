//! Restartable batch jobs. No business rule lives here.
//!
//! A [`Job`] is a name with parameters, its *instance*; an attempt to run it is an *execution*, made of *steps*. A step
//! that goes by chunks ([`ChunkStep`]) keeps its business rows, its cursor and its counters in one transaction, so that
//! whoever dies in between leaves what the next one continues. An instance has one runner at a time: it holds a lease
//! that it renews, and a fence that refuses whatever an earlier holder still has in flight.

mod error;
mod model;
mod run;
mod runner;
pub mod schema;
mod sql;
mod step;
mod store;

pub use error::BatchError;
pub use model::{Counters, ExecutionView, Phase, Shown, SkipRecord, Status, StepView};
pub use run::Run;
pub use runner::{BatchOptions, Ended, Job, Observer, Runner};
pub use sql::SqlJobs;
pub use step::{ChunkStep, Span, Work};
pub use store::{Ask, Checkpoint, Hold, JobHistory, JobStore, StepState};
