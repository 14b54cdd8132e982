//! Moments as they cross a process border: RFC 3339, and microseconds since the epoch on either side of it.

use chrono::{DateTime, SecondsFormat};

/// `at_us` (microseconds since the epoch) as RFC 3339 in UTC with microseconds.
pub fn rfc3339(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The moment that `text` tells in RFC 3339, of any zone, in microseconds since the epoch; none where it tells none.
pub fn micros(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_the_border() {
        for at_us in [0, 1, 1_800_000_000_000_001, -1] {
            assert_eq!(micros(&rfc3339(at_us)), Some(at_us));
        }
        assert_eq!(rfc3339(1_800_000_000_000_001), "2027-01-15T08:00:00.000001Z");
        assert_eq!(micros("2027-01-15T17:00:00.000001+09:00"), Some(1_800_000_000_000_001));
        assert_eq!(micros("yesterday"), None);
    }
}
