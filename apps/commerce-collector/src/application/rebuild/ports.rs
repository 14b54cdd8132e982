//! What a rebuild of the metrics needs of storage.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_collector_domain::{Delta, Metrics};
use uuid::Uuid;

use crate::application::dead_letters::Hand;
use crate::application::ports::{DeadLetter, StoreError};

/// What is read, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The topic; empty for the letters that were replayed.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read, or the id of the letter that was read last.
    pub next: i64,
    /// Where to stop: what live counting had counted when the rebuild began.
    pub until: i64,
}

impl Progress {
    /// Whether it is the progress through the replayed letters.
    pub fn is_of_letters(&self) -> bool {
        self.topic.is_empty()
    }
}

/// A rebuild that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first day that is rebuilt.
    pub from: NaiveDate,
    /// Everything that is read.
    pub progress: Vec<Progress>,
}

/// Events that are added to the shadow, and how far that brings it.
#[derive(Debug, Clone)]
pub struct ShadowStep {
    /// What was read; its `next` is where it began.
    pub progress: Progress,
    /// Where to go on.
    pub next: i64,
    /// Events and what they count for on the days that are rebuilt.
    pub events: Vec<(Uuid, Vec<Delta>)>,
    /// A random number: what carries it was inserted by this step.
    pub token: i64,
}

/// What the shadow has that live counting had not when the rebuild began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Days and products compared.
    pub compared: i64,
    /// Days and products that differ.
    pub differing: i64,
    /// Products whose total differs.
    pub totals: i64,
    /// The first of those that differ: day, product, what is to be added.
    pub examples: Vec<(NaiveDate, i64, Metrics)>,
}

/// The shadow tables.
#[async_trait]
pub trait RebuildStore: Send + Sync + 'static {
    /// The rebuild that is under way, if any.
    async fn under_way(&self) -> Result<Option<Run>, StoreError>;

    /// Begins one: remembers, at one moment, how far live counting is, what it has counted since `from`, and which
    /// letters were replayed. `earliest`: where each partition begins.
    async fn begin(
        &self,
        from: NaiveDate,
        earliest: Vec<(String, i32, i64)>,
        at_us: i64,
    ) -> Result<(), StoreError>;

    /// Offset and time of the records of a partition between two offsets that were set aside.
    async fn set_aside(
        &self,
        topic: &str,
        partition: i32,
        offsets: std::ops::Range<i64>,
    ) -> Result<HashSet<(i64, i64)>, StoreError>;

    /// Letters that had been replayed when the rebuild began, by id.
    async fn replayed(&self, after: i64, limit: u64) -> Result<Vec<DeadLetter>, StoreError>;

    /// Adds events, each once, and moves on: both or nothing. [`StoreError::Fenced`] where somebody else moved on.
    async fn add(&self, step: ShadowStep) -> Result<(), StoreError>;

    /// Compares the shadow with what live counting had.
    async fn compare(&self) -> Result<Comparison, StoreError>;

    /// Puts what differs right in the live tables and ends the rebuild, in one transaction.
    async fn apply(&self, hand: &Hand) -> Result<(), StoreError>;

    /// Ends the rebuild without a change; whether there was one.
    async fn abandon(&self) -> Result<bool, StoreError>;

    /// Days that have metrics, after `after`, in order.
    async fn days(&self, after: Option<NaiveDate>, limit: u64) -> Result<Vec<NaiveDate>, StoreError>;
}
