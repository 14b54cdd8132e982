use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::NaiveDate;
use commerce_api_application::ports::Clock;
use commerce_api_domain::Timestamp;
use commerce_runtime::Clock as _;

use super::BusinessZone;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    zone: BusinessZone,
}

impl SystemClock {
    /// A clock whose business days are those of `zone`.
    pub const fn new(zone: BusinessZone) -> Self {
        Self { zone }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(commerce_runtime::SystemClock.now_us())
    }

    fn business_day_start(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.zone.day_start(at.as_micros()))
    }

    fn business_day(&self, at: Timestamp) -> NaiveDate {
        self.zone.day(at.as_micros()).unwrap_or_default()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    zone: BusinessZone,
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock in the default zone that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self::in_zone(now, BusinessZone::default())
    }

    /// A clock in `zone` that shows `now`.
    pub const fn in_zone(now: Timestamp, zone: BusinessZone) -> Self {
        Self { zone, micros: AtomicI64::new(now.as_micros()) }
    }

    /// Shows `now` from now on.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves forward by `duration` and gives back what it shows then.
    pub fn advance(&self, duration: Duration) -> Timestamp {
        let step = Timestamp::default().plus(duration).as_micros();
        Timestamp::from_micros(self.micros.fetch_add(step, Ordering::SeqCst).saturating_add(step))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn business_day_start(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(self.zone.day_start(at.as_micros()))
    }

    fn business_day(&self, at: Timestamp) -> NaiveDate {
        self.zone.day(at.as_micros()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_in_this_century() {
        let clock = SystemClock::default();
        let now = clock.now();
        assert!(now > Timestamp::from_micros(1_700_000_000_000_000), "{now:?}");
        assert!(now < Timestamp::from_micros(4_102_444_800_000_000), "{now:?}");
        let today = clock.business_day_start(now);
        assert!(today <= now && now < today.plus(Duration::from_hours(24)));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        assert_eq!(clock.advance(Duration::from_millis(1)), Timestamp::from_micros(1_005));
        clock.set(Timestamp::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
        // 09:00 of the first of January 1970 in Seoul.
        assert_eq!(clock.business_day_start(clock.now()), Timestamp::from_micros(-9 * 3_600_000_000));
    }
}
