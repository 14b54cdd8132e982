use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use commerce_api_domain::Timestamp;

use crate::ports::{OutboxRow, PublishedEvent, Stream};

/// Aggregates remembered at most; those beyond are tried with every pass.
const COUNT_MAX: u32 = 1_000;

struct Wait {
    until: Timestamp,
    pause: Duration,
}

/// The aggregates of which an event failed: until it is tried again nothing of them is read, so that they neither fill
/// the pages nor overtake themselves.
pub(super) struct HeldBack {
    waits: BTreeMap<Stream, Wait>,
    backoff: (Duration, Duration),
    refused_pause: Duration,
}

impl HeldBack {
    pub const fn new(backoff: (Duration, Duration), refused_pause: Duration) -> Self {
        Self { waits: BTreeMap::new(), backoff, refused_pause }
    }

    /// The aggregates that are not to be read at `now`.
    pub fn until_later(&self, now: Timestamp) -> Vec<Stream> {
        let later = self.waits.iter().filter(|(_, wait)| now < wait.until);
        later.map(|(stream, _)| stream.clone()).collect()
    }

    /// These are all the rows that were to be read, unless there are `more`: who waited and has none, waits no more.
    pub fn read(&mut self, rows: &[OutboxRow], more: bool, now: Timestamp) {
        if more || self.waits.is_empty() {
            return;
        }
        let present: BTreeSet<Stream> = rows.iter().map(|row| row.record.stream()).collect();
        self.waits.retain(|stream, wait| now < wait.until || present.contains(stream));
    }

    /// An event of it was acknowledged.
    pub fn let_go(&mut self, event: &PublishedEvent) {
        if !self.waits.is_empty() {
            self.waits.remove(&event.stream());
        }
    }

    /// The bus will not take the event as it is.
    pub fn refused(&mut self, event: &PublishedEvent, now: Timestamp) {
        let pause = self.refused_pause;
        self.wait(event.stream(), Wait { until: now.plus(pause), pause });
    }

    /// The event was not taken this time.
    pub fn failed(&mut self, event: &PublishedEvent, now: Timestamp) {
        let stream = event.stream();
        let (first, longest) = self.backoff;
        let pause = match self.waits.get(&stream) {
            // Behind one that was noted in this pass.
            Some(wait) if now < wait.until => return,
            Some(wait) => (wait.pause * 2).min(longest),
            None => first,
        };
        self.wait(stream, Wait { until: now.plus(pause), pause });
    }

    fn wait(&mut self, stream: Stream, wait: Wait) {
        if self.waits.len() < usize::try_from(COUNT_MAX).unwrap_or(usize::MAX)
            || self.waits.contains_key(&stream)
        {
            self.waits.insert(stream, wait);
        }
    }

    /// How many there are.
    pub fn count(&self) -> f64 {
        f64::from(u32::try_from(self.waits.len()).unwrap_or(u32::MAX))
    }
}
