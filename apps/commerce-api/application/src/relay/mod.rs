//! The relay: publishes what the outbox holds, in the order of each aggregate, and deletes what the bus acknowledged.
//!
//! Aggregates are spread over shards; a relay publishes only shards whose lease it holds, and what it deletes is deleted
//! under the lease's fence. A relay that lost its lease without knowing can therefore only publish again, and consumers
//! ignore an event that they handled. An event that fails holds back the later ones of its aggregate and nobody else's.

mod held_back;
mod shards;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::Timestamp;
use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::desk::Listener;
use crate::ports::{
    AcknowledgedRow, Clock, EventPublisher, IdSource, LeaseStore, OutboxRow, OutboxStore, PublishError,
    RelayOptions, StorageError,
};
use held_back::HeldBack;
use shards::Shards;

pub use shards::SHARDS;

/// How often the depth of the outbox is measured.
const DEPTH_EVERY: Duration = Duration::from_secs(5);

/// Describes what the relay measures; called once when metrics are set up.
pub fn describe_metrics() {
    metrics::describe_gauge!("commerce_outbox_rows", "Events in the outbox, counted up to 100,000");
    metrics::describe_gauge!("commerce_outbox_oldest_age_seconds", "Age of the oldest event in the outbox");
    metrics::describe_gauge!(
        "commerce_outbox_held_back",
        "Aggregates whose events wait behind one that failed"
    );
    metrics::describe_counter!("commerce_outbox_refused_total", "Events that the bus refused, each time");
    metrics::describe_gauge!("commerce_relay_shards", "Shards of the outbox that this process publishes");
    metrics::describe_counter!("commerce_relay_failures_total", "Passes of the relay that failed, by cause");
    metrics::describe_counter!(
        "commerce_events_published_total",
        "Events that the bus acknowledged, by type"
    );
}

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// Rows read.
    pub read: usize,
    /// Events acknowledged, and deleted unless the shard was lost meanwhile.
    pub published: usize,
    /// Events that were not acknowledged.
    pub failed: usize,
    /// There may be more to read at once.
    pub more: bool,
}

/// Publishes the outbox.
pub struct Relay {
    outbox: Arc<dyn OutboxStore>,
    publisher: Arc<dyn EventPublisher>,
    clock: Arc<dyn Clock>,
    options: RelayOptions,
    shards: Shards,
    held_back: HeldBack,
    /// Acknowledged, and not deleted yet since storage failed.
    acknowledged: Vec<AcknowledgedRow>,
}

impl Relay {
    /// With these adapters; it holds its leases under a name of its own.
    pub fn new(
        outbox: Arc<dyn OutboxStore>,
        publisher: Arc<dyn EventPublisher>,
        leases: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        ids: &dyn IdSource,
        options: RelayOptions,
    ) -> Self {
        let shards = Shards::new(leases, ids.uuid(), options.lease, options.alone);
        let held_back = HeldBack::new(options.backoff, options.refused_pause);
        Self { outbox, publisher, clock, options, shards, held_back, acknowledged: Vec::new() }
    }

    /// Under which name it holds its leases.
    pub const fn owner(&self) -> Uuid {
        self.shards.owner()
    }

    /// Reads, publishes and deletes once: one statement, one publish, one transaction, whatever the number of shards.
    pub async fn step(&mut self) -> Result<Pass, StorageError> {
        let now = self.clock.now();
        self.shards.hold(now).await?;
        // First, or the same events would be published once more.
        self.delete_acknowledged().await?;
        let shards = self.shards.held();
        if shards.is_empty() {
            return Ok(Pass::default());
        }
        let held_back = self.held_back.until_later(now);
        let rows = self.outbox.first(&shards, &held_back, self.options.batch_max).await?;
        let read = rows.len();
        let more = u64::try_from(read).unwrap_or(u64::MAX) >= self.options.batch_max;
        if rows.is_empty() {
            self.held_back.read(&rows, more, now);
            return Ok(Pass::default());
        }
        self.held_back.read(&rows, more, now);
        let outcomes = self.publisher.publish(rows.iter().map(|row| row.record.clone()).collect()).await;
        let (published, failed) = self.note(&rows, outcomes, now);
        self.delete_acknowledged().await?;
        Ok(Pass { read, published, failed, more })
    }

