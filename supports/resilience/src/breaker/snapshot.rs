use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::options::BreakerOptions;
use super::state::BreakerState;

/// What a circuit breaker looks like at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// Its state.
    pub state: BreakerState,
    /// The number of this state since the start.
    pub epoch: u64,
    /// Percent of failed calls; −1 while there are too few for a verdict. While open: what it opened on.
    pub failure_rate: f64,
    /// Percent of slow calls; as above.
    pub slow_call_rate: f64,
    /// Percent of failed calls that opens it.
    pub failure_rate_threshold: u8,
    /// Percent of slow calls that opens it.
    pub slow_call_rate_threshold: u8,
    /// Calls in the window.
    pub buffered_calls: u32,
    /// Of those, failed.
    pub failed_calls: u32,
    /// Of those, slow.
    pub slow_calls: u32,
    /// Of those, slow and failed.
    pub slow_failed_calls: u32,
    /// Calls refused since the start.
    pub not_permitted_calls: u64,
    /// Calls given up before their end since the start.
    pub cancelled_calls: u64,
    /// Calls that ended in a later state than they began in, and therefore had no vote, since the start.
    pub late_calls: u64,
    /// How long it still refuses everything; none where time alone does not end it.
    pub open_for: Option<Duration>,
}

impl BreakerSnapshot {
    pub(super) fn of(name: &Arc<str>, options: &BreakerOptions, core: &mut Core, now: Instant) -> Self {
        let tally = core.tally(now);
        let (failure_rate, slow_call_rate) = core.rates(now);
        Self {
            name: name.clone(),
            state: core.state(),
            epoch: core.epoch(),
            failure_rate,
            slow_call_rate,
            failure_rate_threshold: options.failure_rate,
            slow_call_rate_threshold: options.slow_call_rate,
            buffered_calls: tally.calls,
            failed_calls: tally.failed,
            slow_calls: tally.slow,
            slow_failed_calls: tally.slow_failed,
            not_permitted_calls: core.not_permitted,
            cancelled_calls: core.cancelled,
            late_calls: core.late,
            open_for: core.open_for(now),
        }
    }
}
