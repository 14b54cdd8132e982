//! A partition as its owner reads it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Instant, sleep_until, timeout};

use super::Inner;
use super::client::is_of_a_rebalance;
use super::group::Shared;
use super::slot::{Found, Slot};
use crate::{Assignment, BusError, PartitionConsumer, Received};

pub(super) struct KafkaReader {
    pub inner: Arc<Inner>,
    pub shared: Arc<Shared>,
    pub slot: Arc<Slot>,
}

impl KafkaReader {
    /// Whether the partition is lost: the group said so, or nobody has listened to the group for so long that it must
    /// have given the partition away.
    fn is_lost(&self) -> bool {
        self.slot.is_revoked() || Instant::now() >= self.shared.lost_at()
    }

    fn wake_thread(&self) {
        self.shared.work.store(true, Ordering::Release);
    }

    /// The group did not take the offset, for now or because it is being shared out. It is advice: it is offered again
    /// until a later one is taken or the partition is lost.
    fn later(&self, next: i64, why: &str) -> Result<(), BusError> {
        if self.is_lost() {
            return Err(BusError::Revoked);
        }
        metrics::counter!("commerce_bus_commits_deferred_total").increment(1);
        tracing::debug!(why, next, topic = self.slot.name, "an offset is committed later");
        self.slot.defer(next);
        Ok(())
    }

    fn not_taken(&self, next: i64, code: RDKafkaErrorCode) -> Result<(), BusError> {
        match self.inner.failed(KafkaError::ConsumerCommit(code)) {
            _ if is_of_a_rebalance(code) => self.later(next, "the group is being shared out"),
            BusError::Refused(why) => Err(BusError::Refused(why)),
            _ => self.later(next, "the group cannot be reached"),
        }
    }
}

#[async_trait]
impl PartitionConsumer for KafkaReader {
    fn assignment(&self) -> &Assignment {
        &self.slot.assignment
    }

    async fn committed(&self) -> Result<Option<i64>, BusError> {
        if let Some(deferred) = self.slot.deferred() {
            return Ok(Some(deferred));
        }
        let Assignment { topic, partition, .. } = self.slot.assignment.clone();
        let group = self.shared.group.clone();
        let committed =
            self.inner.blocking(move |inner| inner.committed(&group, &[(topic, partition)])).await?;
        Ok(committed.into_values().next())
    }

    async fn seek(&mut self, next: i64) -> Result<(), BusError> {
        self.slot.seek(next.max(0));
        self.wake_thread();
        Ok(())
    }

    async fn fetch(&mut self, max: usize, linger: Duration) -> Result<Vec<Received>, BusError> {
        let max = max.max(1);
        if !self.slot.has_place() {
            // Before the earliest record there is nothing to skip.
            let next = self.committed().await?.unwrap_or_default();
            self.seek(next).await?;
        }
        let mut until: Option<Instant> = None;
        loop {
            let lost_at = self.shared.lost_at();
            if Instant::now() >= lost_at {
                return Err(BusError::Revoked);
            }
            let is_time = until.is_some_and(|until| until <= Instant::now());
            let (found, go_on) = self.slot.take(max, is_time);
            if go_on {
                self.wake_thread();
            }
            match found {
                Found::Revoked => return Err(BusError::Revoked),
                Found::Records(records) => return Ok(records),
                Found::Waiting(0) => {}
                Found::Waiting(_) if until.is_none() => {
                    until = Some(Instant::now() + linger);
                    continue;
                }
                Found::Waiting(_) => {}
            }
            tokio::select! {
                () = self.slot.news.notified() => {}
                () = sleep_until(until.map_or(lost_at, |until| until.min(lost_at))) => {}
            }
        }
    }

    async fn commit(&mut self, next: i64) -> Result<(), BusError> {
        if self.is_lost() {
            return Err(BusError::Revoked);
        }
        let answered = self.shared.commit(&self.slot, next);
        match timeout(self.inner.options.request_timeout, answered).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(code))) => self.not_taken(next, code),
            // The membership has ended.
            Ok(Err(_)) => Err(BusError::Revoked),
            Err(_) => self.later(next, "the group does not answer"),
        }
    }
}
