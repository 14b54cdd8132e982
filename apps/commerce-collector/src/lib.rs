//! commerce-collector: follows the shop's events, counts each exactly once, and publishes the ranking boards.

pub mod application;
pub mod audit;
mod error;
pub mod infrastructure;
pub mod interfaces;
mod operator;
mod options;
#[cfg(feature = "process")]
pub mod process;
mod running;
pub mod settings;

pub use application::{ConsumerOptions, ConsumerState, JobsOptions, ProjectorOptions, Status};
pub use commerce_collector_domain::Weights;
pub use error::StartError;
pub use options::Options;
pub use running::{Collector, Running};
