//! One partition, from its assignment until it is taken away.

use std::sync::Arc;
use std::time::Duration;

use commerce_bus::{Assignment, BusError, PartitionConsumer};
use commerce_collector_domain::Quarantine;
use tokio::sync::watch;

use super::GROUP;
use super::consumer::Consumer;
use super::failure::{Chain, Halt};
use super::intake::Intake;
use super::metrics;
use super::ports::{Item, StoreError};
use super::settle::{Settler, Unsettled};

const PAUSE: Duration = Duration::from_millis(200);

/// Why a partition is not followed any more.
#[derive(Debug)]
pub enum Ended {
    /// The consumer stops.
    Stopped,
    /// The bus gave it to somebody else.
    Revoked,
    /// Storage knows a later owner than the bus told us of.
    Fenced,
    /// The bus does not serve this process any more.
    BusLost(BusError),
    /// Nothing can go on.
    Halted(Halt),
}

impl From<Unsettled> for Ended {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Stopped => Self::Stopped,
            Unsettled::Fenced => Self::Fenced,
            Unsettled::Halted(halt) => Self::Halted(halt),
        }
    }
}

/// Follows a partition.
pub async fn follow(
    consumer: Arc<Consumer>,
    mut partition: Box<dyn PartitionConsumer>,
    stop: watch::Receiver<bool>,
) -> Ended {
    let assignment = partition.assignment().clone();
    consumer.state.owns(&assignment.topic, assignment.partition);
    let ended = follow_until_it_ends(&consumer, &assignment, &mut *partition, stop).await;
    consumer.state.gives_up(&assignment.topic, assignment.partition);
    tracing::debug!(topic = assignment.topic, partition = assignment.partition, ?ended, "partition given up");
    ended
}

async fn follow_until_it_ends(
    consumer: &Consumer,
    assignment: &Assignment,
    partition: &mut dyn PartitionConsumer,
    mut stop: watch::Receiver<bool>,
) -> Ended {
    let mut settler = match begin(consumer, assignment, partition, &mut stop).await {
        Ok(settler) => settler,
        Err(ended) => return ended,
    };
    let intake = Intake { zone: consumer.zone, future_max: consumer.options.future_max };
    loop {
        let fetched = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
            fetched = partition.fetch(consumer.options.batch_max, consumer.options.linger) => fetched,
        };
        let records = match fetched {
            Ok(records) => records,
            Err(error) => match bus_failure(consumer, assignment, error, &mut stop).await {
                None => continue,
                Some(ended) => return ended,
            },
        };
        let Some(last) = records.last() else { continue };
        let next = last.offset + 1;
        let now_us = consumer.clock.now_us();
        let items: Vec<Item> = records.into_iter().map(|record| intake.judge(record, now_us)).collect();
        if let Err(unsettled) = settler.settle(items).await {
            return unsettled.into();
        }
        consumer.counted.send_modify(|batches| *batches += 1);
        // Advice only: a restart goes on from the offset in storage, which moved with the counts.
        if let Err(error) = partition.commit(next).await {
            if matches!(error, BusError::Revoked) {
                return Ended::Revoked;
            }
            tracing::debug!(error = %Chain(&error), "the bus did not take an offset");
        }
    }
}

/// Takes the partition over in storage and begins where storage says.
async fn begin(
    consumer: &Consumer,
    assignment: &Assignment,
    partition: &mut dyn PartitionConsumer,
    stop: &mut watch::Receiver<bool>,
) -> Result<Settler, Ended> {
    let window = consumer.options.dead_letter_window;
    loop {
        let failed: Box<dyn std::error::Error + Send + Sync> =
            match consumer.store.claim(assignment, window).await {
                Ok(claimed) => match seek(consumer, assignment, partition, claimed.next).await {
                    Ok(()) => {
                        consumer.state.stuck(&assignment.topic, assignment.partition, None);
                        let percent = consumer.options.dead_letter_percent;
                        return Ok(Settler {
                            store: consumer.store.clone(),
                            clock: consumer.clock.clone(),
                            zone: consumer.zone,
                            state: consumer.state.clone(),
                            stop: stop.clone(),
                            assignment: Assignment { epoch: claimed.epoch, ..assignment.clone() },
                            quarantine: Quarantine::new(window, percent, claimed.set_aside),
                            window,
                        });
                    }
                    Err(Unseekable::Halted(halt)) => return Err(Ended::Halted(halt)),
                    Err(Unseekable::Bus(BusError::Revoked)) => return Err(Ended::Revoked),
                    Err(Unseekable::Bus(error @ BusError::Closed)) => return Err(Ended::BusLost(error)),
                    Err(Unseekable::Bus(error)) => error.into(),
                },
                Err(StoreError::Fenced) => return Err(Ended::Fenced),
                Err(error) => error.into(),
            };
        tracing::warn!(error = %Chain(&*failed), topic = assignment.topic, "a partition cannot be taken over now");
        let reason = Chain(&*failed).to_string();
        consumer.state.stuck(&assignment.topic, assignment.partition, Some(reason));
        pause(stop).await?;
    }
}

enum Unseekable {
    Halted(Halt),
    Bus(BusError),
}

impl From<BusError> for Unseekable {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

async fn seek(
    consumer: &Consumer,
    assignment: &Assignment,
    partition: &mut dyn PartitionConsumer,
    next: Option<i64>,
) -> Result<(), Unseekable> {
    let Assignment { topic, partition: number, .. } = assignment;
    let earliest = consumer.bus.earliest(topic, *number).await?;
    let Some(next) = next else { return Ok(partition.seek(earliest).await?) };
    let lag = consumer.bus.lag(GROUP, &[topic]).await?;
    if let Some(end) = lag.iter().find(|lag| lag.partition == *number).map(|lag| lag.end)
        && end < next
    {
        let (topic, partition) = (topic.clone(), *number);
        return Err(Unseekable::Halted(Halt::LogReplaced { topic, partition, next, end }));
    }
    partition.seek(next.max(earliest)).await?;
    if next < earliest {
        tell_skipped(consumer, assignment, next, earliest);
    }
    Ok(())
}

fn tell_skipped(consumer: &Consumer, assignment: &Assignment, next: i64, earliest: i64) {
    let Assignment { topic, partition, .. } = assignment;
    let records = consumer.state.skips(topic, *partition, next, earliest);
    if records == 0 {
        return;
    }
    metrics::skipped(topic, *partition, records);
    tracing::error!(
        topic,
        partition,
        next,
        earliest,
        records,
        "the log deleted records before they were counted; counting goes on at its earliest; run the audit to learn \
         what is missing, and have the collector run at least once within the log's retention"
    );
}

/// None where reading is to be tried again.
async fn bus_failure(
    consumer: &Consumer,
    assignment: &Assignment,
    error: BusError,
    stop: &mut watch::Receiver<bool>,
) -> Option<Ended> {
    match error {
        BusError::Revoked => Some(Ended::Revoked),
        error @ BusError::Closed => Some(Ended::BusLost(error)),
        error @ (BusError::Unavailable(_) | BusError::Refused(_)) => {
            tracing::warn!(error = %Chain(&error), topic = assignment.topic, "the bus cannot be read now; tried again");
            let reason = Chain(&error).to_string();
            consumer.state.stuck(&assignment.topic, assignment.partition, Some(reason));
            let ended = pause(stop).await.err();
            consumer.state.stuck(&assignment.topic, assignment.partition, None);
            ended
        }
    }
}

async fn pause(stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => Ok(()),
        _ = stop.wait_for(|stop| *stop) => Err(Ended::Stopped),
    }
}
