use std::time::Duration;

use super::state::BreakerState;
use crate::backoff::Backoff;
use crate::options::{Check, DURATION_MAX, OptionsError};
use crate::window::WindowKind;

/// Calls that a window counts, or half-open lets through, at most.
const CALLS_MAX: u32 = 100_000;

/// The shortest time window and slow call.
const SHORTEST: Duration = Duration::from_millis(1);

/// When a circuit breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerOptions {
    /// Percent of failed calls that opens it; reaching it is enough.
    pub failure_rate: u8,
    /// Percent of slow calls that opens it; reaching it is enough.
    pub slow_call_rate: u8,
    /// A call is slow that takes longer.
    pub slow_call: Duration,
    /// Over which calls the rates are taken.
    pub window: WindowKind,
    /// Fewer calls in the window give no verdict. A count window that is smaller decides when it is full.
    pub calls_min: u32,
    /// How long it stays open: the first time, and each further time without having closed in between.
    pub open_wait: Backoff,
    /// Calls that pass half open, and on whose results it decides.
    pub half_open_permits: u32,
    /// How long half open waits for a result of the calls that it let through before it opens again; `None`: for ever.
    /// While no call is out it does not run, so that rare calls can close the breaker as well.
    pub half_open_wait_max: Option<Duration>,
    /// Whether looking at it is enough to make it half open after its wait; otherwise a call does.
    pub half_open_automatically: bool,
    /// The longest that a result can hold it open ([`Verdict::open_for`](crate::Verdict::open_for)).
    pub asked_wait_max: Duration,
    /// The state that it starts in.
    pub initial: BreakerState,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failure_rate: 50,
            slow_call_rate: 100,
            slow_call: Duration::from_mins(1),
            window: WindowKind::Count(100),
            calls_min: 100,
            open_wait: Backoff::constant(Duration::from_mins(1)),
            half_open_permits: 10,
            half_open_wait_max: Some(Duration::from_mins(1)),
            half_open_automatically: false,
            asked_wait_max: Duration::from_mins(5),
            initial: BreakerState::Closed,
        }
    }
}

impl BreakerOptions {
    /// Says what is wrong, where something is.
    pub(super) fn check(&self, check: &Check<'_>) -> Result<(), OptionsError> {
        check.number("failure rate (percent)", self.failure_rate.into(), 1, 100)?;
        check.number("slow call rate (percent)", self.slow_call_rate.into(), 1, 100)?;
        check.duration("slow call", self.slow_call, SHORTEST, DURATION_MAX)?;
        match self.window {
            WindowKind::Count(size) => count(check, "window (calls)", size)?,
            WindowKind::Time(length) => check.duration("window (time)", length, SHORTEST, DURATION_MAX)?,
        }
        count(check, "minimum of calls", self.calls_min)?;
        self.open_wait.check(check)?;
        count(check, "half-open permits", self.half_open_permits)?;
        if let Some(wait) = self.half_open_wait_max {
            check.duration("half-open wait", wait, SHORTEST, DURATION_MAX)?;
        }
        check.duration("longest asked wait", self.asked_wait_max, SHORTEST, DURATION_MAX)
    }

    /// How many calls give a verdict.
    pub(super) fn calls_needed(&self) -> u32 {
        match self.window {
            WindowKind::Count(size) => self.calls_min.min(size),
            WindowKind::Time(_) => self.calls_min,
        }
    }
}

fn count(check: &Check<'_>, option: &'static str, value: u32) -> Result<(), OptionsError> {
    check.that((1..=CALLS_MAX).contains(&value), option, value, format_args!("1 to {CALLS_MAX}"))
}
