//! A member of a group: a thread that polls the client, whatever its readers do meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Inner;
use super::client::misconfigured;
use super::commits;
use super::group::{Callbacks, Shared};
use super::reader::KafkaReader;
use super::slot::{Limits, Slot, Work};
use crate::{BusError, GroupConsumer, PartitionConsumer, Received};

/// A poll waits so long for records.
const POLL: Duration = Duration::from_millis(50);
/// The same where something is to be tried again soon.
const POLL_SHORT: Duration = Duration::from_millis(5);
/// Offsets that the group did not take are offered again this often.
const OFFER: Duration = Duration::from_millis(500);
/// How long the client may take to begin with a seek. It is answered within the process.
const SEEK: Duration = Duration::from_secs(1);

pub(super) struct KafkaMember {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
    given: mpsc::UnboundedReceiver<Arc<Slot>>,
    stop: Arc<AtomicBool>,
    ended: oneshot::Receiver<()>,
}

impl KafkaMember {
    pub fn join(inner: Arc<Inner>, group: &str, topics: &[&str]) -> Result<Self, BusError> {
        let options = &inner.options;
        let limits = Limits { records: options.buffer_records.max(1), bytes: options.buffer_bytes.max(1) };
        let (give, given) = mpsc::unbounded_channel();
        let (wish, wishes) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared::new(
            (group, &options.prefix),
            (limits, options.hang_max.max(options.session)),
            inner.clock.clone(),
            inner.listener.clone(),
            inner.rebalances.clone(),
            (give, wish),
        ));
        let client: BaseConsumer<Callbacks> = options
            .member(&inner.name(group))
            .create_with_context(Callbacks(shared.clone()))
            .map_err(|error| misconfigured(&error))?;
        let names: Vec<_> = topics.iter().map(|topic| inner.name(topic)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        client.subscribe(&names).map_err(|error| inner.failed(error))?;
        let (stop, (end, ended)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        let client = Arc::new(client);
        let for_commits = Arc::downgrade(&client);
        let rebalances = inner.rebalances.clone();
        started("kafka-commits", move || commits::serve(&for_commits, &wishes, &rebalances))?;
        let poller = Poller { client, shared: shared.clone(), stop: stop.clone() };
        started("kafka-member", move || {
            poller.run();
            // Whoever does not wait for it has dropped the member.
            let _ = end.send(());
        })?;
        Ok(Self { inner, shared, given, stop, ended })
    }
}

fn started(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), BusError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|error| BusError::Unavailable(error.into()))
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl GroupConsumer for KafkaMember {
    async fn assigned(&mut self) -> Result<Box<dyn PartitionConsumer>, BusError> {
        loop {
            match self.given.recv().await {
                Some(slot) if slot.is_revoked() => {}
                Some(slot) => {
                    let (inner, shared) = (self.inner.clone(), self.shared.clone());
                    return Ok(Box::new(KafkaReader { inner, shared, slot }));
                }
                None if self.inner.is_closed() => return Err(BusError::Closed),
                None => {
                    let why = self.shared.why_ended();
                    return Err(why.map_or(BusError::Closed, BusError::Unavailable));
                }
            }
        }
    }

    async fn leave(mut self: Box<Self>) -> Result<(), BusError> {
        self.stop.store(true, Ordering::Relaxed);
        // It has ended as well where its sender is gone without a word.
        drop((&mut self.ended).await);
        Ok(())
    }
}

/// The thread's part.
struct Poller {
    client: Arc<BaseConsumer<Callbacks>>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

/// Ends the membership for its readers however the thread ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

impl Poller {
    fn run(self) {
        let ending = Ending(self.shared.clone());
        let mut offered = Instant::now();
        let mut again = false;
        while !self.stop.load(Ordering::Relaxed) {
            if self.shared.hangs() {
                std::thread::sleep(POLL_SHORT);
                continue;
            }
            self.shared.polls();
            if self.shared.work.swap(false, Ordering::AcqRel) || again {
                again = self.work();
            }
            if offered.elapsed() >= OFFER {
                self.offer();
                offered = Instant::now();
            }
            match self.client.poll(if again { POLL_SHORT } else { POLL }) {
                None => {}
                Some(Ok(message)) => self.deliver(&message),
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    tracing::error!(%error, group = self.shared.group, "the membership failed for good");
                    self.shared.end(Some(error));
                    break;
                }
                Some(Err(error)) => tracing::debug!(%error, group = self.shared.group, "kafka"),
            }
        }
        drop(ending);
        self.close();
    }

    /// Leaves the group, once no reader is in the middle of a call.
    fn close(self) {
        let mut client = self.client;
        loop {
            match Arc::try_unwrap(client) {
                Ok(client) => return drop(client),
                Err(shared) => client = shared,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn deliver(&self, message: &BorrowedMessage<'_>) {
        let Some(slot) = self.shared.slot(message.topic(), message.partition()) else { return };
        if slot.push(received(&slot.assignment.topic, message)) {
            metrics::counter!("commerce_bus_paused_total").increment(1);
            if let Err(error) = self.client.pause(&only(&slot)) {
                tracing::warn!(%error, "a partition could not be paused; its records are kept in memory");
            }
        }
    }

    /// Does what the readers asked for; whether some of it is to be tried again.
    fn work(&self) -> bool {
        let mut again = false;
        for slot in self.shared.slots() {
            let done = match slot.work() {
                None => Ok(()),
                Some(Work::Seek(next)) => self.seek(&slot, next),
                Some(Work::Resume) => self.client.resume(&only(&slot)).map(|()| slot.resumed()),
            };
            if let Err(error) = done {
                tracing::debug!(%error, topic = slot.name, "a partition could not be moved; it is tried again");
                again = true;
            }
        }
        again
    }

    fn seek(&self, slot: &Slot, next: i64) -> KafkaResult<()> {
        let mut place = only(slot);
        place.set_partition_offset(&slot.name, slot.assignment.partition, Offset::Offset(next))?;
        // It refuses until it has begun with the partition, which it does by itself.
        for element in self.client.seek_partitions(place, SEEK)?.elements() {
            element.error()?;
        }
        if slot.sought(next) {
            self.client.resume(&only(slot))?;
        }
        Ok(())
    }

    /// Offers the group the offsets that it did not take before.
    fn offer(&self) {
        for slot in self.shared.slots() {
            if let Some(next) = slot.deferred() {
                self.shared.offer(slot, next);
            }
        }
    }
}

fn only(slot: &Slot) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&slot.name, slot.assignment.partition);
    list
}

/// A record as the client fetched it.
pub(super) fn received(topic: &str, message: &BorrowedMessage<'_>) -> Received {
    let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice).unwrap_or_default();
    let headers = message
        .headers()
        .map(|headers| headers.iter().map(|header| (header.key.to_owned(), bytes(header.value))).collect());
    Received {
        topic: topic.to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: bytes(message.key()),
        headers: headers.unwrap_or_default(),
        value: bytes(message.payload()),
        kept_at_us: message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000),
    }
}

/// Whether an error only says that there is nothing more now.
pub(super) fn is_end(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::PartitionEOF(_) | KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF)
    )
}
