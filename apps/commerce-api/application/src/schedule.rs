//! Background work: each task is idempotent, takes no input and is run by one of N nodes at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::{Command, CommandKind, Refusal, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::desk::{DeskReply, OrderDesk, Submission};
use crate::ports::{CatalogueStore, Clock, IdSource, LeaseStore, Maintenance, OrderQueries, StorageError};
use crate::views::ViewCounter;

/// How often each task runs.
#[derive(Debug, Clone, Copy)]
pub struct ScheduleOptions {
    /// Expiry of unpaid orders.
    pub expiry_every: Duration,
    /// Like counts of products whose likes changed, and views.
    pub counts_every: Duration,
    /// Like counts of all products.
    pub full_recount_every: Duration,
    /// Deletion of expired keys and sessions.
    pub retention_every: Duration,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            expiry_every: Duration::from_secs(1),
            counts_every: Duration::from_secs(5),
            full_recount_every: Duration::from_mins(5),
            retention_every: Duration::from_mins(10),
        }
    }
}

/// What the tasks need.
#[derive(Clone)]
pub struct Scheduler {
    /// Order desk, for expiries.
    pub desk: OrderDesk,
    /// Overdue orders.
    pub orders: Arc<dyn OrderQueries>,
    /// Counts.
    pub catalogue: Arc<dyn CatalogueStore>,
    /// Views to flush.
    pub views: Arc<ViewCounter>,
    /// Retention.
    pub maintenance: Arc<dyn Maintenance>,
    /// One runner among N nodes.
    pub leases: Arc<dyn LeaseStore>,
    /// Ids of commands, and the name under which leases are held.
    pub ids: Arc<dyn IdSource>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Orders expired, or rows deleted, in one statement.
const BATCH: u64 = 500;
/// Likes changed up to this long before the last run are counted again: a transaction may commit after its time.
const OVERLAP: Duration = Duration::from_secs(30);

impl Scheduler {
    /// Runs all tasks until `stop` turns true; a task that runs is finished first.
    pub async fn run(self, options: ScheduleOptions, stop: watch::Receiver<bool>) {
        let owner = self.ids.uuid();
        let mut tasks = JoinSet::new();
        let this = Arc::new(self);
        let leased = |name, every| Leased { name, owner, every, scheduler: this.clone(), stop: stop.clone() };
        let scheduler = this.clone();
        tasks.spawn(leased("expiry", options.expiry_every).run(move || {
            let scheduler = scheduler.clone();
            async move { scheduler.expire_overdue().await.map(|_| ()) }
        }));
        let (scheduler, started_at) = (this.clone(), this.clock.now());
        let mut last = started_at;
        tasks.spawn(leased("like_counts", options.counts_every).run(move || {
            let (scheduler, since) = (scheduler.clone(), last.minus(OVERLAP));
            last = scheduler.clock.now();
            async move { scheduler.catalogue.recount_likes(Some(since)).await.map(|_| ()) }
        }));
        let scheduler = this.clone();
        tasks.spawn(leased("like_counts_full", options.full_recount_every).run(move || {
            let scheduler = scheduler.clone();
            async move { scheduler.catalogue.recount_likes(None).await.map(|_| ()) }
        }));
        let scheduler = this.clone();
        tasks.spawn(leased("retention", options.retention_every).run(move || {
            let scheduler = scheduler.clone();
            async move { scheduler.purge().await }
        }));
        tasks.spawn(this.clone().flush_views(options.counts_every, stop.clone()));
        while tasks.join_next().await.is_some() {}
    }

    /// Expires orders past their deadline; gives back how many.
    pub async fn expire_overdue(&self) -> Result<u64, StorageError> {
        let overdue = self.orders.overdue(self.clock.now(), BATCH).await?;
        let submissions = overdue.into_iter().map(|order| {
            let command = Command { ids: self.ids.seed(), kind: CommandKind::Expire { order } };
            self.desk.submit(Submission::internal(command))
        });
        let mut expired = 0;
        for reply in futures::future::join_all(submissions).await {
            match reply {
                Ok(DeskReply::Decided { decision, .. }) => match *decision {
                    Ok(_) => expired += 1,
                    Err(Refusal::NotDue) => {}
                    Err(refusal) => tracing::error!(%refusal, "an overdue order was not expired"),
                },
                Ok(_) => {}
                // The next run finds it again.
                Err(error) => tracing::warn!(%error, "an overdue order was not expired"),
            }
        }
        Ok(expired)
    }

    /// Deletes what has expired, in bounded statements, until nothing is left.
    pub async fn purge(&self) -> Result<(), StorageError> {
        let now: Timestamp = self.clock.now();
        while self.maintenance.purge_idempotency_keys(now, BATCH).await? == BATCH {}
        while self.maintenance.purge_sessions(now, BATCH).await? == BATCH {}
        Ok(())
    }

    /// Every node flushes its own views, and once more when it stops.
    async fn flush_views(self: Arc<Self>, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut ticks = ticks(every);
        loop {
            let stopping = tokio::select! {
                _ = ticks.tick() => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            if let Err(error) = self.views.flush().await {
                tracing::warn!(%error, "views were not flushed");
            }
            if stopping {
                return;
            }
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct Leased {
    name: &'static str,
    owner: uuid::Uuid,
    every: Duration,
    scheduler: Arc<Scheduler>,
    stop: watch::Receiver<bool>,
}

impl Leased {
    /// Runs `task` every so often while this node holds the lease.
    async fn run<F>(mut self, mut task: impl FnMut() -> F + Send)
    where
        F: Future<Output = Result<(), StorageError>> + Send,
    {
        let mut ticks = ticks(self.every);
        // Long enough that the holder renews in time, short enough that another node takes over soon.
        let ttl = (self.every * 3).max(Duration::from_secs(10));
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = self.stop.wait_for(|stop| *stop) => return,
            }
            let now = self.scheduler.clock.now();
            let result = match self.scheduler.leases.acquire(self.name, self.owner, now, ttl).await {
                Ok(Some(_)) => task().await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                tracing::warn!(task = self.name, %error, "a background task failed; it runs again");
            }
        }
    }
}
