use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// The zone in which the shop's business days are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessZone(Tz);

/// The name is none of the IANA time zone database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database, such as Asia/Seoul")]
pub struct UnknownZone(String);

impl Default for BusinessZone {
    fn default() -> Self {
        Self(Tz::Asia__Seoul)
    }
}

impl FromStr for BusinessZone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }
}

impl fmt::Display for BusinessZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.name().fmt(f)
    }
}

impl BusinessZone {
    /// The local day that the moment `at_us` (microseconds since the epoch) falls in; none beyond the calendar.
    pub fn day(self, at_us: i64) -> Option<NaiveDate> {
        Some(DateTime::from_timestamp_micros(at_us)?.with_timezone(&self.0).date_naive())
    }

    /// The first moment of a local day, in microseconds since the epoch.
    pub fn start_of(self, day: NaiveDate) -> i64 {
        let midnight = day.and_time(NaiveTime::MIN);
        let start = match self.0.from_local_datetime(&midnight) {
            MappedLocalTime::Single(start) => start.to_utc(),
            // The clocks go back over midnight: the day begins at the first of the two.
            MappedLocalTime::Ambiguous(first, _) => first.to_utc(),
            MappedLocalTime::None => self.end_of_gap(midnight).unwrap_or(midnight.and_utc()),
        };
        start.timestamp_micros()
    }

    /// The first moment of the local day that `at_us` falls in; `at_us` itself where it lies beyond the calendar.
    pub fn day_start(self, at_us: i64) -> i64 {
        self.day(at_us).map_or(at_us, |day| self.start_of(day))
    }

    /// The moment the clocks jump over `local`: they show less before it, and more from it on.
    fn end_of_gap(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        // Local time is at most 14 hours off, so a day on either side surely encloses the jump.
        let mut before = local.checked_sub_days(Days::new(1))?.and_utc().timestamp();
        let mut after = local.checked_add_days(Days::new(1))?.and_utc().timestamp();
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            let shown = DateTime::from_timestamp(middle, 0)?.with_timezone(&self.0).naive_local();
            if shown < local {
                before = middle;
            } else {
                after = middle;
            }
        }
        DateTime::from_timestamp(after, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rfc3339: &str) -> i64 {
        DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_micros()
    }

    fn start(zone: &str, moment: &str) -> i64 {
        zone.parse::<BusinessZone>().unwrap().day_start(at(moment))
    }

    #[test]
    fn a_seoul_day_ends_with_its_last_microsecond() {
        assert_eq!(BusinessZone::default().to_string(), "Asia/Seoul");
        let day = at("2026-03-02T00:00:00+09:00");
        assert_eq!(start("Asia/Seoul", "2026-03-02T23:59:59.999999+09:00"), day);
        assert_eq!(start("Asia/Seoul", "2026-03-02T23:59:59.999+09:00"), day);
        assert_eq!(start("Asia/Seoul", "2026-03-02T00:00:00+09:00"), day);
        assert_eq!(start("Asia/Seoul", "2026-03-01T23:59:59.999+09:00"), at("2026-03-01T00:00:00+09:00"));
    }

    #[test]
    fn new_york_days_of_23_and_25_hours() {
        let spring = at("2026-03-08T00:00:00-05:00");
        assert_eq!(start("America/New_York", "2026-03-08T01:59:59-05:00"), spring);
        assert_eq!(start("America/New_York", "2026-03-08T23:59:59-04:00"), spring);
        assert_eq!(start("America/New_York", "2026-03-09T00:00:00-04:00"), at("2026-03-09T00:00:00-04:00"));
        let autumn = at("2026-11-01T00:00:00-04:00");
        assert_eq!(start("America/New_York", "2026-11-01T01:30:00-04:00"), autumn);
        assert_eq!(start("America/New_York", "2026-11-01T01:30:00-05:00"), autumn);
        assert_eq!(start("America/New_York", "2026-11-01T23:59:59-05:00"), autumn);
    }

    #[test]
    fn a_day_without_midnight_begins_at_its_first_moment() {
        // São Paulo, 2018: from 23:59:59 −03:00 the clocks went to 01:00:00 −02:00.
        let first = at("2018-11-04T01:00:00-02:00");
        assert_eq!(start("America/Sao_Paulo", "2018-11-04T12:00:00-02:00"), first);
        assert_eq!(start("America/Sao_Paulo", "2018-11-04T01:00:00-02:00"), first);
        // Samoa, 2011: the 30th of December was left out.
        assert_eq!(start("Pacific/Apia", "2011-12-31T08:00:00+14:00"), at("2011-12-31T00:00:00+14:00"));
    }

    #[test]
    fn a_day_with_two_midnights_begins_at_the_first() {
        // Havana, 2025: at 01:00 −04:00 the clocks went back to 00:00 −05:00.
        let first = at("2025-11-02T00:00:00-04:00");
        assert_eq!(start("America/Havana", "2025-11-02T00:30:00-05:00"), first);
    }

    #[test]
    fn unknown_zones_are_named() {
        let error = "Asia/Soul".parse::<BusinessZone>().unwrap_err();
        assert!(error.to_string().contains("`Asia/Soul`"));
    }
}
