//! Keeps the boards in step with what is counted.

use std::sync::Arc;
use std::time::Duration;

use commerce_collector_domain::Weights;
use commerce_runtime::Clock;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::failure::Chain;
use super::metrics;
use super::ports::{BoardStore, StoreError};

/// Limits of the projector.
#[derive(Debug, Clone, Copy)]
pub struct ProjectorOptions {
    /// The least time between two rankings, 500 ms by default.
    pub every: Duration,
    /// How long it holds the lease without renewing it, 10 s by default.
    pub lease: Duration,
    /// No other process has the database for as long as this one runs: a lease that is found belongs to a dead one and
    /// is not waited for. False by default.
    pub alone: bool,
    /// What views, likes and orders are worth.
    pub weights: Weights,
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            lease: Duration::from_secs(10),
            alone: false,
            weights: Weights::default(),
        }
    }
}

/// It looks for dirty days at least so often, whoever counted.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The age of the boards is told so often, also while a ranking fails or takes long.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Ranking takes at most one part in so many of the time: a large day is ranked less often, and counting goes on.
const REST: u32 = 9;
/// But it never rests for longer: what took long may have been a process that stood still, or a database that did not
/// answer, and says nothing of the next ranking.
const REST_MAX: Duration = Duration::from_secs(30);
/// Days ranked before the lease is looked at again.
const DAYS: u64 = 31;

/// Ranks days that have changed.
pub struct Projector {
    /// Where the boards are.
    pub store: Arc<dyn BoardStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub options: ProjectorOptions,
    /// The name under which it holds its lease.
    pub owner: Uuid,
}

/// What it knows of its lease.
struct Lease {
    /// It is held at least until then, in microseconds since the epoch.
    renew_at_us: i64,
    /// The lease that is found belongs to nobody who lives.
    takes_over: bool,
}

impl Projector {
    /// Runs until `stop` turns true; `counted` wakes it.
    pub async fn run(self, counted: watch::Receiver<u64>, stop: watch::Receiver<bool>) {
        let in_step_at = watch::Sender::new(Instant::now());
        tokio::select! {
            // In a fixed order, so that a simulated run repeats.
            biased;
            () = self.work(counted, stop, &in_step_at) => {}
            () = tell_age(&in_step_at) => {}
        }
    }

    async fn work(
        &self,
        mut counted: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
        in_step_at: &watch::Sender<Instant>,
    ) {
        let mut lease = Lease { renew_at_us: i64::MIN, takes_over: self.options.alone };
        loop {
            // Whatever is counted from here on wakes it again.
            counted.mark_unchanged();
            let started = Instant::now();
            if let Err(error) = self.pass(&mut lease, in_step_at).await {
                tracing::warn!(error = %Chain(&error), "the boards were not ranked; tried again");
            }
            let rest = (started.elapsed() * REST).min(REST_MAX);
            let pause = self.options.every.max(rest);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            tokio::select! {
                // Its sender is gone only where the app is.
                _ = counted.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        // What was counted last is shown before the app is gone.
        if let Err(error) = self.pass(&mut lease, in_step_at).await {
            tracing::warn!(error = %Chain(&error), "the boards lag until the next start");
        }
        if let Err(error) = self.store.release(self.owner).await {
            tracing::debug!(error = %Chain(&error), "the projector's lease runs out by itself");
        }
    }

    /// Ranks all dirty days if this is the one projector. The boards are in step with what was counted before a look
    /// that found no dirty day, or all of whose days it ranked; what another may rank is not known.
    async fn pass(&self, lease: &mut Lease, in_step_at: &watch::Sender<Instant>) -> Result<(), StoreError> {
        loop {
            let looked_at = Instant::now();
            let days = self.store.dirty_days(DAYS).await?;
            if days.is_empty() {
                in_step_at.send_replace(looked_at);
                return Ok(());
            }
            if !self.holds(lease).await? {
                return Ok(());
            }
            let all = (days.len() as u64) < DAYS;
            for day in days {
                let started = Instant::now();
                self.store.rank_day(day, self.options.weights).await?;
                metrics::ranked(started.elapsed());
            }
            if all {
                in_step_at.send_replace(looked_at);
            }
        }
    }

    /// The lease is renewed at half of it, so that nobody else holds it while this one believes to.
    async fn holds(&self, lease: &mut Lease) -> Result<bool, StoreError> {
        let now_us = self.clock.now_us();
        if now_us < lease.renew_at_us {
            return Ok(true);
        }
        if lease.takes_over {
            self.store.end_lease().await?;
            // Whoever holds it from here on came later and lives.
            lease.takes_over = false;
        }
        let lease_us = i64::try_from(self.options.lease.as_micros()).unwrap_or(i64::MAX);
        let held = self.store.hold(self.owner, now_us, now_us.saturating_add(lease_us)).await?;
        lease.renew_at_us = if held { now_us.saturating_add(lease_us / 2) } else { i64::MIN };
        Ok(held)
    }
}

/// Tells the age of the boards for as long as it is polled.
async fn tell_age(in_step_at: &watch::Sender<Instant>) {
    loop {
        let age = in_step_at.borrow().elapsed();
        metrics::board_age(age);
        tokio::time::sleep(TELL_EVERY).await;
    }
}
