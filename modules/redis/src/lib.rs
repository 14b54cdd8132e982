//! Redis, and what to do without it: every call has a limit of time and stands behind a circuit breaker, so that a
//! server that is gone costs a refusal and nothing else. A connection that broke is made anew by the next call that is
//! let through.
//!
//! Who calls decides what follows of an error: to read the database, to refuse, to count for oneself. Nothing that is
//! kept here is the only copy of anything but sessions.

mod client;
mod error;
mod gcra;
mod link;
mod options;

pub use client::{Redis, describe_metrics};
pub use error::{RedisError, RedisOptionsError};
pub use gcra::{Rate, Taken};
pub use options::RedisOptions;
/// The driver's commands, scripts and conversions.
pub use redis::{Cmd, FromRedisValue, Pipeline, Script, ScriptInvocation, cmd, pipe};
