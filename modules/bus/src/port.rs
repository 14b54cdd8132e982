use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// The driver's own error, kept as the source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the bus did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It cannot be reached, or is busy; the same again later may work. Whether a record was kept is unknown.
    #[error("the bus is unavailable")]
    Unavailable(#[source] BoxError),
    /// The record or request can never be taken as it is: too large, unknown topic.
    #[error("the bus refused it: {0}")]
    Refused(String),
    /// The partition is no longer this member's: stop writing on its behalf.
    #[error("the assignment was taken away")]
    Revoked,
    /// The bus was closed in this process.
    #[error("the bus is closed")]
    Closed,
}

/// A topic and how many partitions it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: &'static str,
    /// Partitions, at least 1.
    pub partitions: i32,
}

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where to.
    pub topic: String,
    /// Records of one key keep their order.
    pub key: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, Bytes)>,
    /// The value.
    pub value: Bytes,
}

/// Where a record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which partition of its topic.
    pub partition: i32,
    /// Its place there; ascends, perhaps with gaps.
    pub offset: i64,
}

/// A record as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Which partition of it.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: Bytes,
    /// Names and values, in their order.
    pub headers: Vec<(String, Bytes)>,
    /// The value: any bytes at all, whoever published them.
    pub value: Bytes,
    /// When the bus took it, in microseconds since the epoch.
    pub kept_at_us: i64,
}

/// A partition given to one member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Grows every time the partition is given to somebody, for as long as the bus remembers the group: who goes on with
    /// a lower one is a zombie. Kafka has no such number, there it is the moment of the assignment; so whoever writes
    /// elsewhere on behalf of a partition is fenced there, by a number that is counted there.
    pub epoch: i64,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record that will be kept.
    pub end: i64,
    /// Offset that the group committed: the next it wants.
    pub committed: i64,
    /// Records in between.
    pub lag: i64,
}

/// An event bus.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Makes the topics that are missing; leaves the others as they are. Safe to call from several nodes at once.
    async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError>;

    /// Publishes. There is one producer for all of a process.
    fn producer(&self) -> std::sync::Arc<dyn Producer>;

    /// Joins a group that shares out all partitions of `topics`. Leaving is dropping it, or [`GroupConsumer::leave`].
    async fn join(&self, group: &str, topics: &[&str]) -> Result<Box<dyn GroupConsumer>, BusError>;

    /// How far `group` is behind, for every partition of `topics`.
    async fn lag(&self, group: &str, topics: &[&str]) -> Result<Vec<PartitionLag>, BusError>;

    /// The oldest offset still kept of a partition.
    async fn earliest(&self, topic: &str, partition: i32) -> Result<i64, BusError>;

    /// On how many machines each record of a topic is kept; of its partitions, the one with the fewest counts.
    async fn copies(&self, topic: &str) -> Result<usize, BusError> {
        let _ = topic;
        Ok(1)
    }
}

/// Publishes records.
#[async_trait]
pub trait Producer: Send + Sync + 'static {
    /// Publishes in the order given; as many results as records. A record is kept durably where its result is a
    /// position. After one that failed, later records of the same key fail too, so that order holds.
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Position, BusError>>;
}

/// Membership in a group. While it lives it keeps itself alive in the background.
#[async_trait]
pub trait GroupConsumer: Send {
    /// Waits for the next partition that is given to this member.
    async fn assigned(&mut self) -> Result<Box<dyn PartitionConsumer>, BusError>;

    /// Gives all partitions back and leaves, so that others take them over at once.
    async fn leave(self: Box<Self>) -> Result<(), BusError>;
}

/// A partition that this member reads.
#[async_trait]
pub trait PartitionConsumer: Send {
    /// Which, and under which epoch.
    fn assignment(&self) -> &Assignment;

    /// Offset that the group last committed here; none where it never did.
    async fn committed(&self) -> Result<Option<i64>, BusError>;

    /// Reads on from `next`. Without a call it starts where the group committed, or at the earliest record.
    async fn seek(&mut self, next: i64) -> Result<(), BusError>;

    /// Waits for at least one record, then at most `linger` for up to `max` of them. Dropping the future loses
    /// nothing. [`BusError::Revoked`] where the partition is no longer this member's.
    async fn fetch(&mut self, max: usize, linger: Duration) -> Result<Vec<Received>, BusError>;

    /// Commits `next` as the offset to go on from. Advice for the next owner; the truth about what was counted is the
    /// reader's own.
    async fn commit(&mut self, next: i64) -> Result<(), BusError>;
}

/// How far back and how far on a partition reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the oldest record that is kept; the end where none is.
    pub earliest: i64,
    /// Offset of the next record that will be kept.
    pub end: i64,
    /// When the oldest record was taken, in microseconds since the epoch; none where there is none.
    pub first_kept_at_us: Option<i64>,
    /// Every record that was taken at this moment or later is kept; none where nothing was ever deleted.
    pub complete_since_us: Option<i64>,
}

/// Records for whoever reads them outside of any group: nobody's offsets move.
#[async_trait]
pub trait LogReader: Send + Sync + 'static {
    /// Every partition of `topics`.
    async fn reaches(&self, topics: &[&str]) -> Result<Vec<Reach>, BusError>;

    /// Up to `max` records of a partition from the offset `from` on, in order; fewer where there are no more now.
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Received>, BusError>;
}
