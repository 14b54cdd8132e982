//! Topics: which there are, making them, how far they reach and how far a group is.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::client::{Listener, misconfigured};
use super::options::KafkaOptions;
use super::{GroupClient, Inner};
use crate::{BusError, TopicSpec};

/// A topic of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    /// Its name, without the prefix.
    pub name: String,
    /// Its partitions and on how many brokers each is kept, in order.
    pub partitions: Vec<(i32, usize)>,
}

/// The topics that are known to exist.
#[derive(Debug, Default)]
pub(super) struct Known {
    topics: RwLock<BTreeMap<String, KafkaTopic>>,
}

impl Known {
    pub fn knows(&self, topic: &str) -> bool {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).contains_key(topic)
    }

    pub fn forget(&self, topic: &str) {
        self.topics.write().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    fn learn(&self, topics: &[KafkaTopic]) {
        let topics = topics.iter().map(|topic| (topic.name.clone(), topic.clone())).collect();
        *self.topics.write().unwrap_or_else(PoisonError::into_inner) = topics;
    }
}

impl Inner {
    /// All topics with the prefix.
    pub fn look_for_topics(&self) -> Result<Vec<KafkaTopic>, BusError> {
        let client = self.publisher.client();
        // Of all topics: asking for one that does not exist would make it where brokers do that.
        let metadata = client.client().fetch_metadata(None, self.options.request_timeout);
        let metadata = metadata.map_err(|error| self.failed(error))?;
        let mut topics = Vec::new();
        for topic in metadata.topics() {
            let Some(name) = topic.name().strip_prefix(&self.options.prefix) else { continue };
            let mut partitions: Vec<_> = topic
                .partitions()
                .iter()
                // One without a leader takes nothing yet.
                .filter(|partition| partition.leader() >= 0)
                .map(|partition| (partition.id(), partition.replicas().len()))
                .collect();
            partitions.sort_unstable();
            if topic.error().is_none() && !partitions.is_empty() {
                topics.push(KafkaTopic { name: name.to_owned(), partitions });
            }
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        self.topics.learn(&topics);
        Ok(topics)
    }

    /// The topics of these names that there are.
    pub fn topics_named(&self, names: &[String]) -> Result<Vec<KafkaTopic>, BusError> {
        let mut topics = self.look_for_topics()?;
        topics.retain(|topic| names.contains(&topic.name));
        Ok(topics)
    }

    /// The oldest offset still kept of a partition, and the next that will be.
    pub fn reach(&self, topic: &str, partition: i32) -> Result<(i64, i64), BusError> {
        let client = self.publisher.client();
        let (timeout, name) = (self.options.request_timeout, self.name(topic));
        let watermarks = client.client().fetch_watermarks(&name, partition, timeout);
        watermarks.map_err(|error| match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition,
            ) => no_partition(topic, partition),
            _ => self.failed(error),
        })
    }

    /// Offsets that the group committed.
    pub fn committed(
        &self,
        group: &str,
        partitions: &[(String, i32)],
    ) -> Result<BTreeMap<(String, i32), i64>, BusError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let client = self.group_client(group)?;
        let mut wanted = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            wanted.add_partition(&self.name(topic), *partition);
        }
        let deadline = Instant::now() + self.options.request_timeout;
        let found = loop {
            let found = client.committed_offsets(wanted.clone(), self.options.request_timeout);
            // What it has to say besides would pile up.
            while client.poll(Duration::ZERO).is_some() {}
            match found {
                // Whoever keeps the group's offsets is being found out, or has just changed.
                Err(error) if is_of_the_coordinator(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                found => break found.map_err(|error| self.failed(error))?,
            }
        };
        let mut committed = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| self.failed(error))?;
            let topic = element.topic().strip_prefix(&self.options.prefix).unwrap_or_default();
            if let Offset::Offset(offset) = element.offset() {
                committed.insert((topic.to_owned(), element.partition()), offset);
            }
        }
        Ok(committed)
    }

    /// A client that speaks for the group without being its member.
    fn group_client(&self, group: &str) -> Result<GroupClient, BusError> {
        let mut clients = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(group) {
            return Ok(client.clone());
        }
        let config = self.options.member(&self.name(group));
        let client: BaseConsumer<Listener> =
            config.create_with_context(self.listener.clone()).map_err(|error| misconfigured(&error))?;
        let client = Arc::new(client);
        clients.insert(group.to_owned(), client.clone());
        Ok(client)
    }

    /// Makes the topics that are missing.
    pub async fn make_topics(self: &Arc<Self>, topics: &[TopicSpec]) -> Result<(), BusError> {
        let found = self.blocking(Self::look_for_topics).await?;
        let is_missing = |topic: &&TopicSpec| found.iter().all(|found| found.name != topic.name);
        let missing: Vec<TopicSpec> = topics.iter().filter(is_missing).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.make(&missing).await?;
        // They are made before every broker knows of them.
        let deadline = Instant::now() + self.options.request_timeout;
        loop {
            let found = self.blocking(Self::look_for_topics).await?;
            if missing.iter().all(|topic| found.iter().any(|found| found.name == topic.name)) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let error = KafkaError::AdminOp(RDKafkaErrorCode::LeaderNotAvailable);
                return Err(self.failed(error));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn make(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let KafkaOptions { retention, replication, request_timeout, .. } = self.options.clone();
        let admin: AdminClient<Listener> = self
            .options
            .client()
            .create_with_context(self.listener.clone())
            .map_err(|error| misconfigured(&error))?;
        let (retention, bytes) =
            (retention.as_millis().to_string(), self.options.request_bytes_max().max(1_048_588).to_string());
        let names: Vec<_> = topics.iter().map(|topic| self.name(topic.name)).collect();
        let new: Vec<_> = topics
            .iter()
            .zip(&names)
            .map(|(topic, name)| {
                let partitions = self.options.partitions.unwrap_or(topic.partitions).max(1);
                NewTopic::new(name, partitions, TopicReplication::Fixed(replication))
                    .set("retention.ms", &retention)
                    .set("max.message.bytes", &bytes)
                    // When a record was taken is for the broker to say, or order and retention follow the clocks of
                    // whoever published.
                    .set("message.timestamp.type", "LogAppendTime")
            })
            .collect();
        let options = AdminOptions::new()
            .request_timeout(Some(request_timeout))
            .operation_timeout(Some(request_timeout));
        let made = admin.create_topics(&new, &options).await.map_err(|error| self.failed(error))?;
        for topic in made {
            match topic {
                // Another node was faster.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    let message = format!("topic {name} cannot be made: {code}");
                    return Err(match self.failed(KafkaError::Global(code)) {
                        BusError::Refused(_) => BusError::Refused(message),
                        other => other,
                    });
                }
            }
        }
        Ok(())
    }
}

fn is_of_the_coordinator(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::WaitingForCoordinator
        )
    )
}

pub(super) fn no_partition(topic: &str, partition: i32) -> BusError {
    BusError::Refused(format!("there is no partition {partition} of topic {topic}"))
}
