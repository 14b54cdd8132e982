//! Metrics from the log, beside live counting.
//!
//! Effects are sums, so nothing has to stand still. At one moment the rebuild remembers how far live counting is (the
//! watermark) and what it has counted; then it counts the log up to the watermark into tables of its own, in bounded
//! steps; what differs between the two is exactly what live counting had wrong, and is added to the live tables in one
//! transaction, whatever was counted there meanwhile.

mod ports;

use std::sync::Arc;

use chrono::NaiveDate;
use commerce_bus::{BusError, LogReader, Reach, Received};
use commerce_collector_domain::Delta;
use commerce_contracts::topics;
use commerce_runtime::{Clock, fill_random};
use uuid::Uuid;

use super::dead_letters::Hand;
use super::intake::Intake;
use super::ports::{StoreError, Verdict};

pub use ports::{Comparison, Progress, RebuildStore, Run, ShadowStep};

/// Records of one step.
const STEP: usize = 1_000;
/// Letters of one step.
const LETTERS: u64 = 100;

/// Why metrics are not rebuilt. What was done so far stays, and the same command goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log does not reach back so far.
    #[error("the event log does not hold everything from {from} on; the earliest start is {earliest}")]
    BeforeTheLog {
        /// What was asked for.
        from: NaiveDate,
        /// The earliest day that can be.
        earliest: NaiveDate,
    },
    /// There is nothing to rebuild from.
    #[error("the event log is empty")]
    EmptyLog,
    /// Nothing was counted there yet.
    #[error("{0} lies in the future")]
    Future(NaiveDate),
    /// Another one was begun and neither ended nor abandoned.
    #[error(
        "a rebuild from {0} is under way; go on with it by the same command, or abandon it with `--abandon`"
    )]
    UnderWay(NaiveDate),
    /// Somebody else goes on with the same rebuild.
    #[error("another process goes on with this rebuild")]
    Taken,
    /// A record that live counting has counted cannot be read any more.
    #[error(
        "the record at offset {offset} of {topic}/{partition} was counted and cannot be read now ({cause})"
    )]
    Undecodable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record.
        offset: i64,
        /// Why.
        cause: &'static str,
    },
    /// The log deleted records while the rebuild stood still.
    #[error(
        "the log deleted records of {topic}/{partition} before they were read; abandon this rebuild with `--abandon` and begin again"
    )]
    Purged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The log cannot be read.
    #[error("the event log cannot be read")]
    Bus(#[from] BusError),
    /// Storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for RebuildError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::Taken,
            other => Self::Store(other),
        }
    }
}

/// Rebuilds metrics.
pub struct MetricsRebuild {
    /// Where they are.
    pub store: Arc<dyn RebuildStore>,
    /// The log.
    pub log: Arc<dyn LogReader>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Judges records as the consumer does.
    pub intake: Intake,
}

impl MetricsRebuild {
    /// Counts the days from `from` on into the shadow, or goes on where an earlier call was cut off, and compares.
    /// Nothing live has changed yet. `told` hears how many records were read and how many there are.
    pub async fn count(
        &self,
        from: NaiveDate,
        mut told: impl FnMut(i64, i64) + Send,
    ) -> Result<Comparison, RebuildError> {
        let run = match self.store.under_way().await? {
            Some(run) if run.from != from => return Err(RebuildError::UnderWay(run.from)),
            Some(run) => run,
            None => self.begin(from).await?,
        };
        let length = |part: &Progress| if part.is_of_letters() { 0 } else { part.until - part.next };
        let all: i64 = run.progress.iter().map(length).sum();
        let mut read = 0;
        for mut part in run.progress {
            while part.next < part.until {
                let next = if part.is_of_letters() {
                    self.letters(&part, from).await?
                } else {
                    self.records(&part, from).await?
                };
                if !part.is_of_letters() {
                    read += next - part.next;
                }
                part.next = next;
                told(read, all);
            }
        }
        Ok(self.store.compare().await?)
    }

    /// Puts right what differs; gives back what that was.
    pub async fn apply(&self, actor: &str) -> Result<(), RebuildError> {
        let at_us = self.clock.now_us();
        let today = self.intake.zone.day(at_us).unwrap_or_default();
        let hand = Hand { actor: actor.to_owned(), at_us, today, token: token() };
        Ok(self.store.apply(&hand).await?)
    }

