//! Membership in the consumer group: a task for every partition, and what to do when one ends.

use std::sync::Arc;
use std::time::Duration;

use commerce_bus::{BusError, EventBus, GroupConsumer, TopicSpec};
use commerce_contracts::topics;
use commerce_runtime::{BusinessZone, Clock};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::GROUP;
use super::failure::{Chain, Halt};
use super::partition::{Ended, follow};
use super::ports::MetricsStore;
use super::state::{ConsumerState, Status};

/// Limits of the consumer.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerOptions {
    /// Records of one batch at most, 100 by default; more is faster.
    pub batch_max: usize,
    /// How long a batch waits to be full, 500 ms by default.
    pub linger: Duration,
    /// How far an event may lie in the future, 5 min by default.
    pub future_max: Duration,
    /// Records of a partition that are looked back on, 1,000 by default.
    pub dead_letter_window: u32,
    /// How many percent of them may be set aside, 5 by default; with one more the consumer halts.
    pub dead_letter_percent: u32,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            batch_max: 100,
            linger: Duration::from_millis(500),
            future_max: Duration::from_mins(5),
            dead_letter_window: 1_000,
            dead_letter_percent: 5,
        }
    }
}

const REJOIN_PAUSE: Duration = Duration::from_millis(500);
/// A consumer that halted looks so often whether its dead letters have been dealt with.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Follows all topics.
pub struct Consumer {
    /// Where events come from.
    pub bus: Arc<dyn EventBus>,
    /// Where they are counted.
    pub store: Arc<dyn MetricsStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The shop's zone.
    pub zone: BusinessZone,
    /// Limits.
    pub options: ConsumerOptions,
    /// How it is.
    pub state: ConsumerState,
    /// Counts batches, which wakes the projector.
    pub counted: watch::Sender<u64>,
}

/// How a membership ended.
enum Outcome {
    Stopped,
    Halted(Halt),
    Lost(String),
}

impl Consumer {
    /// Runs until `stop` turns true. What is being counted then is finished, and the partitions are given back.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.membership(&mut stop).await {
                Outcome::Stopped => break,
                Outcome::Halted(halt) => {
                    tracing::error!(error = %Chain(&halt), "the consumer halts");
                    self.state.set(Status::Halted(Chain(&halt).to_string()));
                    if !self.resumed(&halt, &mut stop).await {
                        return;
                    }
                    tracing::warn!("the consumer goes on where it halted");
                }
                Outcome::Lost(reason) => {
                    tracing::warn!(reason, "the consumer joins its group again");
                    self.state.set(Status::Retrying(reason));
                    tokio::select! {
                        () = tokio::time::sleep(REJOIN_PAUSE) => {}
                        _ = stop.wait_for(|stop| *stop) => {}
                    }
                }
            }
        }
        self.state.set(Status::Stopped);
    }

    /// Waits until the consumer may go on: an operator says so, or has dealt with every dead letter that it halted for.
    /// False where it is to stop.
    async fn resumed(&self, halt: &Halt, stop: &mut watch::Receiver<bool>) -> bool {
        loop {
            tokio::select! {
                biased;
                // The sender is gone only where the app is.
                _ = stop.wait_for(|stop| *stop) => return false,
                () = self.state.resumed() => return true,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let Halt::TooManyDeadLetters { topic, partition, offset, window, .. } = halt else { continue };
            match self.store.open_letters(topic, *partition, offset.saturating_sub((*window).into())).await {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = %Chain(&error), "the dead letters cannot be looked at now");
                }
            }
        }
    }

    async fn membership(self: &Arc<Self>, stop: &mut watch::Receiver<bool>) -> Outcome {
        let wanted = |name: &&'static str| TopicSpec { name, partitions: topics::PARTITIONS };
        let wanted: Vec<_> = topics::ALL.iter().map(wanted).collect();
        if let Err(error) = self.bus.ensure_topics(&wanted).await {
            return lost(&error);
        }
        let mut group = match self.bus.join(GROUP, topics::ALL).await {
            Ok(group) => group,
            Err(error) => return lost(&error),
        };
        self.state.set(Status::Running);
        let (end, ending) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let outcome = self.lead(&mut *group, &mut tasks, &ending, stop).await;
        end.send_replace(true);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a partition's task failed");
            }
        }
        if let Err(error) = group.leave().await {
            tracing::debug!(error = %Chain(&error), "the group was not left");
        }
        outcome
    }

    async fn lead(
        self: &Arc<Self>,
        group: &mut dyn GroupConsumer,
        tasks: &mut JoinSet<Ended>,
        ending: &watch::Receiver<bool>,
        stop: &mut watch::Receiver<bool>,
    ) -> Outcome {
        loop {
            // One future for as long as it takes: dropping it half-way might lose a partition.
            let assigned = group.assigned();
            tokio::pin!(assigned);
            let partition = loop {
                tokio::select! {
                    // In a fixed order, so that a simulated run repeats; none of them is ever ready for long.
                    biased;
                    _ = stop.wait_for(|stop| *stop) => return Outcome::Stopped,
                    Some(ended) = tasks.join_next() => {
                        if let Some(outcome) = after(ended) {
                            return outcome;
                        }
                    }
                    assigned = &mut assigned => match assigned {
                        Ok(partition) => break partition,
                        Err(error) => return lost(&error),
                    },
                }
            };
            tasks.spawn(follow(self.clone(), partition, ending.clone()));
        }
    }
}

fn lost(error: &BusError) -> Outcome {
    Outcome::Lost(Chain(error).to_string())
}

/// What the end of one partition means for all of them.
fn after(ended: Result<Ended, JoinError>) -> Option<Outcome> {
    match ended {
        Ok(Ended::Revoked | Ended::Stopped) => None,
        Ok(Ended::Halted(halt)) => Some(Outcome::Halted(halt)),
        // The bus and storage disagree about whose it is: a new membership has a later epoch than either.
        Ok(Ended::Fenced) => Some(Outcome::Lost("a partition is counted under a later epoch".to_owned())),
        Ok(Ended::BusLost(error)) => Some(lost(&error)),
        Err(error) => Some(Outcome::Lost(format!("a partition's task failed: {error}"))),
    }
}
