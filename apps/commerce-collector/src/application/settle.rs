//! A batch until all of it is counted or set aside.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use commerce_bus::Assignment;
use commerce_runtime::{BusinessZone, Clock, fill_random};
use tokio::sync::watch;
use tokio::time::Instant;

use super::failure::{Chain, Halt};
use super::intake::uncountable;
use super::metrics;
use super::ports::{Batch, Item, MetricsStore, StoreError, Verdict};
use super::state::ConsumerState;
use commerce_collector_domain::Quarantine;

/// Times that a record alone is tried before it is set aside.
const ATTEMPTS_MAX: u32 = 3;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Why a batch was not settled.
#[derive(Debug)]
pub enum Unsettled {
    /// The consumer stops; what is not counted is read again.
    Stopped,
    /// The partition is somebody else's.
    Fenced,
    /// Nothing can go on.
    Halted(Halt),
}

/// Writes the batches of one partition.
pub struct Settler {
    pub store: Arc<dyn MetricsStore>,
    pub clock: Arc<dyn Clock>,
    pub zone: BusinessZone,
    pub state: ConsumerState,
    pub stop: watch::Receiver<bool>,
    pub assignment: Assignment,
    pub quarantine: Quarantine,
    /// Records that the quarantine looks back on.
    pub window: u32,
}

impl Settler {
    /// Counts or sets aside all items, in order. What is done when it returns early is done for good, and the offset in
    /// storage says how far that is.
    pub async fn settle(&mut self, items: Vec<Item>) -> Result<(), Unsettled> {
        let (admitted, halt) = self.admitted(items);
        let items: Arc<[Item]> = admitted.into();
        let whole = 0..items.len();
        let mut open = vec![whole];
        while let Some(range) = open.pop() {
            if range.is_empty() {
                continue;
            }
            match self.write(&items, range.clone()).await {
                Ok(()) => {}
                Err(Unwritten::Ended(unsettled)) => return Err(unsettled),
                // The left half comes first: the offset only moves forward.
                Err(Unwritten::Data(error)) if range.len() > 1 => {
                    tracing::warn!(error = %Chain(&error), records = range.len(), "a batch is refused; it is halved");
                    let middle = range.start + range.len() / 2;
                    open.push(middle..range.end);
                    open.push(range.start..middle);
                }
                Err(Unwritten::Data(error)) => self.settle_alone(&items, range.start, error).await?,
            }
        }
        halt.map_or(Ok(()), |halt| Err(Unsettled::Halted(halt)))
    }

    /// The items before the first that may not be set aside any more.
    fn admitted(&mut self, mut items: Vec<Item>) -> (Vec<Item>, Option<Halt>) {
        for (index, item) in items.iter().enumerate() {
            let Verdict::SetAside(cause) = &item.verdict else { continue };
            if !self.quarantine.admit(item.record.offset) {
                let halt = self.too_many(item.record.offset, cause.class);
                items.truncate(index);
                return (items, Some(halt));
            }
        }
        (items, None)
    }

    fn too_many(&self, offset: i64, cause: &'static str) -> Halt {
        Halt::TooManyDeadLetters {
            topic: self.assignment.topic.clone(),
            partition: self.assignment.partition,
            offset,
            cause,
            limit: self.quarantine.limit(),
            window: self.window,
        }
    }

    /// A record that is refused alone: tried a few times more, then set aside.
    async fn settle_alone(
        &mut self,
        items: &Arc<[Item]>,
        index: usize,
        mut error: StoreError,
    ) -> Result<(), Unsettled> {
        for attempt in 1..ATTEMPTS_MAX {
            self.pause(attempt).await?;
            match self.write(items, index..index + 1).await {
                Ok(()) => return Ok(()),
                Err(Unwritten::Ended(unsettled)) => return Err(unsettled),
                Err(Unwritten::Data(again)) => error = again,
            }
        }
        let Some(item) = items.get(index) else { return Ok(()) };
        let offset = item.record.offset;
        if matches!(item.verdict, Verdict::SetAside(_)) {
            return Err(self.refused(offset, error));
        }
        tracing::error!(offset, error = %Chain(&error), "an event is refused each time; it is set aside");
        let set_aside = uncountable(item, &Chain(&error).to_string(), ATTEMPTS_MAX);
        if !self.quarantine.admit(offset) {
            return Err(Unsettled::Halted(self.too_many(offset, "STORE_REFUSED")));
        }
        match self.write(&Arc::from(vec![set_aside]), 0..1).await {
            Ok(()) => Ok(()),
            Err(Unwritten::Ended(unsettled)) => Err(unsettled),
            Err(Unwritten::Data(error)) => Err(self.refused(offset, error)),
        }
    }

    fn refused(&self, offset: i64, source: StoreError) -> Unsettled {
        let Assignment { topic, partition, .. } = self.assignment.clone();
        Unsettled::Halted(Halt::DeadLettersRefused { topic, partition, offset, source })
    }

    /// One transaction, tried for as long as storage is not there.
    async fn write(&mut self, items: &Arc<[Item]>, range: Range<usize>) -> Result<(), Unwritten> {
        let Some(last) = items.get(range.clone()).and_then(<[Item]>::last) else { return Ok(()) };
        let next = last.record.offset + 1;
        let mut attempt = 0;
        loop {
            let started = Instant::now();
            match self.store.collect(self.batch(items, range.clone(), next)).await {
                Ok(collected) => {
                    let written = items.get(range).unwrap_or_default();
                    metrics::batch(written, collected, started.elapsed());
                    if attempt > 0 {
                        self.state.stuck(&self.assignment.topic, self.assignment.partition, None);
                    }
                    return Ok(());
                }
                Err(StoreError::Fenced) => return Err(Unwritten::Ended(Unsettled::Fenced)),
                Err(error @ StoreError::Data(_)) => return Err(Unwritten::Data(error)),
                Err(error @ StoreError::Unavailable(_)) => {
                    attempt += 1;
                    tracing::warn!(error = %Chain(&error), attempt, "events cannot be counted now; tried again");
                    let Assignment { topic, partition, .. } = &self.assignment;
                    self.state.stuck(topic, *partition, Some(Chain(&error).to_string()));
                    self.pause(attempt).await.map_err(Unwritten::Ended)?;
                }
            }
        }
    }

    fn batch(&self, items: &Arc<[Item]>, range: Range<usize>, next: i64) -> Batch {
        let at_us = self.clock.now_us();
        let mut token = [0; 8];
        fill_random(&mut token);
        Batch {
            assignment: self.assignment.clone(),
            items: items.clone(),
            range,
            next,
            at_us,
            today: self.zone.day(at_us).unwrap_or_default(),
            token: i64::from_le_bytes(token),
        }
    }

    /// Waits longer each time; ends at once where the consumer stops.
    async fn pause(&mut self, attempt: u32) -> Result<(), Unsettled> {
        let pause = BACKOFF_MIN.saturating_mul(1 << attempt.min(10)).min(BACKOFF_MAX);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = self.stop.wait_for(|stop| *stop) => Err(Unsettled::Stopped),
        }
    }
}

enum Unwritten {
    Ended(Unsettled),
    Data(StoreError),
}
