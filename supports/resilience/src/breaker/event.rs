use std::time::Duration;

use super::state::BreakerState;

/// What happened at a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BreakerEvent {
    /// A call went well, after so long.
    Success(Duration),
    /// A call failed.
    Error(Duration),
    /// A call ended in a way that says nothing.
    Ignored(Duration),
    /// A call was given up before it ended.
    Cancelled(Duration),
    /// A call was refused.
    NotPermitted,
    /// It went from one state to another.
    Transition {
        /// Where it was.
        from: BreakerState,
        /// Where it is.
        to: BreakerState,
        /// The number of the new state; it ascends, so events that cross each other can be put in order.
        epoch: u64,
    },
    /// The operator closed it, with an empty window.
    Reset,
    /// So many percent of the calls failed, which is too many.
    FailureRateExceeded(f64),
    /// So many percent of the calls were slow, which is too many.
    SlowCallRateExceeded(f64),
}

impl BreakerEvent {
    /// Those are published whatever the state; the others not while it is forced open.
    pub(super) const fn is_of_the_state(self) -> bool {
        matches!(self, Self::Transition { .. } | Self::Reset)
    }
}

/// Hears what happens at circuit breakers.
///
/// It is called by the task that made the call, with no lock held, so it is quick and does not panic. Events of calls that
/// end at the same moment may arrive in either order.
pub trait BreakerListener: Send + Sync + 'static {
    /// `event` happened at the breaker called `breaker`.
    fn heard(&self, breaker: &str, event: BreakerEvent);
}
