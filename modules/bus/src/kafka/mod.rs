//! Apache Kafka: the event bus of many machines.
//!
//! The client library has threads of its own and calls that block. Whatever may block runs on threads for that; a member
//! of a group has one thread that polls, and hands over to its readers through a bounded buffer for each partition.

mod client;
mod commits;
mod group;
mod log;
mod member;
mod options;
mod producer;
mod reader;
mod slot;
mod topics;

pub use options::{KafkaOptions, KafkaSecurity};
pub use topics::KafkaTopic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use commerce_runtime::Clock;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;

use crate::{BusError, EventBus, GroupConsumer, PartitionLag, Producer, TopicSpec};
use client::Listener;
use group::Rebalances;
use log::Tail;
use member::KafkaMember;
use producer::{KafkaProducer, Publisher};
use topics::{Known, no_partition};

/// Describes what the bus measures; called once when metrics are set up.
pub(crate) fn describe_metrics() {
    metrics::describe_histogram!(
        "commerce_bus_rebalance_callback_seconds",
        metrics::Unit::Seconds,
        "How long the Kafka client was held up while partitions came (kind=assign) or went (kind=revoke)"
    );
    metrics::describe_counter!(
        "commerce_bus_paused_total",
        "Times that no more of a partition was fetched from Kafka until its reader had caught up"
    );
    metrics::describe_counter!(
        "commerce_bus_commits_deferred_total",
        "Offsets that a Kafka group did not take at once; they are offered again"
    );
}

/// A client that speaks for a group without being its member.
type GroupClient = Arc<BaseConsumer<Listener>>;

/// A Kafka cluster. Clones share the connections.
#[derive(Clone)]
pub struct KafkaBus {
    inner: Arc<Inner>,
}

struct Inner {
    options: KafkaOptions,
    clock: Arc<dyn Clock>,
    listener: Listener,
    publisher: Publisher,
    topics: Known,
    groups: Mutex<HashMap<String, GroupClient>>,
    tail: Mutex<Option<Tail>>,
    rebalances: Arc<Rebalances>,
    closed: AtomicBool,
}

impl Inner {
    /// A topic's or group's name in the cluster.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    fn failed(&self, error: KafkaError) -> BusError {
        self.listener.failed(&self.options.brokers, error)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn open(&self) -> Result<(), BusError> {
        if self.is_closed() { Err(BusError::Closed) } else { Ok(()) }
    }

    /// Has a call that blocks made on a thread for such.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        self.open()?;
        let inner = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.unwrap_or_else(|error| Err(BusError::Unavailable(error.into())))
    }
}

impl KafkaBus {
    /// Makes the clients; nobody is connected to yet, so the brokers may come later. [`BusError::Refused`] where the
    /// settings make no sense to the client, or need a feature that this program was built without.
    #[expect(clippy::unused_async, reason = "buses are opened alike")]
    pub async fn open(options: KafkaOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let listener = Listener::default();
        let publisher = Publisher::new(&options, &listener)?;
        let inner = Inner {
            options,
            clock,
            listener,
            publisher,
            topics: Known::default(),
            groups: Mutex::default(),
            tail: Mutex::default(),
            rebalances: Arc::default(),
            closed: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the cluster answers now; the error says whom it was asked.
    pub async fn answers(&self) -> Result<(), BusError> {
        self.inner.blocking(|inner| inner.look_for_topics().map(drop)).await
    }

    /// All topics of the cluster that have the prefix, by name.
    pub async fn topics(&self) -> Result<Vec<KafkaTopic>, BusError> {
        self.inner.blocking(Inner::look_for_topics).await
    }

    /// How long the last rebalances of this handle's members held up the client.
    pub fn rebalances(&self) -> Vec<Duration> {
        self.inner.rebalances.durations()
    }

    /// Has all members of this handle stand still for good, as those of a process that hangs. For tests.
    #[doc(hidden)]
    pub fn hang(&self) {
        self.inner.rebalances.hang.store(true, Ordering::Relaxed);
    }

    /// Has the next offsets that members of this handle commit answered like this. For tests.
    #[doc(hidden)]
    pub fn refuse_commits(&self, codes: impl IntoIterator<Item = rdkafka::types::RDKafkaErrorCode>) {
        let mut refusals = self.inner.rebalances.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.extend(codes);
    }

    /// Closes the bus for every clone and for what they gave out: later calls get [`BusError::Closed`]. What waits to be
    /// published is published first, for as long as a record may wait.
    pub async fn close(self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        let (client, timeout) = (self.inner.publisher.client(), self.inner.options.publish_timeout);
        let flushed = tokio::task::spawn_blocking(move || client.flush(timeout)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "not everything was published before the bus was closed");
        }
    }
}

#[async_trait]
impl EventBus for KafkaBus {
    async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.inner.make_topics(topics).await
    }

    fn producer(&self) -> Arc<dyn Producer> {
        Arc::new(KafkaProducer { inner: self.inner.clone() })
    }

    async fn join(&self, group: &str, topics: &[&str]) -> Result<Box<dyn GroupConsumer>, BusError> {
        self.answers().await?;
        Ok(Box::new(KafkaMember::join(self.inner.clone(), group, topics)?))
    }

    async fn lag(&self, group: &str, topics: &[&str]) -> Result<Vec<PartitionLag>, BusError> {
        let names: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let group = group.to_owned();
        let work = move |inner: &Inner| {
            let topics = inner.topics_named(&names)?;
            let partitions: Vec<(String, i32)> = topics
                .into_iter()
                .flat_map(|KafkaTopic { name, partitions }| {
                    partitions.into_iter().map(move |(partition, _)| (name.clone(), partition))
                })
                .collect();
            let committed = inner.committed(&group, &partitions)?;
            let mut lags = Vec::with_capacity(partitions.len());
            for (topic, partition) in partitions {
                let (earliest, end) = inner.reach(&topic, partition)?;
                let committed = committed.get(&(topic.clone(), partition)).copied().unwrap_or(earliest);
                lags.push(PartitionLag { topic, partition, end, committed, lag: (end - committed).max(0) });
            }
            Ok(lags)
        };
        self.inner.blocking(work).await
    }

    async fn earliest(&self, topic: &str, partition: i32) -> Result<i64, BusError> {
        let topic = topic.to_owned();
        let work = move |inner: &Inner| {
            let found = inner.topics_named(std::slice::from_ref(&topic))?;
            let is_there = found.iter().any(|topic| topic.partitions.iter().any(|(id, _)| *id == partition));
            if !is_there {
                return Err(no_partition(&topic, partition));
            }
            inner.reach(&topic, partition).map(|(earliest, _)| earliest)
        };
        self.inner.blocking(work).await
    }

    async fn copies(&self, topic: &str) -> Result<usize, BusError> {
        let wanted = topic.to_owned();
        let found = self.inner.blocking(move |inner| inner.topics_named(&[wanted])).await?;
        let copies = found.iter().flat_map(|topic| &topic.partitions).map(|(_, copies)| *copies).min();
        copies.ok_or_else(|| BusError::Refused(format!("there is no topic {topic}")))
    }
}
