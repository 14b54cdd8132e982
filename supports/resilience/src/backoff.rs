use std::time::Duration;

use crate::options::{Check, DURATION_MAX, OptionsError};

/// Waits that grow from one time to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first one.
    pub first: Duration,
    /// What each is multiplied by for the next; 1 keeps them equal.
    pub multiplier: f64,
    /// The longest.
    pub cap: Duration,
}

impl Backoff {
    /// The same wait each time.
    pub const fn constant(wait: Duration) -> Self {
        Self { first: wait, multiplier: 1.0, cap: wait }
    }

    /// The wait after `earlier` others.
    pub fn wait(&self, earlier: u32) -> Duration {
        let power = i32::try_from(earlier).unwrap_or(i32::MAX);
        let wait = self.first.as_secs_f64() * self.multiplier.powi(power);
        // What is no number of seconds any more has grown beyond the cap long ago.
        Duration::try_from_secs_f64(wait).unwrap_or(self.cap).min(self.cap)
    }

    pub(crate) fn check(&self, check: &Check<'_>) -> Result<(), OptionsError> {
        check.duration("first wait", self.first, Duration::from_millis(1), self.cap)?;
        check.duration("wait cap", self.cap, self.first, DURATION_MAX)?;
        check.that(
            (1.0..=10.0).contains(&self.multiplier),
            "wait multiplier",
            self.multiplier,
            "1 to 10, such as 1.5",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_cap_however_often() {
        let backoff =
            Backoff { first: Duration::from_millis(500), multiplier: 1.5, cap: Duration::from_secs(2) };
        let waits = [500, 750, 1_125, 1_687, 2_000, 2_000].map(Duration::from_millis);
        for (earlier, wait) in (0..).zip(waits) {
            assert_eq!(backoff.wait(earlier).as_millis(), wait.as_millis(), "{earlier}");
        }
        assert_eq!(backoff.wait(u32::MAX), backoff.cap);
        assert_eq!(Backoff::constant(backoff.first).wait(9), backoff.first);
    }
}