    /// Forgets a rebuild that is under way; whether there was one.
    pub async fn abandon(&self) -> Result<bool, RebuildError> {
        Ok(self.store.abandon().await?)
    }

    async fn begin(&self, from: NaiveDate) -> Result<Run, RebuildError> {
        let now_us = self.clock.now_us();
        if self.intake.zone.day(now_us).is_none_or(|today| from > today) {
            return Err(RebuildError::Future(from));
        }
        let reaches = self.log.reaches(topics::ALL).await?;
        let earliest = self.earliest(&reaches).ok_or(RebuildError::EmptyLog)?;
        if from < earliest {
            return Err(RebuildError::BeforeTheLog { from, earliest });
        }
        let begins = reaches.into_iter().map(|reach| (reach.topic, reach.partition, reach.earliest));
        self.store.begin(from, begins.collect(), now_us).await?;
        self.store.under_way().await?.ok_or(RebuildError::Taken)
    }

    /// The first day all of whose events are in the log: an event may be dated before it was published by any time, after
    /// it by no more than clocks may differ.
    fn earliest(&self, reaches: &[Reach]) -> Option<NaiveDate> {
        let zone = self.intake.zone;
        let first = reaches.iter().filter_map(|reach| reach.first_kept_at_us).min()?;
        let Some(complete) = reaches.iter().filter_map(|reach| reach.complete_since_us).max() else {
            return zone.day(first);
        };
        let skew_us = i64::try_from(self.intake.future_max.as_micros()).unwrap_or(i64::MAX);
        let day = zone.day(complete.saturating_add(skew_us))?;
        if zone.start_of(day) >= complete.saturating_add(skew_us) { Some(day) } else { day.succ_opt() }
    }

    /// One step through a partition; where to go on.
    async fn records(&self, part: &Progress, from: NaiveDate) -> Result<i64, RebuildError> {
        let Progress { topic, partition, next, until } = part;
        let records = self.log.read(topic, *partition, *next, STEP).await?;
        if records.first().is_none_or(|first| first.offset != *next) {
            let reaches = self.log.reaches(&[topic]).await?;
            let earliest = reaches.iter().find(|reach| reach.partition == *partition).map(|r| r.earliest);
            if earliest.is_none_or(|earliest| earliest > *next) {
                return Err(RebuildError::Purged { topic: topic.clone(), partition: *partition });
            }
        }
        let records: Vec<_> = records.into_iter().filter(|record| record.offset < *until).collect();
        let after = records.last().map_or(*until, |last| last.offset + 1);
        let set_aside = self.store.set_aside(topic, *partition, *next..after).await?;
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            // What was set aside was not counted, whatever today's code makes of it; if it was replayed it comes with
            // the letters.
            if !set_aside.contains(&(record.offset, record.kept_at_us)) {
                events.extend(self.event(record, from)?);
            }
        }
        self.store.add(ShadowStep { progress: part.clone(), next: after, events, token: token() }).await?;
        Ok(after)
    }

    /// One step through the letters that were replayed.
    async fn letters(&self, part: &Progress, from: NaiveDate) -> Result<i64, RebuildError> {
        let letters = self.store.replayed(part.next, LETTERS).await?;
        let after = letters.last().map_or(part.until, |last| last.id);
        let mut events = Vec::with_capacity(letters.len());
        for letter in letters {
            events.extend(self.event(letter.into_record(), from)?);
        }
        self.store.add(ShadowStep { progress: part.clone(), next: after, events, token: token() }).await?;
        Ok(after)
    }

    /// What a record that was counted counts for on the days from `from` on; none where that is nothing.
    fn event(&self, record: Received, from: NaiveDate) -> Result<Option<(Uuid, Vec<Delta>)>, RebuildError> {
        // It was no event of the future when it was counted.
        let item = self.intake.judge(record, i64::MAX);
        let event = match item.verdict {
            Verdict::Count(event) => event,
            Verdict::SetAside(cause) => {
                let Received { topic, partition, offset, .. } = item.record;
                return Err(RebuildError::Undecodable { topic, partition, offset, cause: cause.class });
            }
        };
        let deltas: Vec<_> = event.deltas.into_iter().filter(|delta| delta.day >= from).collect();
        Ok((!deltas.is_empty()).then_some((event.id, deltas)))
    }
}

fn token() -> i64 {
    let mut token = [0; 8];
    fill_random(&mut token);
    i64::from_le_bytes(token)
}
