//! What the use cases need of storage.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;
use commerce_bus::{Assignment, Received};
use commerce_collector_domain::{Delta, Metrics, Weights};
use uuid::Uuid;

/// The driver's own error, kept as the source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why storage did not do what it was asked to. Whatever it is, nothing of a transaction was kept, unless its COMMIT is
/// uncertain: then doing it again is safe, because an event is counted once.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The partition was given to somebody else, who counts from a later epoch.
    #[error("the partition is counted by another consumer, under a later epoch")]
    Fenced,
    /// It cannot be reached or is busy; the same again later may work.
    #[error("storage is unavailable")]
    Unavailable(#[source] BoxError),
    /// The rows themselves are refused, each time they are tried.
    #[error("storage refuses the data")]
    Data(#[source] BoxError),
}

/// An event that can be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedEvent {
    /// Counted once.
    pub id: Uuid,
    /// Its type's name.
    pub event_type: &'static str,
    /// Whose sequence it counts in.
    pub aggregate_type: &'static str,
    /// Which of them.
    pub aggregate_id: String,
    /// Its place in that sequence; 0 where nothing is counted.
    pub sequence: i64,
    /// What it adds.
    pub deltas: Vec<Delta>,
}

/// What is known of a record that is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Its event id, where it has one.
    pub event_id: Option<Uuid>,
    /// The type it says it is of.
    pub event_type: Option<String>,
    /// Whose sequence.
    pub aggregate_type: Option<String>,
    /// Which of them.
    pub aggregate_id: Option<String>,
    /// Its place in that sequence.
    pub sequence: Option<i64>,
}

/// Why a record is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A name of a fixed set, for metrics and lists.
    pub class: &'static str,
    /// What is wrong, for people; without values of the record.
    pub detail: String,
    /// Times it was tried.
    pub attempts: u32,
    /// What is known of it.
    pub identity: Identity,
}

/// What is done with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is counted, unless it was before.
    Count(CountedEvent),
    /// It is set aside.
    SetAside(Cause),
}

/// A record and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// As the bus gave it.
    pub record: Received,
    /// What is done with it.
    pub verdict: Verdict,
}

/// Records of a partition that are counted or set aside together, or not at all.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which partition, and under which epoch.
    pub assignment: Assignment,
    /// The records that were read together.
    pub items: Arc<[Item]>,
    /// Those of this batch.
    pub range: Range<usize>,
    /// Where to go on once it is done.
    pub next: i64,
    /// Now, in microseconds since the epoch.
    pub at_us: i64,
    /// Today in the shop's zone: what counts on an earlier day is late.
    pub today: NaiveDate,
    /// A random number: what carries it was inserted by this batch.
    pub token: i64,
}

impl Batch {
    /// The records of this batch.
    pub fn items(&self) -> &[Item] {
        self.items.get(self.range.clone()).unwrap_or_default()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Events counted now.
    pub counted: usize,
    /// Events that had been counted before.
    pub duplicates: usize,
    /// Records set aside.
    pub set_aside: usize,
}

/// Where a partition's new owner begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The epoch to count under: one more than that of whoever had the partition before.
    pub epoch: i64,
    /// The next offset to count; none where nothing of the partition ever was.
    pub next: Option<i64>,
    /// Offsets of the last `window` before it that were set aside and that nobody has dealt with.
    pub set_aside: Vec<i64>,
}

/// Counts, each once.
#[async_trait]
pub trait MetricsStore: Send + Sync + 'static {
    /// Takes a partition over under the next epoch; whoever had it under a lower one can write no more. The epoch is
    /// storage's own: what a bus numbers its assignments by may begin anew, when a group is forgotten or a log replaced.
    async fn claim(&self, assignment: &Assignment, window: u32) -> Result<Claimed, StoreError>;

    /// How many dead letters of the partition from `offset` on nobody has dealt with.
    async fn open_letters(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, StoreError>;

    /// Counts a batch, sets aside what cannot be, and moves the offset: all of it or nothing, in a number of statements
    /// that does not depend on its size.
    async fn collect(&self, batch: Batch) -> Result<Collected, StoreError>;
}

/// Ranks days.
#[async_trait]
pub trait BoardStore: Send + Sync + 'static {
    /// Holds the projector's lease for `owner` until `until_us`, or learns that another does.
    async fn hold(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError>;

    /// Frees the lease, whoever holds it: only for whoever knows that its holder is dead.
    async fn end_lease(&self) -> Result<(), StoreError>;

    /// Gives the lease back, so that another can take it at once.
    async fn release(&self, owner: Uuid) -> Result<(), StoreError>;

    /// Days that have changed since they were ranked, oldest first.
    async fn dirty_days(&self, limit: u64) -> Result<Vec<NaiveDate>, StoreError>;

    /// Ranks a day anew from its metrics, and the day after it where it has boards, whose previous ranks are those of
    /// this day: both or neither.
    async fn rank_day(&self, day: NaiveDate, weights: Weights) -> Result<(), StoreError>;
}

/// What was made of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// Nobody has dealt with it.
    Open,
    /// Its event is counted.
    Replayed,
    /// An operator gave it up.
    Discarded,
}

impl LetterState {
    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Replayed => "REPLAYED",
            Self::Discarded => "DISCARDED",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Replayed, Self::Discarded].into_iter().find(|state| state.name() == name)
    }
}

/// A dead letter, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Ascends in the order of setting aside.
    pub id: i64,
    /// Where it came from.
    pub topic: String,
    /// Where it came from.
    pub partition: i32,
    /// Where it came from.
    pub offset: i64,
    /// When the bus took it, in microseconds since the epoch.
    pub kept_at_us: i64,
    /// Its key.
    pub key: Bytes,
    /// Names and values of its headers.
    pub headers: Vec<(String, Bytes)>,
    /// Its value, as it came.
    pub value: Bytes,
    /// Why.
    pub cause: String,
    /// Why, for people.
    pub detail: String,
    /// Times it was tried.
    pub attempts: u32,
    /// What is known of it.
    pub identity: Identity,
    /// What was made of it.
    pub state: LetterState,
    /// When it was set aside, in microseconds since the epoch.
    pub set_aside_at_us: i64,
}

impl DeadLetter {
    /// The record, as the bus gave it.
    pub fn into_record(self) -> Received {
        let Self { topic, partition, offset, key, headers, value, kept_at_us, .. } = self;
        Received { topic, partition, offset, key, headers, value, kept_at_us }
    }
}

/// How far a partition is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedTo {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to count.
    pub next: i64,
}

/// Reads for the interface.
#[async_trait]
pub trait Queries: Send + Sync + 'static {
    /// A product's metrics of all days together, and those of the days from `from` to `to` that have any.
    async fn metrics(
        &self,
        product: i64,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<(Metrics, Vec<(NaiveDate, Metrics)>), StoreError>;

    /// Dead letters that nobody has dealt with.
    async fn open_dead_letters(&self) -> Result<i64, StoreError>;

    /// How far every partition is counted, without those of which nothing ever was.
    async fn counted_to(&self) -> Result<Vec<CountedTo>, StoreError>;
}