    /// Sorts out what became of each row; gives back how many were acknowledged and how many not.
    fn note(
        &mut self,
        rows: &[OutboxRow],
        outcomes: Vec<Result<(), PublishError>>,
        now: Timestamp,
    ) -> (usize, usize) {
        // A publisher that answers too little has not acknowledged the rest.
        let mut failures = Vec::new();
        for (row, outcome) in rows.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.held_back.let_go(&row.record);
                    self.acknowledged.push(AcknowledgedRow {
                        id: row.id,
                        event_id: row.record.event_id,
                        shard: row.shard,
                    });
                }
                Err(error) => failures.push((row, error)),
            }
        }
        let published = self.acknowledged.len();
        for (row, error) in failures {
            match error {
                PublishError::Refused(reason) => {
                    metrics::counter!("commerce_outbox_refused_total").increment(1);
                    let (event, topic, aggregate) = (row.record.event_id, &row.record.topic, &row.record.key);
                    tracing::error!(
                        outbox_id = row.id, %event, topic, aggregate, reason,
                        "the bus refuses an event; it stays in the outbox, and later ones of its aggregate behind it"
                    );
                    self.held_back.refused(&row.record, now);
                }
                // Where nothing at all went through it is the bus, and not an aggregate.
                PublishError::Unavailable(error) if published > 0 => {
                    tracing::debug!(
                        outbox_id = row.id,
                        error,
                        "an event was not published; it is tried again"
                    );
                    self.held_back.failed(&row.record, now);
                }
                PublishError::Unavailable(_) => {}
            }
        }
        metrics::gauge!("commerce_outbox_held_back").set(self.held_back.count());
        (published, rows.len() - published)
    }

    async fn delete_acknowledged(&mut self) -> Result<(), StorageError> {
        if self.acknowledged.is_empty() {
            return Ok(());
        }
        let lost = self.outbox.delete(&self.shards.leases(), &self.acknowledged).await?;
        // What stands in a lost shard is its new owner's to publish again and to delete.
        self.acknowledged.clear();
        if !lost.is_empty() {
            tracing::warn!(
                ?lost,
                "other relays took shards over; what was published of them may be published twice"
            );
            self.shards.lost(&lost);
        }
        Ok(())
    }

    /// Publishes until `stop` turns true or its sender is gone; woken by each of `wake` and by time. Then it publishes
    /// what is left for a bounded time, and lets its shards go.
    pub async fn run(mut self, mut wake: Vec<Listener>, mut stop: watch::Receiver<bool>) {
        let mut pause = self.options.backoff.0;
        let mut measured_at: Option<Instant> = None;
        loop {
            if measured_at.is_none_or(|at| at.elapsed() >= DEPTH_EVERY) {
                measured_at = Some(Instant::now());
                self.measure().await;
            }
            let (woken, wait) = match self.guarded_step().await {
                Some(pass) if pass.failed == 0 || pass.published > 0 => {
                    pause = self.options.backoff.0;
                    let wait = if pass.more { Duration::ZERO } else { self.options.every };
                    (raised(&mut wake).left_future(), wait)
                }
                // The bus or storage is down: for ever, but not faster than it can recover.
                _ => {
                    let wait = pause;
                    pause = (pause * 2).min(self.options.backoff.1);
                    (std::future::pending().right_future(), wait)
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = woken => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.drain().await;
        self.measure().await;
        self.shards.release(self.clock.now()).await;
    }

    /// A pass of which nothing stops the relay for the life of the process; none where it failed.
    async fn guarded_step(&mut self) -> Option<Pass> {
        match AssertUnwindSafe(self.step()).catch_unwind().await {
            Ok(Ok(pass)) => {
                if pass.failed > 0 && pass.published == 0 {
                    metrics::counter!("commerce_relay_failures_total", "cause" => "bus").increment(1);
                    tracing::warn!(failed = pass.failed, "the bus took no event; it is tried again");
                }
                Some(pass)
            }
            Ok(Err(error)) => {
                metrics::counter!("commerce_relay_failures_total", "cause" => "storage").increment(1);
                tracing::warn!(%error, "the relay could not read or delete; it tries again");
                None
            }
            Err(_) => {
                metrics::counter!("commerce_relay_failures_total", "cause" => "panic").increment(1);
                tracing::error!("the relay panicked; it tries again");
                None
            }
        }
    }

    async fn drain(&mut self) {
        let until = Instant::now() + self.options.drain_max;
        let drained = async {
            loop {
                match self.guarded_step().await {
                    Some(Pass { more: false, failed: 0, .. }) => return,
                    Some(pass) if pass.published > 0 => {}
                    _ => tokio::time::sleep(self.options.backoff.0).await,
                }
            }
        };
        if tokio::time::timeout_at(until, drained).await.is_err() {
            tracing::warn!("events are left in the outbox; they are published after the next start");
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rows and microseconds are far below 2^52")]
    async fn measure(&self) {
        match self.outbox.depth().await {
            Ok(depth) => {
                let now = self.clock.now().as_micros();
                let age_us =
                    depth.oldest_at.map_or(0, |oldest| now.saturating_sub(oldest.as_micros()).max(0));
                metrics::gauge!("commerce_outbox_rows").set(depth.rows as f64);
                metrics::gauge!("commerce_outbox_oldest_age_seconds").set(age_us as f64 / 1e6);
            }
            Err(error) => tracing::debug!(%error, "the depth of the outbox was not measured"),
        }
    }
}

/// Waits for any of them.
async fn raised(wake: &mut [Listener]) {
    if wake.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(wake.iter_mut().map(|wake| Box::pin(wake.raised()))).await;
}
