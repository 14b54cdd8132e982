use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::buyer::{Answer, Attempt};

/// What is counted over all orders.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Told PAID.
    pub sold: u64,
    /// Told that there is nothing left.
    pub refused: u64,
    /// Told something else, by code.
    pub errors: BTreeMap<String, u64>,
    /// Not told anything, by the last cause.
    pub unanswered: BTreeMap<String, u64>,
    /// Requests beyond the first of each order.
    pub repeats: u64,
    /// Answers that had been given before under the same key.
    pub replayed: u64,
}

impl Counts {
    /// Counts one order.
    pub fn add(&mut self, attempt: &Attempt) {
        match &attempt.answer {
            Answer::Paid(_) => self.sold += 1,
            Answer::OutOfStock => self.refused += 1,
            Answer::Waiting(_) => *self.unanswered.entry("NOT_SETTLED".to_owned()).or_default() += 1,
            Answer::Other(code) => *self.errors.entry(code.clone()).or_default() += 1,
            Answer::None(cause) => *self.unanswered.entry(cause.clone()).or_default() += 1,
        }
        self.repeats += u64::from(attempt.repeats);
        self.replayed += u64::from(attempt.replayed);
    }

    /// Orders that got an answer.
    pub fn answered(&self) -> u64 {
        self.sold + self.refused + self.errors.values().sum::<u64>()
    }

    /// Adds what somebody else counted.
    pub fn merge(&mut self, other: Self) {
        self.sold += other.sold;
        self.refused += other.refused;
        self.repeats += other.repeats;
        self.replayed += other.replayed;
        for (ours, theirs) in [(&mut self.errors, other.errors), (&mut self.unanswered, other.unanswered)] {
            for (code, count) in theirs {
                *ours.entry(code).or_default() += count;
            }
        }
    }
}

/// Latencies of answers.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet; three significant digits, from a microsecond to ten minutes.
    pub fn new() -> Self {
        // The arguments are constants that the histogram accepts; the smallest one stands in for "cannot be".
        let histogram = Histogram::new_with_bounds(1, 600_000_000, 3).or_else(|_| Histogram::new(1));
        Self(histogram.unwrap_or_else(|error| panic!("a histogram of fixed size: {error}")))
    }

    /// Records one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds what somebody else recorded.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so nothing can be out of range.
        if let Err(error) = self.0.add(&other.0) {
            tracing::error!(%error, "latencies were lost");
        }
    }

    /// The figures of interest.
    pub fn summary(&self) -> LatencySummary {
        let at = |quantile| millis(self.0.value_at_quantile(quantile));
        LatencySummary { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: millis(self.0.max()) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes are exact in an f64")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Half of the answers came within.
    pub p50: f64,
    /// 99 % did.
    pub p99: f64,
    /// 99.9 % did.
    pub p999: f64,
    /// All did.
    pub max: f64,
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "a count of answers is exact in an f64")]
pub fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_thousand_known_latencies() {
        let (mut even, mut odd) = (Latencies::new(), Latencies::new());
        for ms in 1..=1_000 {
            if ms % 2 == 0 { &mut even } else { &mut odd }.record(Duration::from_millis(ms));
        }
        even.merge(&odd);
        let summary = even.summary();
        for (value, expected) in
            [(summary.p50, 500.0), (summary.p99, 990.0), (summary.p999, 999.0), (summary.max, 1_000.0)]
        {
            assert!((value - expected).abs() <= expected / 500.0, "{value} {expected}");
        }
    }

    #[test]
    fn rates() {
        assert!((per_second(500, Duration::from_millis(250)) - 2_000.0).abs() < 1e-9);
        assert!(per_second(5, Duration::ZERO).abs() < f64::EPSILON);
    }
}
