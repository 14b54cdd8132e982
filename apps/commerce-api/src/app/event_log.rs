//! The event log of an installation: a file in the data directory, or Kafka.

use std::sync::Arc;

use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus};
use commerce_runtime::Clock;

use super::error::StartError;
use crate::config::{Config, Profile};

/// The event log, open.
#[derive(Clone)]
pub enum EventLog {
    /// In the data directory.
    Embedded(EmbeddedLog),
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
            Profile::Servers => Err(StartError::EventLog("nothing runs on Kafka yet".into())),
        }
    }

    /// Options of the log in the data directory.
    pub fn file_options(config: &Config, alone: bool) -> EmbeddedOptions {
        let mut options = EmbeddedOptions::new(config.data_dir.join(Self::FILE));
        options.durable = config.database.durable;
        options.alone = alone;
        options
    }

    /// What publishes and subscribes.
    pub fn bus(&self) -> Arc<dyn EventBus> {
        match self {
            Self::Embedded(log) => Arc::new(log.clone()),
        }
    }

    /// Closes it for every clone and for what they gave out. What waits to be published is published first.
    pub async fn close(self) {
        match self {
            Self::Embedded(log) => log.close().await,
        }
    }
}
