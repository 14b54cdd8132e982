//! Background work: each task is idempotent, takes no input and is run by one of N nodes at a time.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::{CommandKind, OrderId, Refusal, Timestamp};
use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::Accounts;
use crate::desk::{DeskReply, Listener, OrderDesk, Submission};
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
    /// Deletion of expired keys and sessions, and of old callbacks.
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
    /// Sessions that were used.
    pub accounts: Accounts,
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
/// How long a callback is known by its id: longer than any gateway sends it again.
const KEEP_CALLBACKS: Duration = Duration::from_hours(7 * 24);
/// Likes changed up to this long before the last run are counted again: a transaction may commit after its time.
const OVERLAP: Duration = Duration::from_secs(30);

impl Scheduler {
    /// Runs all tasks until `stop` turns true; a task that runs is finished first.
    pub async fn run(self, options: ScheduleOptions, stop: watch::Receiver<bool>) {
        let owner = self.ids.uuid();
        let mut tasks = JoinSet::new();
        let this = Arc::new(self);
        let leased = |name, every| Leased {
            name,
            owner,
            every,
            leases: this.leases.clone(),
            clock: this.clock.clone(),
            wake: None,
            stop: stop.clone(),
        };
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
        tasks.spawn(this.clone().flush(options.counts_every, stop.clone()));
        while tasks.join_next().await.is_some() {}
    }

    /// Expires all orders past their deadline; gives back how many.
    pub async fn expire_overdue(&self) -> Result<u64, StorageError> {
        expire_overdue(&self.desk, &*self.orders, &*self.clock).await
    }

    /// Deletes what has expired, in bounded statements, until nothing is left.
    pub async fn purge(&self) -> Result<(), StorageError> {
        let now: Timestamp = self.clock.now();
        while self.maintenance.purge_idempotency_keys(now, BATCH).await? == BATCH {}
        while self.maintenance.purge_sessions(now, BATCH).await? == BATCH {}
        let before = now.minus(KEEP_CALLBACKS);
        while self.maintenance.purge_callbacks(before, BATCH).await? == BATCH {}
        Ok(())
    }

    /// Every node flushes its own views and uses of sessions, and once more when it stops.
    async fn flush(self: Arc<Self>, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut ticks = ticks(every);
        loop {
            let stopping = tokio::select! {
                _ = ticks.tick() => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            if let Err(error) = self.views.flush().await {
                tracing::warn!(%error, "views were not flushed");
            }
            if let Err(error) = self.accounts.flush_touches().await {
                tracing::warn!(%error, "uses of sessions were not flushed");
            }
            if stopping {
                return;
            }
        }
    }
}

/// Expires all orders past their deadline; gives back how many. One that cannot be expired does not stand in the way of
/// those behind it.
pub async fn expire_overdue(
    desk: &OrderDesk,
    orders: &dyn OrderQueries,
    clock: &dyn Clock,
) -> Result<u64, StorageError> {
    let now = clock.now();
    let (mut after, mut expired) = (None, 0);
    loop {
        let overdue = orders.overdue(now, after, BATCH).await?;
        let Some(last) = overdue.last().copied() else { return Ok(expired) };
        after = Some(last);
        let expiries = overdue.into_iter().map(|(_, order)| expire(desk, order));
        expired += futures::future::join_all(expiries).await.into_iter().sum::<u64>();
    }
}

/// Expires one order; 1 where it was due.
async fn expire(desk: &OrderDesk, order: OrderId) -> u64 {
    match desk.submit(Submission::internal(CommandKind::Expire { order })).await {
        Ok(DeskReply::Decided { decision, .. }) => match *decision {
            Ok(_) => return 1,
            Err(Refusal::NotDue) => {}
            Err(refusal) => tracing::error!(%order, %refusal, "an overdue order was not expired"),
        },
        Ok(_) => {}
        // The next run finds it again.
        Err(error) => tracing::warn!(%order, %error, "an overdue order was not expired"),
    }
    0
}

async fn woken(wake: &mut Option<Listener>) {
    match wake {
        Some(wake) => wake.raised().await,
        None => std::future::pending().await,
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A task that one of N nodes runs.
pub(crate) struct Leased {
    /// Of the lease.
    pub name: &'static str,
    /// Who holds it.
    pub owner: uuid::Uuid,
    /// How often it runs.
    pub every: Duration,
    /// Where it is held.
    pub leases: Arc<dyn LeaseStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Has it run without waiting.
    pub wake: Option<Listener>,
    /// Ends it.
    pub stop: watch::Receiver<bool>,
}

impl Leased {
    /// Runs `task` every so often while this node holds the lease.
    pub(crate) async fn run<F>(mut self, mut task: impl FnMut() -> F + Send)
    where
        F: Future<Output = Result<(), StorageError>> + Send,
    {
        let mut ticks = ticks(self.every);
        // Long enough that an idle shop hardly writes, short enough that another node takes over soon.
        let ttl = (self.every * 3).max(Duration::from_secs(30));
        let mut renew_at = Timestamp::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = woken(&mut self.wake) => {}
                _ = self.stop.wait_for(|stop| *stop) => return,
            }
            let now = self.clock.now();
            if renew_at <= now {
                match self.leases.acquire(self.name, self.owner, now, ttl).await {
                    // Half of it is left when it is renewed, so nobody else holds it while this node believes to.
                    Ok(Some(_)) => renew_at = now.plus(ttl / 2),
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(task = self.name, %error, "no lease for a background task; it tries again");
                        continue;
                    }
                }
            }
            let run = AssertUnwindSafe(task()).catch_unwind().await;
            match run {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(task = self.name, %error, "a background task failed; it runs again");
                }
                // Our own bug; the task must not be gone for the life of the process because of it.
                Err(_) => tracing::error!(task = self.name, "a background task panicked; it runs again"),
            }
        }
    }
}
