use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AcknowledgedRow, EventPublisher, HeldShard, IdSource, OutboxDepth, OutboxRow, OutboxStore, PublishError,
    PublishedEvent, RelayOptions, StorageError, Stream,
};
use commerce_api_application::relay::{Pass, Relay};
use commerce_api_domain::Timestamp;
use commerce_api_infrastructure::bus::BusPublisher;
use commerce_api_infrastructure::runtime::{ManualClock, SequenceIds};
use commerce_api_infrastructure::sql::{self, SqlLeases, SqlOutbox};
use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus, TopicSpec};
use commerce_contracts::{AggregateType, Envelope, LikeChanged, event, topics};
use commerce_database::{Database, SqliteOptions};
use commerce_databases::Scratch;
use commerce_servers::ServerKind;
use sea_orm::{ConnectionTrait, Statement, Value};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// What must come, comes soon; the bound is for tests that fail.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes soon")
}

/// An event as a consumer of the log finds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub key: String,
    pub sequence: i64,
    pub id: Uuid,
}

/// A database with an outbox, a log, and what a relay needs between them.
pub struct Rig {
    pub db: Database,
    pub log: EmbeddedLog,
    pub clock: Arc<ManualClock>,
    pub ids: Arc<SequenceIds>,
    readers: AtomicU32,
    /// Where the outbox is, if not in the directory: the same tests are built twice.
    server: Option<Scratch>,
    directory: TempDir,
}

impl Rig {
    pub async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let server = match env!("CARGO_CRATE_NAME") {
            "relay_on_mysql" => {
                let migrated =
                    |database: Database| async move { sql::migrate(&database, NOW).await.map(drop) };
                Some(Scratch::migrated(ServerKind::MySql, "oltp", migrated).await)
            }
            _ => None,
        };
        let db = database(&directory, server.as_ref()).await;
        if server.is_none() {
            sql::migrate(&db, NOW).await.unwrap();
        }
        let log = EmbeddedOptions {
            durable: false,
            alone: true,
            record_bytes_max: 10_000,
            ..EmbeddedOptions::new(directory.path().join("events.sqlite"))
        };
        let log = EmbeddedLog::open(log, Arc::new(commerce_runtime::SystemClock)).await.unwrap();
        let all: Vec<TopicSpec> =
            topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS }).collect();
        log.ensure_topics(&all).await.unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        Self { db, log, clock, ids: Arc::default(), readers: AtomicU32::new(0), server, directory }
    }

    /// The outbox as another node sees it: with connections of its own.
    pub async fn second_node(&self) -> Database {
        database(&self.directory, self.server.as_ref()).await
    }

    pub fn outbox(&self) -> Arc<SqlOutbox> {
        Arc::new(SqlOutbox::new(self.db.clone()))
    }

    pub fn publisher(&self) -> Arc<BusPublisher> {
        Arc::new(BusPublisher::new(self.log.producer()))
    }

    pub fn relay(&self) -> Relay {
        self.relay_with(self.outbox(), self.publisher(), RelayOptions::DEFAULT)
    }

    pub fn relay_with(
        &self,
        outbox: Arc<dyn OutboxStore>,
        publisher: Arc<dyn EventPublisher>,
        options: RelayOptions,
    ) -> Relay {
        let leases = Arc::new(SqlLeases::new(self.db.clone()));
        Relay::new(outbox, publisher, leases, self.clock.clone(), &*self.ids, options)
    }

    /// Puts the `sequence`th event of like `key` into the outbox.
    pub async fn add(&self, key: &str, sequence: i64) -> Uuid {
        self.add_row(None, topics::PRODUCT_LIKE, key, sequence, "").await
    }

    /// The same under an id, for a topic, with `padding` in its payload.
    pub async fn add_row(
        &self,
        id: Option<i64>,
        topic: &str,
        key: &str,
        sequence: i64,
        padding: &str,
    ) -> Uuid {
        let event_id = self.ids.uuid();
        let envelope = Envelope {
            event_id,
            event_type: "LikeAdded".to_owned(),
            version: 1,
            aggregate_type: AggregateType::ProductLike,
            aggregate_id: key.to_owned(),
            sequence,
            occurred_at: "2027-01-15T08:00:00.000000Z".to_owned(),
            payload: LikeChanged { product_id: 1, user_id: 2 },
        };
        let payload = serde_json::to_string(&envelope).unwrap() + padding;
        let headers = r#"{"ce_type": "LikeAdded"}"#;
        let shard = i64::from(key.bytes().fold(0_u8, u8::wrapping_add) % 16);
        let row = "INSERT INTO outbox (id, event_id, aggregate_type, aggregate_id, sequence, topic, headers, \
                   payload, shard, at) VALUES (?, ?, 'PRODUCT_LIKE', ?, ?, ?, ?, ?, ?, ?)";
        let values = [
            id.into(),
            event_id.into(),
            key.into(),
            sequence.into(),
            topic.into(),
            headers.into(),
            payload.into(),
            shard.into(),
            NOW.as_micros().into(),
        ];
        self.execute(row, values).await;
        event_id
    }

    pub async fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let tx = self.db.begin_write("test").await.unwrap();
        tx.execute_raw(Statement::from_sql_and_values(self.db.dialect().backend(), sql, values))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Rows in the outbox.
    pub async fn waiting(&self) -> u64 {
        self.outbox().depth().await.unwrap().rows
    }

    /// Every event in the log, in the order of its partition.
    pub async fn published(&self) -> Vec<Found> {
        let group = format!("reader-{}", self.readers.fetch_add(1, Ordering::SeqCst));
        let lags = self.log.lag(&group, topics::ALL).await.unwrap();
        let mut member = soon(self.log.join(&group, topics::ALL)).await.unwrap();
        let mut found = Vec::new();
        for _ in &lags {
            let mut reader = soon(member.assigned()).await.unwrap();
            let partition = reader.assignment().clone();
            let lag = lags
                .iter()
                .find(|lag| (&lag.topic, lag.partition) == (&partition.topic, partition.partition));
            let mut next = lag.unwrap().committed;
            while next < lag.unwrap().end {
                for record in soon(reader.fetch(1_000, Duration::ZERO)).await.unwrap() {
                    next = record.offset + 1;
                    let event = event::decode(&record.topic, &record.value).unwrap();
                    let key = String::from_utf8(record.key.to_vec()).unwrap();
                    assert_eq!(key, event.aggregate_id);
                    found.push(Found { key, sequence: event.sequence, id: event.id });
                }
            }
        }
        found
    }

    /// The sequences of each key, in the order of the log.
    pub async fn sequences(&self) -> BTreeMap<String, Vec<i64>> {
        by_key(&self.published().await)
    }
}

