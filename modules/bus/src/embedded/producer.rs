use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::Inner;
use super::append::{Job, Placed, Prepared};
use super::record::{headers_to_json, size};
use crate::{BusError, Position, Producer, Record};

/// An earlier record of the same key failed.
#[derive(Debug, thiserror::Error)]
#[error("an earlier record of the key was not kept")]
struct EarlierFailed;

pub(super) struct EmbeddedProducer {
    pub inner: Arc<Inner>,
}

/// The batch, or one before it, failed as a whole; why stands in the log.
#[derive(Debug, thiserror::Error)]
#[error("the batch was not written")]
struct NotWritten;

type Outcome = Result<Position, BusError>;

#[async_trait]
impl Producer for EmbeddedProducer {
    async fn publish(&self, records: Vec<Record>) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(records.len());
        let mut blocked: HashSet<(String, String)> = HashSet::new();
        let mut chunks: Vec<Chunk> = Vec::new();
        for (index, record) in records.into_iter().enumerate() {
            let key = (record.topic, record.key);
            if blocked.contains(&key) {
                outcomes.push(Some(Err(BusError::Unavailable(EarlierFailed.into()))));
                continue;
            }
            match self.prepared(Record { topic: key.0.clone(), key: key.1.clone(), ..record }) {
                Ok(prepared) => {
                    outcomes.push(None);
                    self.add(&mut chunks, index, prepared);
                }
                Err(error) => {
                    outcomes.push(Some(Err(error)));
                    blocked.insert(key);
                }
            }
        }
        self.send(chunks, &mut outcomes).await;
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(BusError::Closed))).collect()
    }
}

/// Records of one call that go into one transaction.
#[derive(Default)]
struct Chunk {
    indexes: Vec<usize>,
    records: Vec<Prepared>,
    bytes: usize,
}

impl EmbeddedProducer {
    fn prepared(&self, record: Record) -> Result<Prepared, BusError> {
        let (size, max) = (size(&record), self.inner.options.record_bytes_max);
        if size > max {
            let Record { topic, key, .. } = &record;
            let message = format!("the record {key} for {topic} has {size} bytes; at most {max} are taken");
            return Err(BusError::Refused(message));
        }
        let headers = headers_to_json(&record.headers)?;
        Ok(Prepared { topic: record.topic, key: record.key, headers, value: record.value, size })
    }

    fn add(&self, chunks: &mut Vec<Chunk>, index: usize, record: Prepared) {
        let options = &self.inner.options;
        let full = chunks.last().is_none_or(|chunk| {
            chunk.records.len() >= options.batch_records_max
                || chunk.bytes + record.size > options.batch_bytes_max
        });
        if full {
            chunks.push(Chunk::default());
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.indexes.push(index);
            chunk.bytes += record.size;
            chunk.records.push(record);
        }
    }

    /// One chunk after the other; behind one that failed nothing is written.
    async fn send(&self, chunks: Vec<Chunk>, outcomes: &mut [Option<Outcome>]) {
        let mut failed: Option<BusError> = None;
        for Chunk { indexes, records, .. } in chunks {
            if failed.is_none() {
                let topics: Vec<String> = records.iter().map(|record| record.topic.clone()).collect();
                match self.write(records).await {
                    Ok(placed) => {
                        for ((index, position), topic) in indexes.into_iter().zip(placed).zip(topics) {
                            let unknown = || BusError::Refused(format!("there is no topic {topic}"));
                            outcomes[index] = Some(position.ok_or_else(unknown));
                        }
                        continue;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            for index in indexes {
                outcomes[index] = Some(Err(match failed {
                    Some(BusError::Closed) => BusError::Closed,
                    _ => BusError::Unavailable(NotWritten.into()),
                }));
            }
        }
    }

    async fn write(&self, records: Vec<Prepared>) -> Result<Placed, BusError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Publish { records, reply };
        self.inner.jobs.send(job).await.map_err(|_| BusError::Closed)?;
        answer.await.unwrap_or(Err(BusError::Closed))
    }
}
