//! Publishing.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::Producer as _;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::Inner;
use super::client::{Listener, misconfigured};
use super::options::KafkaOptions;
use crate::{BusError, Position, Producer, Record};

/// An earlier record of the same key failed.
#[derive(Debug, thiserror::Error)]
#[error("an earlier record of the key was not kept")]
struct EarlierFailed;

type Client = FutureProducer<Listener>;
type Outcome = Result<Position, BusError>;

/// The client that publishes; a new one in its place where it has failed for good.
pub(super) struct Publisher {
    options: KafkaOptions,
    listener: Listener,
    client: RwLock<Client>,
}

impl Publisher {
    pub fn new(options: &KafkaOptions, listener: &Listener) -> Result<Self, BusError> {
        let client = RwLock::new(made(options, listener)?);
        Ok(Self { options: options.clone(), listener: listener.clone(), client })
    }

    pub fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An idempotent producer whose numbering the brokers cannot follow any more publishes nothing ever again.
    fn replace_if_dead(&self) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        let Some((_, why)) = client.client().fatal_error() else { return };
        match made(&self.options, &self.listener) {
            Ok(new) => {
                tracing::warn!(why, "the publisher failed for good; a new one takes over");
                *client = new;
            }
            Err(error) => {
                tracing::error!(%error, why, "the publisher failed for good, and no new one can be made");
            }
        }
    }
}

fn made(options: &KafkaOptions, listener: &Listener) -> Result<Client, BusError> {
    options.producer().create_with_context(listener.clone()).map_err(|error| misconfigured(&error))
}

pub(super) struct KafkaProducer {
    pub inner: Arc<Inner>,
}

/// A record on its way.
enum Sent {
    /// It will be told.
    Waiting(DeliveryFuture),
    Failed(BusError),
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn publish(&self, records: Vec<Record>) -> Vec<Outcome> {
        metrics::histogram!("commerce_bus_append_records")
            .record(f64::from(u32::try_from(records.len()).unwrap_or(u32::MAX)));
        let missing = self.missing_topics(&records).await;
        let client = self.inner.publisher.client();
        let mut keys = Vec::with_capacity(records.len());
        let mut sent = Vec::with_capacity(records.len());
        let mut blocked: HashSet<(String, String)> = HashSet::new();
        for record in records {
            let key = (record.topic.clone(), record.key.clone());
            let outcome = match missing.iter().find(|(topic, _)| *topic == record.topic) {
                _ if self.inner.is_closed() => Sent::Failed(BusError::Closed),
                _ if blocked.contains(&key) => Sent::Failed(BusError::Unavailable(EarlierFailed.into())),
                Some((_, why)) => Sent::Failed(why.error()),
                None => self.send(&client, &record).await,
            };
            if matches!(outcome, Sent::Failed(_)) {
                blocked.insert(key.clone());
            }
            keys.push(key);
            sent.push(outcome);
        }
        let outcomes = self.told(keys, sent).await;
        if outcomes.iter().any(Result::is_err) {
            self.inner.publisher.replace_if_dead();
        }
        outcomes
    }
}

/// Why nothing goes to a topic.
enum Missing {
    Unknown(String),
    Unreachable(String),
}

/// The brokers could not be asked about a topic.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotAsked(String);

impl Missing {
    fn error(&self) -> BusError {
        match self {
            Self::Unknown(topic) => BusError::Refused(format!("there is no topic {topic}")),
            Self::Unreachable(why) => BusError::Unavailable(NotAsked(why.clone()).into()),
        }
    }
}

impl KafkaProducer {
    /// Topics that are not known to exist after the cluster was asked about those that are new here.
    async fn missing_topics(&self, records: &[Record]) -> Vec<(String, Missing)> {
        let mut unsure: Vec<String> = Vec::new();
        for record in records {
            if !unsure.contains(&record.topic) && !self.inner.topics.knows(&record.topic) {
                unsure.push(record.topic.clone());
            }
        }
        if unsure.is_empty() {
            return Vec::new();
        }
        let looked = self.inner.blocking(|inner| inner.look_for_topics().map(drop)).await;
        let unreachable = looked.err().map(|error| told_with_causes(&error));
        let still_unsure = unsure.into_iter().filter(|topic| !self.inner.topics.knows(topic));
        still_unsure
            .map(|topic| match &unreachable {
                Some(why) => (topic, Missing::Unreachable(why.clone())),
                None => (topic.clone(), Missing::Unknown(topic)),
            })
            .collect()
    }

    /// Puts a record into the queue; waits where that is full.
    async fn send(&self, client: &Client, record: &Record) -> Sent {
        let (size, max) = (size(record), self.inner.options.record_bytes_max);
        if size > max {
            let Record { topic, key, .. } = record;
            let message = format!("the record {key} for {topic} has {size} bytes; at most {max} are taken");
            return Sent::Failed(BusError::Refused(message));
        }
        let topic = self.inner.name(&record.topic);
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_ref()) })
            });
        let mut attempt =
            FutureRecord::to(&topic).key(&record.key).payload(record.value.as_ref()).headers(headers);
        loop {
            match client.send_result(attempt) {
                Ok(delivery) => return Sent::Waiting(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    attempt = again;
                    // It empties as records are acknowledged or time out, within the publish timeout.
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Err((error, _)) => return Sent::Failed(self.inner.failed(error)),
            }
        }
    }

    /// The outcomes, in order. A record that was kept behind one of its key that was not counts as not kept: whoever
    /// publishes both again has them in order.
    async fn told(&self, keys: Vec<(String, String)>, sent: Vec<Sent>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(sent.len());
        let mut failed: HashSet<(String, String)> = HashSet::new();
        for (key, sent) in keys.into_iter().zip(sent) {
            let outcome = match sent {
                Sent::Failed(error) => Err(error),
                Sent::Waiting(delivery) => match delivery.await {
                    Ok(Ok(_)) if failed.contains(&key) => Err(BusError::Unavailable(EarlierFailed.into())),
                    Ok(Ok(kept)) => Ok(Position { partition: kept.partition, offset: kept.offset }),
                    Ok(Err((error, _))) => Err(self.refused(&key.0, error)),
                    Err(_) => Err(BusError::Closed),
                },
            };
            if outcome.is_err() {
                failed.insert(key);
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn refused(&self, topic: &str, error: KafkaError) -> BusError {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition,
            ) => {
                self.inner.topics.forget(topic);
                BusError::Refused(format!("there is no topic {topic}"))
            }
            Some(RDKafkaErrorCode::MessageTimedOut) => {
                self.inner.failed(KafkaError::MessageProduction(RDKafkaErrorCode::RequestTimedOut))
            }
            _ => self.inner.failed(error),
        }
    }
}

fn told_with_causes(error: &BusError) -> String {
    match error {
        BusError::Unavailable(source) => source.to_string(),
        other => other.to_string(),
    }
}

/// Bytes of a record that count against the limit.
fn size(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.len() + headers + record.value.len()
}