async fn database(directory: &TempDir, server: Option<&Scratch>) -> Database {
    if let Some(server) = server {
        return server.open().await;
    }
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("oltp.db")) };
    Database::open_sqlite(options).await.unwrap()
}

pub fn by_key(found: &[Found]) -> BTreeMap<String, Vec<i64>> {
    let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in found {
        keys.entry(event.key.clone()).or_default().push(event.sequence);
    }
    keys
}

/// What is left when a consumer ignores the ids that it has seen.
pub fn deduped(found: &[Found]) -> Vec<Found> {
    let mut seen = BTreeSet::new();
    found.iter().filter(|event| seen.insert(event.id)).cloned().collect()
}

/// Steps until a pass finds nothing more.
pub async fn drain(relay: &mut Relay) -> usize {
    let mut published = 0;
    loop {
        let Pass { published: now, read, .. } = soon(relay.step()).await.unwrap();
        published += now;
        if read == 0 {
            return published;
        }
    }
}

/// A bus that a test takes down, and that can be made to wait.
pub struct Unsteady {
    pub inner: Arc<dyn EventPublisher>,
    pub down: AtomicBool,
    /// Events that are taken before the bus goes down by itself; below 0: no limit.
    pub takes: AtomicI64,
    pub calls: AtomicU32,
}

impl Unsteady {
    pub fn new(inner: Arc<dyn EventPublisher>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            down: AtomicBool::new(false),
            takes: AtomicI64::new(-1),
            calls: AtomicU32::new(0),
        })
    }
}

#[async_trait]
impl EventPublisher for Unsteady {
    async fn publish(&self, events: Vec<PublishedEvent>) -> Vec<Result<(), PublishError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let count = events.len();
        let takes = match self.takes.load(Ordering::SeqCst) {
            _ if self.down.load(Ordering::SeqCst) => 0,
            takes if takes < 0 => count,
            takes => usize::try_from(takes).unwrap().min(count),
        };
        let mut outcomes = self.inner.publish(events.into_iter().take(takes).collect()).await;
        outcomes.resize_with(count, || Err(PublishError::Unavailable("the bus is down".into())));
        outcomes
    }
}

/// An outbox whose relay stands still before it deletes, until it is let on.
pub struct Halting {
    pub inner: Arc<dyn OutboxStore>,
    pub halts: AtomicBool,
    pub reached: Notify,
    pub go_on: Notify,
}

impl Halting {
    pub fn new(inner: Arc<dyn OutboxStore>) -> Arc<Self> {
        Arc::new(Self { inner, halts: AtomicBool::new(true), reached: Notify::new(), go_on: Notify::new() })
    }
}

#[async_trait]
impl OutboxStore for Halting {
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        self.inner.first(shards, held_back, limit).await
    }

    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError> {
        if self.halts.load(Ordering::SeqCst) {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
        self.inner.delete(held, rows).await
    }

    async fn depth(&self) -> Result<OutboxDepth, StorageError> {
        self.inner.depth().await
    }
}

/// Steps until the relay is about to delete, and kills it there.
pub async fn killed_before_delete(relay: &mut Relay, outbox: &Halting) {
    tokio::select! {
        _ = relay.step() => panic!("it halts before it deletes"),
        () = soon(outbox.reached.notified()) => {}
    }
}
