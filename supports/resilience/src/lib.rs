//! Calls to something that may be down: circuit breaker, retry, bulkhead and time limiter, with the meaning that
//! Resilience4j gave them, and the [`Pipeline`] that puts them in their order: retry, breaker, time limiter, bulkhead, call.
//!
//! - A refusal is [`NotPermitted`]: nothing was sent, and nothing failed. It is never the answer once an attempt was sent.
//! - A fallback of a call that has an effect, such as a charge, may only be "accepted, outcome pending". Only an answer of
//!   the other side says that it failed.
//! - Retry in one layer: a retry inside the attempt of another makes one attempt.
//! - A call's deadline ([`within`]) reaches every layer below without being handed on.
//! - Breakers of one node know nothing of those of another.

mod backoff;
mod breaker;
mod bulkhead;
mod call;
mod clock;
mod environment;
mod limiter;
mod metrics;
mod options;
mod pipeline;
mod random;
mod registry;
mod retry;
mod scope;
mod window;

#[cfg(test)]
mod testing;

pub use backoff::Backoff;
pub use breaker::{
    BreakerEvent, BreakerListener, BreakerOptions, BreakerSnapshot, BreakerState, CircuitBreaker,
    IllegalTransition, Permit,
};
pub use bulkhead::{Bulkhead, BulkheadOptions, BulkheadSnapshot, Slot};
pub use call::{CallError, Classify, Kind, NotPermitted, Outcome, Verdict};
pub use clock::{ManualTime, MonotonicClock, TokioClock};
pub use environment::Environment;
pub use limiter::{TimeLimiter, TimeLimiterOptions};
pub use metrics::describe_metrics;
pub use options::OptionsError;
pub use pipeline::Pipeline;
pub use random::{Randomness, SeededRandomness, SystemRandomness};
pub use registry::{BreakerRegistry, RegistryError};
pub use retry::{Retry, RetryBudget, RetryOptions};
pub use scope::within;
pub use window::WindowKind;
