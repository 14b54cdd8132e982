//! The event log of an installation: a file in the data directory, or Kafka.

use std::sync::Arc;

use commerce_bus::{
    BusError, EmbeddedLog, EmbeddedOptions, EventBus, KafkaBus, LogFile, LogReader, PartitionEnd, Reach,
    TopicSpec,
};
use commerce_contracts::topics;
use commerce_runtime::Clock;

use super::error::StartError;
use crate::config::{Config, Profile};

/// The event log, open.
#[derive(Clone)]
pub enum EventLog {
    /// In the data directory.
    Embedded(EmbeddedLog),
    /// On brokers.
    Kafka(KafkaBus),
}

impl EventLog {
    /// Name of the log in the data directory.
    pub const FILE: &'static str = "events.sqlite";

    /// Opens the one of `config`; `alone` where no other process publishes to it or reads it in a group. Brokers need not
    /// be there yet.
    pub async fn open(config: &Config, alone: bool, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        match config.profile {
            Profile::Embedded => {
                let opened = EmbeddedLog::open(Self::file_options(config, alone), clock).await;
                Ok(Self::Embedded(opened.map_err(|error| StartError::EventLog(error.into()))?))
            }
            Profile::Servers => {
                let opened = KafkaBus::open(config.kafka_options(), clock).await;
                Ok(Self::Kafka(opened.map_err(|error| StartError::EventLog(error.into()))?))
            }
        }
    }

    /// Options of the log in the data directory.
    pub fn file_options(config: &Config, alone: bool) -> EmbeddedOptions {
        let mut options = EmbeddedOptions::new(config.data_dir.join(Self::FILE));
        options.durable = config.database.durable;
        options.alone = alone;
        options
    }

    /// How far the partitions of the log of `config` reach, read beside whoever writes it; nothing where there is none.
    pub async fn ends_of(config: &Config, clock: Arc<dyn Clock>) -> Result<Vec<PartitionEnd>, StartError> {
        let failed = |error: BusError| StartError::EventLog(error.into());
        if config.profile == Profile::Embedded {
            let ends = EmbeddedLog::ends_of(&Self::file_options(config, false).path).await;
            return ends.map_err(|error| StartError::EventLog(error.into()));
        }
        let bus = KafkaBus::open(config.kafka_options(), clock).await.map_err(failed)?;
        let reaches = bus.reaches(topics::ALL).await.map_err(failed);
        bus.close().await;
        let end =
            |reach: Reach| PartitionEnd { topic: reach.topic, partition: reach.partition, end: reach.end };
        Ok(reaches?.into_iter().map(end).collect())
    }

    /// What reads it without belonging to a group, beside whoever writes it; none where there is no log (yet).
    pub async fn reader(
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn LogReader>>, StartError> {
        match config.profile {
            Profile::Embedded => {
                let options = Self::file_options(config, false);
                let opened = LogFile::open(&options.path, options.retention, clock).await;
                let file = opened.map_err(|error| StartError::EventLog(error.into()))?;
                Ok(file.map(|file| Arc::new(file) as Arc<dyn LogReader>))
            }
            Profile::Servers => {
                let opened = KafkaBus::open(config.kafka_options(), clock).await;
                Ok(Some(Arc::new(opened.map_err(|error| StartError::EventLog(error.into()))?)))
            }
        }
    }

    /// Makes the topics that are missing.
    pub async fn make_topics(bus: &dyn EventBus) -> Result<(), BusError> {
        let wanted = topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS });
        bus.ensure_topics(&wanted.collect::<Vec<_>>()).await
    }

    /// What publishes and subscribes.
    pub fn bus(&self) -> Arc<dyn EventBus> {
        match self {
            Self::Embedded(log) => Arc::new(log.clone()),
            Self::Kafka(bus) => Arc::new(bus.clone()),
        }
    }

    /// Closes it for every clone and for what they gave out. What waits to be published is published first.
    pub async fn close(self) {
        match self {
            Self::Embedded(log) => log.close().await,
            Self::Kafka(bus) => bus.close().await,
        }
    }
}
