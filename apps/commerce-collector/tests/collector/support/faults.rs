//! A bus that forgets and a store whose answers get lost.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_bus::{
    Assignment, BusError, EventBus, GroupConsumer, PartitionConsumer, PartitionLag, Producer, Received,
    TopicSpec,
};
use commerce_collector::application::ports::{Batch, Claimed, Collected, MetricsStore, StoreError};

/// A bus that never takes an offset, as if the process died each time before it told.
pub struct Forgetful<B>(pub B);

struct ForgetfulGroup(Box<dyn GroupConsumer>);
struct ForgetfulPartition {
    assignment: Assignment,
    // Never locked: it makes sharable what is not.
    partition: Mutex<Box<dyn PartitionConsumer>>,
}

#[async_trait]
impl<B: EventBus> EventBus for Forgetful<B> {
    async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.0.ensure_topics(topics).await
    }

    fn producer(&self) -> Arc<dyn Producer> {
        self.0.producer()
    }

    async fn join(&self, group: &str, topics: &[&str]) -> Result<Box<dyn GroupConsumer>, BusError> {
        Ok(Box::new(ForgetfulGroup(self.0.join(group, topics).await?)))
    }

    async fn lag(&self, group: &str, topics: &[&str]) -> Result<Vec<PartitionLag>, BusError> {
        self.0.lag(group, topics).await
    }

    async fn earliest(&self, topic: &str, partition: i32) -> Result<i64, BusError> {
        self.0.earliest(topic, partition).await
    }
}

#[async_trait]
impl GroupConsumer for ForgetfulGroup {
    async fn assigned(&mut self) -> Result<Box<dyn PartitionConsumer>, BusError> {
        let partition = self.0.assigned().await?;
        let assignment = partition.assignment().clone();
        Ok(Box::new(ForgetfulPartition { assignment, partition: Mutex::new(partition) }))
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        self.0.leave().await
    }
}

#[async_trait]
impl PartitionConsumer for ForgetfulPartition {
    fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    async fn committed(&self) -> Result<Option<i64>, BusError> {
        Ok(None)
    }

    async fn seek(&mut self, next: i64) -> Result<(), BusError> {
        self.partition.get_mut().unwrap().seek(next).await
    }

    async fn fetch(&mut self, max: usize, linger: Duration) -> Result<Vec<Received>, BusError> {
        self.partition.get_mut().unwrap().fetch(max, linger).await
    }

    async fn commit(&mut self, _next: i64) -> Result<(), BusError> {
        Err(BusError::Unavailable("the process is gone".into()))
    }
}

/// A store of which every third answer is lost: before anything was done, or after all of it was.
pub struct LosesAnswers<S> {
    pub store: S,
    pub calls: AtomicU32,
}

#[async_trait]
impl<S: MetricsStore> MetricsStore for LosesAnswers<S> {
    async fn claim(&self, assignment: &Assignment, window: u32) -> Result<Claimed, StoreError> {
        self.store.claim(assignment, window).await
    }

    async fn open_letters(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, StoreError> {
        self.store.open_letters(topic, partition, offset).await
    }

    async fn collect(&self, batch: Batch) -> Result<Collected, StoreError> {
        let lost = || StoreError::Unavailable("no answer".into());
        match self.calls.fetch_add(1, Ordering::SeqCst) % 6 {
            1 => Err(lost()),
            4 => {
                self.store.collect(batch).await?;
                Err(lost())
            }
            _ => self.store.collect(batch).await,
        }
    }
}
