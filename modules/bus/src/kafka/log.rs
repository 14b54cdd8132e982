//! Records for whoever reads them outside of any group.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::client::{Listener, misconfigured};
use super::member::{is_end, received};
use super::topics::no_partition;
use super::{Inner, KafkaBus};
use crate::{BusError, LogReader, Reach, Received};

/// A client that reads one partition on.
pub(super) struct Tail {
    client: BaseConsumer<Listener>,
    /// Where it is, and where its next record must not lie before.
    at: (String, i32, i64),
}

impl Tail {
    fn new(inner: &Inner) -> Result<Self, BusError> {
        let mut config = inner.options.client();
        // A group that nobody joins: without the name of one there is no client that fetches.
        config
            .set("group.id", inner.name("commerce-log-reader"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            .set("enable.partition.eof", "true");
        let client =
            config.create_with_context(inner.listener.clone()).map_err(|error| misconfigured(&error))?;
        Ok(Self { client, at: (String::new(), 0, 0) })
    }

    fn read(
        &mut self,
        inner: &Inner,
        (topic, partition, from): (&str, i32, i64),
        max: usize,
    ) -> Result<Vec<Received>, BusError> {
        let (earliest, end) = inner.reach(topic, partition)?;
        if from >= end || end <= earliest || max == 0 {
            return Ok(Vec::new());
        }
        let at = (topic.to_owned(), partition, from);
        if self.at != at {
            let mut place = TopicPartitionList::with_capacity(1);
            place
                .add_partition_offset(&inner.name(topic), partition, Offset::Offset(from.max(earliest)))
                .and_then(|()| self.client.assign(&place))
                .map_err(|error| inner.failed(error))?;
            self.at = at;
        }
        let mut records = Vec::new();
        let mut quiet_until = Instant::now() + inner.options.request_timeout;
        while records.len() < max && self.at.2 < end {
            match self.client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let record = received(topic, &message);
                    if record.partition == partition && record.offset >= self.at.2 {
                        self.at.2 = record.offset + 1;
                        records.push(record);
                        quiet_until = Instant::now() + inner.options.request_timeout;
                    }
                }
                // The rest up to the end is nothing that could be read.
                Some(Err(error)) if is_end(&error) && !records.is_empty() => break,
                Some(Err(error)) if !is_end(&error) => tracing::debug!(%error, topic, "kafka"),
                _ if Instant::now() >= quiet_until => {
                    self.at = (String::new(), 0, 0);
                    let error = rdkafka::error::RDKafkaErrorCode::OperationTimedOut;
                    return Err(inner.failed(rdkafka::error::KafkaError::Global(error)));
                }
                _ => {}
            }
        }
        Ok(records)
    }
}

impl Inner {
    /// Up to `max` records of a partition from the offset `from` on.
    fn read_on(&self, place: (&str, i32, i64), max: usize) -> Result<Vec<Received>, BusError> {
        let mut tail = self.tail.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // One that failed is not trusted to be where it says.
        let mut reader = match tail.take() {
            Some(reader) => reader,
            None => Tail::new(self)?,
        };
        let records = reader.read(self, place, max)?;
        *tail = Some(reader);
        Ok(records)
    }

    fn reach_of(&self, topic: &str, partition: i32) -> Result<Reach, BusError> {
        let (earliest, end) = self.reach(topic, partition)?;
        let first = self.read_on((topic, partition, earliest), 1)?;
        let first_kept_at_us = first.first().map(|record| record.kept_at_us);
        // Records are deleted from the front, so whatever came after the first that is there is there too; others of its
        // millisecond may be gone.
        let complete_since_us = (earliest > 0)
            .then(|| first_kept_at_us.map_or_else(|| self.clock.now_us(), |first| first + 1_000));
        let topic = topic.to_owned();
        Ok(Reach { topic, partition, earliest, end, first_kept_at_us, complete_since_us })
    }
}

#[async_trait]
impl LogReader for KafkaBus {
    async fn reaches(&self, topics: &[&str]) -> Result<Vec<Reach>, BusError> {
        let names: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let work = move |inner: &Inner| {
            let mut reaches = Vec::new();
            for topic in inner.topics_named(&names)? {
                for (partition, _) in topic.partitions {
                    reaches.push(inner.reach_of(&topic.name, partition)?);
                }
            }
            Ok(reaches)
        };
        self.inner.blocking(work).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Received>, BusError> {
        let topic = topic.to_owned();
        let work = move |inner: &Inner| {
            if inner.topics_named(std::slice::from_ref(&topic))?.is_empty() {
                return Err(no_partition(&topic, partition));
            }
            inner.read_on((&topic, partition, from), max)
        };
        self.inner.blocking(work).await
    }
}
