use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_bus::{
    BusError, EventBus, GroupConsumer, PartitionConsumer, Position, Received, Record, TopicSpec,
};

/// A topic of three partitions that every fixture has.
pub const TOPIC: &str = "order";
/// Another one.
pub const OTHER: &str = "product.like";

/// A bus under test.
#[async_trait]
pub trait Fixture: Sync {
    /// An empty bus with [`TOPIC`] and [`OTHER`].
    async fn new() -> Self
    where
        Self: Sized;

    /// One more node's handle on it.
    async fn open(&self) -> Arc<dyn EventBus>;

    /// A handle of a node whose members tell once that they live and never again.
    async fn open_silent(&self) -> Arc<dyn EventBus>;

    /// Lets the time pass after which a silent member counts as dead.
    fn expire_sessions(&self);
}

pub const TOPICS: [TopicSpec; 2] =
    [TopicSpec { name: TOPIC, partitions: 3 }, TopicSpec { name: OTHER, partitions: 2 }];

/// What must come, comes soon; the bound is for tests that fail.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes soon")
}

pub fn record(key: impl Display, value: impl Into<Bytes>) -> Record {
    Record { topic: TOPIC.to_owned(), key: key.to_string(), headers: Vec::new(), value: value.into() }
}

pub fn numbered(key: impl Display, number: usize) -> Record {
    record(key, number.to_string())
}

pub async fn publish(bus: &Arc<dyn EventBus>, records: Vec<Record>) -> Vec<Position> {
    let outcomes = soon(bus.producer().publish(records)).await;
    outcomes.into_iter().collect::<Result<_, _>>().unwrap()
}

/// The next `count` partitions that the member is given.
pub async fn assigned(member: &mut Box<dyn GroupConsumer>, count: usize) -> Vec<Box<dyn PartitionConsumer>> {
    let mut readers = Vec::new();
    for _ in 0..count {
        readers.push(soon(member.assigned()).await.unwrap());
    }
    readers
}

/// A group of one member that was given every partition of [`TOPIC`].
pub async fn alone(
    bus: &Arc<dyn EventBus>,
    group: &str,
) -> (Box<dyn GroupConsumer>, Vec<Box<dyn PartitionConsumer>>) {
    let mut member = soon(bus.join(group, &[TOPIC])).await.unwrap();
    let readers = assigned(&mut member, 3).await;
    (member, readers)
}

/// Reads on in all partitions until `count` records came, one batch of each at a time.
pub async fn read(readers: &mut [Box<dyn PartitionConsumer>], count: usize) -> Vec<Received> {
    let mut records = Vec::new();
    while records.len() < count {
        let fetches = readers.iter_mut().map(|reader| Box::pin(reader.fetch(100, Duration::ZERO)));
        let (batch, ..) = soon(futures::future::select_all(fetches)).await;
        records.extend(batch.unwrap());
    }
    records
}

/// The numbers of [`numbered`] records by key, in the order in which they came.
pub fn by_key(records: &[Received]) -> BTreeMap<String, Vec<usize>> {
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for record in records {
        let number = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
        numbers.entry(String::from_utf8(record.key.to_vec()).unwrap()).or_default().push(number);
    }
    numbers
}

/// The reader of a partition that is known to have a record.
pub async fn one_batch(reader: &mut Box<dyn PartitionConsumer>) -> Result<Vec<Received>, BusError> {
    soon(reader.fetch(100, Duration::ZERO)).await
}
