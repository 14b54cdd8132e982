//! The event bus: partitioned logs, and groups whose partitions move, also under the hands of those who have them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_bus::{
    Assignment, BusError, EventBus, GroupConsumer, PartitionConsumer, PartitionLag, Position, Producer,
    Received, Record, TopicSpec, partition_of,
};
use tokio::sync::Notify;

use crate::fault::Fault;
use crate::life::Life;
use crate::world::{World, locked};

type Key = (String, i32);

#[derive(Default)]
struct Partition {
    records: Vec<Received>,
    epoch: i64,
    owner: Option<u64>,
    committed: Option<i64>,
    /// Until then the former owner has not learned that it is another's.
    zombie_until: Duration,
    moved: Arc<Notify>,
}

struct Member {
    life: Arc<Life>,
    given: VecDeque<Assignment>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Logs {
    partitions: BTreeMap<Key, Partition>,
    members: BTreeMap<u64, Member>,
    joined: u64,
    /// Ids of events, however often they were published.
    events: BTreeSet<Bytes>,
    down_until: Duration,
}

/// The bus of all processes.
pub struct Bus {
    world: Arc<World>,
    logs: Mutex<Logs>,
}

fn unavailable() -> BusError {
    BusError::Unavailable("no answer from the bus".into())
}

impl Bus {
    /// Without records; every topic has so many partitions.
    pub fn new(world: Arc<World>, topics: &[&str], partitions: i32) -> Arc<Self> {
        let mut logs = Logs::default();
        for topic in topics {
            for partition in 0..partitions {
                logs.partitions.insert(((*topic).to_owned(), partition), Partition::default());
            }
        }
        Arc::new(Self { world, logs: Mutex::new(logs) })
    }

    /// Every record, partition by partition.
    pub fn records(&self) -> Vec<Received> {
        let logs = locked(&self.logs);
        logs.partitions.values().flat_map(|partition| partition.records.iter().cloned()).collect()
    }

    /// How many events there are, however often each was published.
    pub fn events(&self) -> usize {
        locked(&self.logs).events.len()
    }

    /// Nobody reaches it for so long.
    pub fn go_down(&self, span: Duration) {
        self.world.note(|| format!("bus down for {span:?}"));
        locked(&self.logs).down_until = self.world.clock.elapsed().saturating_add(span);
    }

    fn is_down(&self) -> bool {
        self.world.clock.elapsed() < locked(&self.logs).down_until
    }

    /// Expels members that do not answer, and perhaps moves a partition.
    pub fn tick(&self) {
        let silent =
            |member: &Member| member.life.is_dead() || member.life.still_frozen() > Duration::from_secs(3);
        let gone: Vec<u64> = {
            let logs = locked(&self.logs);
            logs.members.iter().filter(|(_, member)| silent(member)).map(|(id, _)| *id).collect()
        };
        for id in gone {
            self.leave(id);
        }
        if self.world.strikes(Fault::Rebalance) {
            let mut logs = locked(&self.logs);
            let (partitions, members) = (logs.partitions.len() as u64, logs.members.len() as u64);
            if members > 0 {
                let at = |draw: u64| usize::try_from(draw).unwrap_or_default();
                let key = logs.partitions.keys().nth(at(self.world.draw(0, partitions))).cloned();
                let to = logs.members.keys().nth(at(self.world.draw(0, members))).copied();
                if let (Some(key), Some(to)) = (key, to) {
                    self.give(&mut logs, &key, to);
                }
            }
        }
    }

    fn give(&self, logs: &mut Logs, key: &Key, to: u64) {
        let Some(partition) = logs.partitions.get_mut(key) else { return };
        let Some(member) = logs.members.get_mut(&to) else { return };
        let grace =
            if self.world.strikes(Fault::Zombie) { self.world.span(500, 8_000) } else { Duration::ZERO };
        partition.zombie_until = self.world.clock.elapsed().saturating_add(grace);
        partition.epoch += 1;
        partition.owner = Some(to);
        partition.moved.notify_waiters();
        let (topic, number, epoch) = (key.0.clone(), key.1, partition.epoch);
        self.world.note(|| format!("bus gives {topic}/{number} to {} under {epoch}", member.life.name));
        member.given.push_back(Assignment { topic, partition: number, epoch });
        member.wake.notify_one();
    }

