//! How far counting is behind.

use std::sync::Arc;
use std::time::Duration;

use commerce_bus::{EventBus, PartitionLag};
use commerce_contracts::topics;
use tokio::sync::watch;

use super::failure::Chain;
use super::ports::{BoxError, Queries};
use super::{GROUP, metrics};

const EVERY: Duration = Duration::from_secs(5);

/// How far a partition is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record that will be published.
    pub end: i64,
    /// Offset that the group committed on the bus, which is told after it was counted.
    pub committed: i64,
    /// Offset of the next record to count.
    pub next: i64,
    /// Records between that and the end.
    pub lag: i64,
}

/// Compares what is counted with what the bus has.
#[derive(Clone)]
pub struct LagWatch {
    bus: Arc<dyn EventBus>,
    queries: Arc<dyn Queries>,
}

impl LagWatch {
    /// Over these.
    pub fn new(bus: Arc<dyn EventBus>, queries: Arc<dyn Queries>) -> Self {
        Self { bus, queries }
    }

    /// Every partition, by the offsets in storage, which are the truth about what is counted.
    pub async fn progress(&self) -> Result<Vec<PartitionProgress>, BoxError> {
        let counted = self.queries.counted_to().await?;
        let of_bus = self.bus.lag(GROUP, topics::ALL).await?;
        let mut progress = Vec::with_capacity(of_bus.len());
        for PartitionLag { topic, partition, end, committed, .. } in of_bus {
            let found = counted.iter().find(|c| c.topic == topic && c.partition == partition);
            let next = match found {
                Some(counted) => counted.next,
                // What the bus was told of does not count: a new database begins at the beginning.
                None => self.bus.earliest(&topic, partition).await?,
            };
            let lag = (end - next).max(0);
            progress.push(PartitionProgress { topic, partition, end, committed, next, lag });
        }
        Ok(progress)
    }

    /// Keeps the figures up to date until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.progress().await {
                Ok(progress) => {
                    for partition in progress {
                        metrics::lag(&partition.topic, partition.partition, partition.lag);
                    }
                }
                Err(error) => tracing::debug!(error = %Chain(&*error), "the lag is not known now"),
            }
            if let Ok(open) = self.queries.open_dead_letters().await {
                metrics::dead_letters_open(open);
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
