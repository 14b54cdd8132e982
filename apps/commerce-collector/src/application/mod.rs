//! Use cases: following events, counting them once, ranking days, weeks and months, dealing with what was set aside,
//! rebuilding.

pub mod consumer;
pub mod dead_letters;
mod failure;
mod intake;
pub mod jobs;
mod lag;
pub mod metrics;
mod partition;
pub mod ports;
pub mod projector;
mod rankings;
pub mod rebuild;
mod settle;
mod state;

pub use consumer::{Consumer, ConsumerOptions};
pub use dead_letters::DeadLetterDesk;
pub use failure::{Chain, Halt};
pub use intake::Intake;
pub use jobs::{Jobs, JobsOptions, Scheduler};
pub use lag::{LagWatch, PartitionProgress};
pub use projector::{Projector, ProjectorOptions};
pub use rankings::Rankings;
pub use state::{ConsumerState, Status};

/// Consumer group, and the name that events are handled under.
pub const GROUP: &str = "commerce-collector";
