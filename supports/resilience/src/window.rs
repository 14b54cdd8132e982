use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Parts of a time window. It slides by one part at a time, so it covers between nine and ten tenths of its length.
const BUCKETS: usize = 10;

/// Over which calls the rates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// The last so many calls.
    Count(u32),
    /// The calls of the last so long, in ten buckets.
    Time(Duration),
}

/// What one call adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
    /// Of the slow ones.
    pub(crate) slow_failed: u32,
}

impl Tally {
    fn add(&mut self, sample: Sample) {
        self.calls += 1;
        self.failed += u32::from(sample.failed);
        self.slow += u32::from(sample.slow);
        self.slow_failed += u32::from(sample.slow && sample.failed);
    }

    fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
        self.slow_failed -= other.slow_failed;
    }

    fn of(sample: Sample) -> Self {
        let mut tally = Self::default();
        tally.add(sample);
        tally
    }
}

/// The last calls, however long ago they were.
#[derive(Debug)]
pub(crate) struct CountWindow {
    size: usize,
    samples: VecDeque<Sample>,
    tally: Tally,
}

impl CountWindow {
    pub(crate) fn new(size: u32) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Self { size, samples: VecDeque::with_capacity(size), tally: Tally::default() }
    }

    pub(crate) fn record(&mut self, sample: Sample) {
        if self.samples.len() == self.size
            && let Some(oldest) = self.samples.pop_front()
        {
            self.tally.subtract(Tally::of(oldest));
        }
        self.samples.push_back(sample);
        self.tally.add(sample);
    }

    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }
}

/// The calls of a while, counted in buckets: neither memory nor work grows with the calls.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    bucket: Duration,
    buckets: [Tally; BUCKETS],
    current: usize,
    /// When the current bucket began.
    began: Instant,
    tally: Tally,
}

impl TimeWindow {
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        let bucket = length / u32::try_from(BUCKETS).unwrap_or(u32::MAX);
        Self { bucket, buckets: [Tally::default(); BUCKETS], current: 0, began: now, tally: Tally::default() }
    }

    pub(crate) fn record(&mut self, sample: Sample, now: Instant) {
        self.slide(now);
        self.buckets[self.current].add(sample);
        self.tally.add(sample);
    }

    pub(crate) fn tally(&mut self, now: Instant) -> Tally {
        self.slide(now);
        self.tally
    }

    fn slide(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_nanos() / self.bucket.as_nanos().max(1);
        for _ in 0..passed.min(BUCKETS as u128) {
            self.current = (self.current + 1) % BUCKETS;
            self.tally.subtract(std::mem::take(&mut self.buckets[self.current]));
        }
        let step = u32::try_from(passed).unwrap_or(u32::MAX);
        self.began += self.bucket.saturating_mul(step);
    }
}

/// Either of them.
#[derive(Debug)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    pub(crate) fn new(kind: WindowKind, now: Instant) -> Self {
        match kind {
            WindowKind::Count(size) => Self::Count(CountWindow::new(size)),
            WindowKind::Time(length) => Self::Time(TimeWindow::new(length, now)),
        }
    }

    pub(crate) fn record(&mut self, sample: Sample, now: Instant) {
        match self {
            Self::Count(window) => window.record(sample),
            Self::Time(window) => window.record(sample, now),
        }
    }

    pub(crate) fn tally(&mut self, now: Instant) -> Tally {
        match self {
            Self::Count(window) => window.tally(),
            Self::Time(window) => window.tally(now),
        }
    }
}

#[cfg(test)]
mod tests;
