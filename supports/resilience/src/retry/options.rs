use std::time::Duration;

use crate::backoff::Backoff;
use crate::options::{Check, DURATION_MAX, OptionsError};

/// How often and when a call is made again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryOptions {
    /// Attempts, the first included.
    pub attempts: u32,
    /// The longest wait after each attempt. The wait itself is anything from the floor to this, drawn anew each time:
    /// those who failed together do not come back together, not even once the cap is reached.
    pub backoff: Backoff,
    /// The shortest wait: draws near zero would use the attempts up at once.
    pub floor: Duration,
    /// The longest wait that an outcome can ask for ([`Verdict::retry_after`](crate::Verdict::retry_after)); who asks for
    /// more is not called again. The drawn wait comes on top.
    pub asked_wait_max: Duration,
    /// Whether a result that the classifier would still repeat after the last attempt becomes
    /// [`CallError::NotAccepted`](crate::CallError::NotAccepted); otherwise it is given back as it is.
    pub fail_on_last_result: bool,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Backoff {
                first: Duration::from_millis(500),
                multiplier: 1.5,
                cap: Duration::from_secs(10),
            },
            floor: Duration::from_millis(50),
            asked_wait_max: Duration::from_secs(10),
            fail_on_last_result: false,
        }
    }
}

impl RetryOptions {
    pub(super) fn check(&self, check: &Check<'_>) -> Result<(), OptionsError> {
        check.that(
            (1..=100).contains(&self.attempts),
            "attempts",
            self.attempts,
            "1 to 100, the first included",
        )?;
        self.backoff.check(check)?;
        check.duration("wait floor", self.floor, Duration::ZERO, self.backoff.first)?;
        check.duration("longest asked wait", self.asked_wait_max, Duration::ZERO, DURATION_MAX)
    }

    /// The longest that all attempts of one call and the waits between them can take, where an attempt takes at most
    /// `attempt`: for leases that must outlast a call.
    pub fn longest(&self, attempt: Duration) -> Duration {
        let waits = (0..self.attempts.saturating_sub(1))
            .map(|earlier| self.asked_wait_max.saturating_add(self.backoff.wait(earlier)));
        waits.fold(attempt.saturating_mul(self.attempts), Duration::saturating_add)
    }
}