    /// Shares all partitions out among those who are there; what stays with its owner stays under its epoch.
    fn share(&self, logs: &mut Logs) {
        let members: Vec<u64> = logs.members.keys().copied().collect();
        if members.is_empty() {
            return;
        }
        let keys: Vec<Key> = logs.partitions.keys().cloned().collect();
        for (index, key) in keys.iter().enumerate() {
            let Some(to) = members.get(index % members.len()) else { continue };
            if logs.partitions.get(key).is_some_and(|partition| partition.owner != Some(*to)) {
                self.give(logs, key, *to);
            }
        }
    }

    fn leave(&self, id: u64) {
        let mut logs = locked(&self.logs);
        let Some(member) = logs.members.remove(&id) else { return };
        self.world.note(|| format!("bus: {} is no member any more", member.life.name));
        member.wake.notify_one();
        for partition in logs.partitions.values_mut().filter(|partition| partition.owner == Some(id)) {
            partition.owner = None;
            partition.moved.notify_waiters();
        }
        self.share(&mut logs);
    }

    fn keep(&self, record: &Record, partition: i32) -> Position {
        let kept_at_us = commerce_runtime::Clock::now_us(&self.world.clock);
        let mut logs = locked(&self.logs);
        logs.events.extend(record.headers.iter().find(|(name, _)| name == "ce_id").map(|(_, id)| id.clone()));
        let log = logs.partitions.entry((record.topic.clone(), partition)).or_default();
        let offset = i64::try_from(log.records.len()).unwrap_or(i64::MAX);
        log.records.push(Received {
            topic: record.topic.clone(),
            partition,
            offset,
            key: Bytes::copy_from_slice(record.key.as_bytes()),
            headers: record.headers.clone(),
            value: record.value.clone(),
            kept_at_us,
        });
        log.moved.notify_waiters();
        Position { partition, offset }
    }

    fn publish(&self, records: &[Record]) -> Vec<Result<Position, BusError>> {
        let mut failed: Vec<(&str, &str)> = Vec::new();
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            let key = (record.topic.as_str(), record.key.as_str());
            let partition = partition_of(&record.key, commerce_contracts::topics::PARTITIONS);
            let refused = failed.contains(&key) || self.world.strikes(Fault::PublishFails);
            if refused {
                failed.push(key);
                results.push(Err(unavailable()));
                continue;
            }
            let position = self.keep(record, partition);
            if self.world.strikes(Fault::PublishAckLost) {
                failed.push(key);
                results.push(Err(unavailable()));
                continue;
            }
            results.push(Ok(position));
        }
        results
    }
}

/// The bus as one process reaches it.
#[derive(Clone)]
pub struct BusClient {
    /// The bus.
    pub bus: Arc<Bus>,
    /// The process.
    pub life: Arc<Life>,
}

impl BusClient {
    async fn there(&self) -> Result<(), BusError> {
        self.life.gate().await;
        if self.bus.is_down() { Err(unavailable()) } else { Ok(()) }
    }
}

#[async_trait]
impl Producer for BusClient {
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Position, BusError>> {
        if self.there().await.is_err() {
            return records.iter().map(|_| Err(unavailable())).collect();
        }
        let results = self.bus.publish(&records);
        self.life.gate().await;
        results
    }
}

#[async_trait]
impl EventBus for BusClient {
    async fn ensure_topics(&self, _: &[TopicSpec]) -> Result<(), BusError> {
        self.there().await
    }

    fn producer(&self) -> Arc<dyn Producer> {
        Arc::new(self.clone())
    }

    async fn join(&self, _: &str, _: &[&str]) -> Result<Box<dyn GroupConsumer>, BusError> {
        self.there().await?;
        let mut logs = locked(&self.bus.logs);
        logs.joined += 1;
        let (id, wake) = (logs.joined, Arc::new(Notify::new()));
        let member = Member { life: self.life.clone(), given: VecDeque::new(), wake: wake.clone() };
        logs.members.insert(id, member);
        self.bus.share(&mut logs);
        drop(logs);
        Ok(Box::new(Membership { client: self.clone(), id, wake }))
    }

