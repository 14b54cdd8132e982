//! The collector's storage: what a batch counts, its dedupe rows and its offset change together or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_bus::Assignment;
use commerce_collector::Weights;
use commerce_collector::application::ports::{
    Batch, BoardStore, Claimed, Collected, CountedEvent, MetricsStore, StoreError, Verdict,
};
use commerce_collector_domain::{Metrics, Standing, Tally, standings};
use uuid::Uuid;

use crate::fault::Fault;
use crate::life::Life;
use crate::world::{World, locked};

/// A day's changes, and how many of them its board shows.
#[derive(Debug, Clone, Copy, Default)]
struct Changes {
    changed: u64,
    applied: u64,
}

/// What is counted.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    offsets: BTreeMap<(String, i32), (i64, Option<i64>)>,
    /// Events that were handled.
    pub handled: BTreeSet<Uuid>,
    /// Of all days together.
    pub totals: BTreeMap<i64, Metrics>,
    /// By day and product.
    pub daily: BTreeMap<(NaiveDate, i64), Metrics>,
    days: BTreeMap<NaiveDate, Changes>,
    /// Boards of everything.
    pub boards: BTreeMap<NaiveDate, Vec<Standing>>,
    /// Records that were set aside.
    pub set_aside: Vec<String>,
    lease: Option<(Uuid, i64)>,
}

/// The collector's storage.
pub struct Counts {
    world: Arc<World>,
    rows: Mutex<Rows>,
}

impl Counts {
    /// Nothing counted.
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, rows: Mutex::default() })
    }

    /// The rows as they are.
    pub fn rows(&self) -> Rows {
        locked(&self.rows).clone()
    }

    /// Whether every day's board shows all of it.
    pub fn is_ranked(&self) -> bool {
        locked(&self.rows).days.values().all(|day| day.changed == day.applied)
    }

    /// How many events were handled.
    pub fn handled(&self) -> usize {
        locked(&self.rows).handled.len()
    }
}

impl Rows {
    fn collect(&mut self, batch: &Batch) -> Result<Collected, StoreError> {
        let owner = &batch.assignment;
        let offset = self.offsets.get_mut(&(owner.topic.clone(), owner.partition));
        let Some((_, next)) = offset.filter(|(epoch, _)| *epoch == owner.epoch) else {
            return Err(StoreError::Fenced);
        };
        *next = Some(batch.next);
        let mut new: Vec<&CountedEvent> = Vec::new();
        let mut collected = Collected::default();
        for item in batch.items() {
            match &item.verdict {
                Verdict::Count(event) if self.handled.insert(event.id) => new.push(event),
                Verdict::Count(_) => collected.duplicates += 1,
                Verdict::SetAside(cause) => {
                    collected.set_aside += 1;
                    self.set_aside.push(format!("{}: {}", cause.class, cause.detail));
                }
            }
        }
        collected.counted = new.len();
        let tally = Tally::of(new.iter().flat_map(|event| &event.deltas)).unwrap_or_default();
        for (product, metrics) in &tally.totals {
            add(self.totals.entry(*product).or_default(), *metrics);
        }
        for (key, metrics) in &tally.daily {
            add(self.daily.entry(*key).or_default(), *metrics);
        }
        for day in tally.days() {
            self.days.entry(day).or_default().changed += 1;
        }
        Ok(collected)
    }
}

fn add(to: &mut Metrics, more: Metrics) {
    *to = to.checked_add(more).unwrap_or_default();
}

/// The board of everything of a day.
pub fn board(daily: &BTreeMap<(NaiveDate, i64), Metrics>, day: NaiveDate, weights: Weights) -> Vec<Standing> {
    let of_day = daily.iter().filter(|((of, _), _)| *of == day);
    standings(of_day.map(|((_, product), metrics)| (*product, weights.score(metrics))))
}

/// The collector's storage as one process reaches it.
#[derive(Clone)]
pub struct CountsClient {
    /// The storage.
    pub counts: Arc<Counts>,
    /// The process.
    pub life: Arc<Life>,
}

impl CountsClient {
    async fn run<R>(&self, work: impl FnOnce(&mut Rows) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let world = &self.counts.world;
        let lost = || StoreError::Unavailable("the connection broke".into());
        self.life.gate().await;
        if world.strikes(Fault::CountRefused) {
            self.life.gate().await;
            return Err(lost());
        }
        let done = work(&mut locked(&self.counts.rows));
        self.life.gate().await;
        if world.strikes(Fault::CountAnswerLost) { Err(lost()) } else { done }
    }
}

#[async_trait]
impl MetricsStore for CountsClient {
    async fn claim(&self, assignment: &Assignment, _: u32) -> Result<Claimed, StoreError> {
        self.run(|rows| {
            let key = (assignment.topic.clone(), assignment.partition);
            let (epoch, next) = rows.offsets.get(&key).copied().unwrap_or_default();
            let epoch = epoch + 1;
            rows.offsets.insert(key, (epoch, next));
            Ok(Claimed { epoch, next, set_aside: Vec::new() })
        })
        .await
    }

    async fn open_letters(&self, _: &str, _: i32, _: i64) -> Result<i64, StoreError> {
        // Nobody deals with them here: a consumer that halts stays halted.
        Ok(1)
    }

    async fn collect(&self, batch: Batch) -> Result<Collected, StoreError> {
        let collected = self.run(|rows| rows.collect(&batch)).await;
        self.counts.world.note(|| {
            let Assignment { topic, partition, epoch } = &batch.assignment;
            let outcome = match &collected {
                Ok(done) => format!("{} new, {} known", done.counted, done.duplicates),
                Err(error) => error.to_string(),
            };
            format!(
                "{} counts {topic}/{partition} under {epoch} up to {}: {outcome}",
                self.life.name, batch.next
            )
        });
        collected
    }
}

#[async_trait]
impl BoardStore for CountsClient {
    async fn hold(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError> {
        self.run(|rows| {
            let is_free = rows.lease.is_none_or(|(holder, until)| holder == owner || until <= now_us);
            if is_free {
                rows.lease = Some((owner, until_us));
            }
            Ok(is_free)
        })
        .await
    }

    async fn end_lease(&self) -> Result<(), StoreError> {
        self.run(|rows| {
            rows.lease = None;
            Ok(())
        })
        .await
    }

    async fn release(&self, owner: Uuid) -> Result<(), StoreError> {
        self.run(|rows| {
            rows.lease = rows.lease.filter(|(holder, _)| *holder != owner);
            Ok(())
        })
        .await
    }

    async fn dirty_days(&self, limit: u64) -> Result<Vec<NaiveDate>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.run(|rows| {
            let dirty = rows.days.iter().filter(|(_, day)| day.changed > day.applied);
            Ok(dirty.map(|(day, _)| *day).take(limit).collect())
        })
        .await
    }

    async fn rank_day(&self, day: NaiveDate, weights: Weights) -> Result<(), StoreError> {
        self.run(|rows| {
            let ranked = board(&rows.daily, day, weights);
            rows.boards.insert(day, ranked);
            let changes = rows.days.entry(day).or_default();
            changes.applied = changes.changed;
            Ok(())
        })
        .await
    }
}
