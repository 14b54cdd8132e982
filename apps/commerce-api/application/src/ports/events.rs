use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{BoxError, OutboxRecord, StorageError};

/// An outbox row, waiting to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Place in the outbox; ascends within an aggregate.
    pub id: i64,
    /// The event.
    pub record: PublishedEvent,
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

/// How much waits in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxDepth {
    /// Rows.
    pub rows: i64,
    /// When the oldest happened, in microseconds since the epoch.
    pub oldest_at_us: Option<i64>,
}

/// The outbox, as the relay sees it.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// The first `limit` rows of a shard, by id. Read without a cursor on purpose: a lower id may commit later.
    async fn first(&self, shard: i16, limit: u64) -> Result<Vec<OutboxRow>, StorageError>;

    /// Deletes rows that were acknowledged, by id and event id, if the shard's lease `lease` still has `fence`; false,
    /// and nothing deleted, where another holds it.
    async fn delete(&self, lease: &str, fence: i64, rows: &[(i64, Uuid)]) -> Result<bool, StorageError>;

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
    /// How long a shard is held without being renewed.
    pub lease: Duration,
    /// How often it looks without being woken.
    pub every: Duration,
}