    async fn lag(&self, _: &str, topics: &[&str]) -> Result<Vec<PartitionLag>, BusError> {
        self.there().await?;
        let logs = locked(&self.bus.logs);
        let of = logs.partitions.iter().filter(|((topic, _), _)| topics.contains(&topic.as_str()));
        let lag = of.map(|((topic, partition), log)| {
            let end = i64::try_from(log.records.len()).unwrap_or(i64::MAX);
            let committed = log.committed.unwrap_or_default();
            PartitionLag { topic: topic.clone(), partition: *partition, end, committed, lag: end - committed }
        });
        Ok(lag.collect())
    }

    async fn earliest(&self, _: &str, _: i32) -> Result<i64, BusError> {
        self.there().await.map(|()| 0)
    }
}

struct Membership {
    client: BusClient,
    id: u64,
    wake: Arc<Notify>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        // Who dies tells nobody.
        if !self.client.life.is_dead() {
            self.client.bus.leave(self.id);
        }
    }
}

#[async_trait]
impl GroupConsumer for Membership {
    async fn assigned(&mut self) -> Result<Box<dyn PartitionConsumer>, BusError> {
        loop {
            self.client.life.gate().await;
            let given = {
                let mut logs = locked(&self.client.bus.logs);
                let Some(member) = logs.members.get_mut(&self.id) else { return Err(unavailable()) };
                member.given.pop_front()
            };
            if let Some(assignment) = given {
                return Ok(Box::new(Reader { client: self.client.clone(), assignment, next: None }));
            }
            self.wake.notified().await;
        }
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        Ok(())
    }
}

struct Reader {
    client: BusClient,
    assignment: Assignment,
    next: Option<i64>,
}

impl Reader {
    fn key(&self) -> Key {
        (self.assignment.topic.clone(), self.assignment.partition)
    }

    /// What of the log is beyond the next offset, or what to wait for.
    fn waiting(&self, max: usize) -> Result<Vec<Received>, Result<Arc<Notify>, BusError>> {
        let logs = locked(&self.client.bus.logs);
        let Some(log) = logs.partitions.get(&self.key()) else { return Err(Err(BusError::Revoked)) };
        let is_zombie = self.client.bus.world.clock.elapsed() < log.zombie_until;
        if log.epoch != self.assignment.epoch && !is_zombie {
            return Err(Err(BusError::Revoked));
        }
        let next = self.next.or(log.committed).unwrap_or_default();
        let records = log.records.iter().skip(usize::try_from(next).unwrap_or_default());
        let records: Vec<Received> = records.take(max).cloned().collect();
        if records.is_empty() { Err(Ok(log.moved.clone())) } else { Ok(records) }
    }
}

#[async_trait]
impl PartitionConsumer for Reader {
    fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    async fn committed(&self) -> Result<Option<i64>, BusError> {
        self.client.there().await?;
        let logs = locked(&self.client.bus.logs);
        Ok(logs.partitions.get(&self.key()).and_then(|log| log.committed))
    }

    async fn seek(&mut self, next: i64) -> Result<(), BusError> {
        self.client.there().await?;
        self.next = Some(next);
        Ok(())
    }

    async fn fetch(&mut self, max: usize, linger: Duration) -> Result<Vec<Received>, BusError> {
        loop {
            self.client.there().await?;
            let moved = match self.waiting(max) {
                Ok(_) => break,
                Err(Err(error)) => return Err(error),
                Err(Ok(moved)) => moved,
            };
            // Who was a zombie learns of it some time.
            let _ = tokio::time::timeout(Duration::from_secs(20), moved.notified()).await;
        }
        if self.client.bus.world.strikes(Fault::FetchFails) {
            return Err(unavailable());
        }
        // tidy: sleep simulated time
        tokio::time::sleep(linger).await;
        self.client.life.gate().await;
        let records = self.waiting(max).unwrap_or_default();
        if let Some(last) = records.last() {
            self.next = Some(last.offset + 1);
        }
        Ok(records)
    }

    async fn commit(&mut self, next: i64) -> Result<(), BusError> {
        self.client.there().await?;
        if self.client.bus.world.strikes(Fault::OffsetLost) {
            return Err(unavailable());
        }
        let mut logs = locked(&self.client.bus.logs);
        let Some(log) = logs.partitions.get_mut(&self.key()) else { return Err(BusError::Revoked) };
        if log.epoch != self.assignment.epoch {
            return Err(BusError::Revoked);
        }
        log.committed = Some(next);
        Ok(())
    }
}
