use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::Timestamp;
use uuid::Uuid;

use super::{BoxError, OutboxRecord, StorageError};

/// An outbox row, waiting to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Place in the outbox; ascends within an aggregate.
    pub id: i64,
    /// Which shard publishes it; the same for all events of an aggregate.
    pub shard: i16,
    /// The event.
    pub record: PublishedEvent,
}

/// An aggregate by where its events go: its topic and its key there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// Where to.
    pub topic: String,
    /// The aggregate's id.
    pub key: String,
}

/// A row that the bus acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcknowledgedRow {
    /// Place in the outbox.
    pub id: i64,
    /// The event there.
    pub event_id: Uuid,
    /// Which shard published it.
    pub shard: i16,
}

/// A shard and the lease under which it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldShard {
    /// Which.
    pub shard: i16,
    /// Name of its lease.
    pub lease: &'static str,
    /// The fence that the lease had when it was taken.
    pub fence: i64,
}

/// An event as the bus takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Consumers dedupe by it.
    pub event_id: Uuid,
    /// Where to.
    pub topic: String,
    /// The aggregate's id.
    pub key: String,
    /// `CloudEvents` attributes and `traceparent`, as a JSON object.
    pub headers: String,
    /// The envelope as JSON.
    pub payload: String,
}

impl From<OutboxRecord> for PublishedEvent {
    fn from(record: OutboxRecord) -> Self {
        Self {
            event_id: record.event_id,
            topic: record.topic.to_owned(),
            key: record.aggregate_id,
            headers: record.headers,
            payload: record.payload,
        }
    }
}

impl PublishedEvent {
    /// Whose event it is.
    pub fn stream(&self) -> Stream {
        Stream { topic: self.topic.clone(), key: self.key.clone() }
    }
}

/// How much waits in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxDepth {
    /// Rows, counted up to [`Self::ROWS_MAX`]: a backlog must not be made worse by being counted.
    pub rows: u64,
    /// When the oldest happened.
    pub oldest_at: Option<Timestamp>,
}

impl OutboxDepth {
    /// What is counted at most.
    pub const ROWS_MAX: u32 = 100_000;
}

/// The outbox, as the relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// The first `limit` rows of `shards` by id, without those of `held_back`; all of one state of the outbox. Read
    /// without a cursor on purpose: a lower id may commit later.
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError>;

    /// Deletes rows that were acknowledged, by id and event id, if the leases of their shards still have their fences.
    /// Gives back the shards that another holds by now; of these nothing is deleted.
    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError>;

    /// How much waits.
    async fn depth(&self) -> Result<OutboxDepth, StorageError>;
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The bus cannot be reached; it may or may not have taken it.
    #[error("the bus is unavailable")]
    Unavailable(#[source] BoxError),
    /// The bus will never take this event as it is.
    #[error("the bus refused the event: {0}")]
    Refused(String),
}

/// The event bus, as publishers see it.
#[async_trait]
pub trait EventPublisher: Send + Sync + 'static {
    /// Publishes in order; as many results as events. After one that failed, later ones of the same key fail too.
    async fn publish(&self, events: Vec<PublishedEvent>) -> Vec<Result<(), PublishError>>;
}

/// Limits of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayOptions {
    /// Rows of one publish.
    pub batch_max: u64,
    /// How long a shard is held without being renewed: as long as another node waits where this one dies.
    pub lease: Duration,
    /// How often it looks without being woken.
    pub every: Duration,
    /// The first and the longest pause after the bus or storage failed.
    pub backoff: (Duration, Duration),
    /// How long the events of an aggregate wait after the bus refused one of them.
    pub refused_pause: Duration,
    /// How long it goes on publishing when it is told to stop.
    pub drain_max: Duration,
    /// No other node works on this outbox: leases found at the start are those of a process that died, and are taken over
    /// without waiting for their end.
    pub alone: bool,
}

impl RelayOptions {
    /// What holds where nothing else is said.
    pub const DEFAULT: Self = Self {
        batch_max: 1_000,
        lease: Duration::from_secs(10),
        every: Duration::from_millis(500),
        backoff: (Duration::from_millis(100), Duration::from_secs(5)),
        refused_pause: Duration::from_mins(1),
        drain_max: Duration::from_secs(5),
        alone: false,
    };
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}
