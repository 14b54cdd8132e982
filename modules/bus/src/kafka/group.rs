//! What a member of a group, its fetching thread and its readers share; and what the client calls back.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commerce_runtime::Clock;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::client::Listener;
use super::commits::{Answer, Wish};
use super::slot::{Limits, Slot};
use crate::{Assignment, BoxError};

/// A partition by its topic's name in the cluster.
type Key = (String, i32);
/// How long the client was held up by what happens when partitions come and go.
#[derive(Debug, Default)]
pub(super) struct Rebalances {
    last: Mutex<VecDeque<Duration>>,
    /// Members do not poll any more, as if the process hung.
    pub hang: AtomicBool,
    /// What the next offsets are answered, instead of asking the group.
    pub refusals: Mutex<VecDeque<RDKafkaErrorCode>>,
}

impl Rebalances {
    const KEPT: usize = 1_000;

    fn record(&self, kind: &'static str, took: Duration) {
        metrics::histogram!("commerce_bus_rebalance_callback_seconds", "kind" => kind).record(took);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= Self::KEPT {
            last.pop_front();
        }
        last.push_back(took);
    }

    pub fn refusal(&self) -> Option<RDKafkaErrorCode> {
        locked(&self.refusals).pop_front()
    }

    pub fn durations(&self) -> Vec<Duration> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

pub(super) struct Shared {
    pub group: String,
    pub prefix: String,
    pub limits: Limits,
    pub hang_max: Duration,
    clock: Arc<dyn Clock>,
    listener: Listener,
    rebalances: Arc<Rebalances>,
    started: Instant,
    /// Milliseconds after `started` at which the client was last polled.
    polled: AtomicU64,
    /// Some slot has work for the thread.
    pub work: AtomicBool,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    given: Mutex<Option<mpsc::UnboundedSender<Arc<Slot>>>>,
    commits: Mutex<Option<std::sync::mpsc::Sender<Wish>>>,
    why_ended: Mutex<Option<KafkaError>>,
}

/// What the client calls, on the thread that polls it.
pub(super) struct Callbacks(pub Arc<Shared>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        (group, prefix): (&str, &str),
        (limits, hang_max): (Limits, Duration),
        clock: Arc<dyn Clock>,
        listener: Listener,
        rebalances: Arc<Rebalances>,
        (given, commits): (mpsc::UnboundedSender<Arc<Slot>>, std::sync::mpsc::Sender<Wish>),
    ) -> Self {
        Self {
            group: group.to_owned(),
            prefix: prefix.to_owned(),
            limits,
            hang_max,
            clock,
            listener,
            rebalances,
            started: Instant::now(),
            polled: AtomicU64::new(0),
            work: AtomicBool::new(false),
            slots: Mutex::default(),
            given: Mutex::new(Some(given)),
            commits: Mutex::new(Some(commits)),
            why_ended: Mutex::default(),
        }
    }

    pub fn hangs(&self) -> bool {
        self.rebalances.hang.load(Ordering::Relaxed)
    }

    /// The client is being polled now.
    pub fn polls(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.polled.store(since, Ordering::Relaxed);
    }

    /// When a member that was not polled since has lost its partitions, whether or not it was told.
    pub fn lost_at(&self) -> Instant {
        self.started + Duration::from_millis(self.polled.load(Ordering::Relaxed)) + self.hang_max
    }

    pub fn slot(&self, name: &str, partition: i32) -> Option<Arc<Slot>> {
        locked(&self.slots).get(&(name.to_owned(), partition)).cloned()
    }

    pub fn slots(&self) -> Vec<Arc<Slot>> {
        locked(&self.slots).values().cloned().collect()
    }

    /// Nothing is this member's any more, and nothing will be.
    pub fn end(&self, why: Option<KafkaError>) {
        if why.is_some() {
            *locked(&self.why_ended) = why;
        }
        drop(locked(&self.given).take());
        for (_, slot) in locked(&self.slots).drain() {
            slot.revoke();
        }
        drop(locked(&self.commits).take());
    }

    pub fn why_ended(&self) -> Option<BoxError> {
        locked(&self.why_ended).clone().map(BoxError::from)
    }

    /// Has the group asked to take `next`; what it says comes later, or nothing where the membership has ended.
    pub fn commit(&self, slot: &Arc<Slot>, next: i64) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        self.wish(Wish { slot: slot.clone(), next, answer: Some(answer) });
        answered
    }

    /// The same where nobody waits for what it says.
    pub fn offer(&self, slot: Arc<Slot>, next: i64) {
        self.wish(Wish { slot, next, answer: None });
    }

    fn wish(&self, wish: Wish) {
        if let Some(commits) = &*locked(&self.commits) {
            // Where nobody listens the membership has ended, and the wish goes with it.
            let _ = commits.send(wish);
        }
    }

    fn give(&self, client: &BaseConsumer<Callbacks>, partitions: &mut TopicPartitionList) -> KafkaResult<()> {
        // Where to begin is for the reader to say; until then nothing is fetched, and nobody is asked.
        partitions.set_all_offsets(Offset::Offset(0))?;
        let epoch = self.clock.now_us();
        let mut new = Vec::new();
        for element in partitions.elements() {
            let name = element.topic().to_owned();
            let topic = name.strip_prefix(&self.prefix).unwrap_or(&name).to_owned();
            let assignment = Assignment { topic, partition: element.partition(), epoch };
            new.push(Arc::new(Slot::new(assignment, name, self.limits)));
        }
        let mut slots = locked(&self.slots);
        for slot in &new {
            slots.insert((slot.name.clone(), slot.assignment.partition), slot.clone());
        }
        drop(slots);
        match client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => client.incremental_assign(partitions)?,
            _ => client.assign(partitions)?,
        }
        client.pause(partitions)?;
        if let Some(given) = &*locked(&self.given) {
            for slot in new {
                // Whoever does not wait for partitions any more is leaving.
                drop(given.send(slot));
            }
        }
        Ok(())
    }

    fn take(&self, client: &BaseConsumer<Callbacks>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        for element in partitions.elements() {
            let key = (element.topic().to_owned(), element.partition());
            if let Some(slot) = locked(&self.slots).remove(&key) {
                slot.revoke();
            }
        }
        match client.rebalance_protocol() {
            RebalanceProtocol::Cooperative => client.incremental_unassign(partitions),
            _ => client.unassign(),
        }
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.listener.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.listener.error(error, reason);
    }
}

impl ConsumerContext for Callbacks {
    /// Runs between two polls, so nothing here waits for anybody: it marks what is lost, hands out what is new, and the
    /// rest happens elsewhere.
    fn rebalance(
        &self,
        client: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let (begun, group) = (Instant::now(), &self.0.group);
        let (kind, done) = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                ("assign", self.0.give(client, partitions))
            }
            _ => ("revoke", self.0.take(client, partitions)),
        };
        tracing::debug!(group, kind, partitions = partitions.count(), "the group is shared out anew");
        if let Err(error) = done {
            tracing::error!(%error, group, kind, "partitions could not be taken over or given back");
        }
        self.0.rebalances.record(kind, begun.elapsed());
    }
}
