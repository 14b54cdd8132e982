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
    /// What views, likes and orders are worth.
    pub weights: Weights,
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            lease: Duration::from_secs(10),
            weights: Weights::default(),
        }
    }
}

/// It looks for dirty days at least so often, whoever counted.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Ranking takes at most one part in so many of the time: a large day is ranked less often, and counting goes on.
const REST: u32 = 9;
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

impl Projector {
    /// Runs until `stop` turns true; `counted` wakes it.
    pub async fn run(self, mut counted: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
        let mut in_step_at = Instant::now();
        let mut renew_at_us = i64::MIN;
        loop {
            // Whatever is counted from here on wakes it again.
            counted.mark_unchanged();
            let started = Instant::now();
            match self.pass(&mut renew_at_us).await {
                Ok(()) => in_step_at = started,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the boards were not ranked; tried again");
                }
            }
            metrics::board_age(in_step_at.elapsed());
            let pause = self.options.every.max(started.elapsed() * REST);
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
        if let Err(error) = self.pass(&mut renew_at_us).await {
            tracing::warn!(error = %Chain(&error), "the boards lag until the next start");
        }
        if let Err(error) = self.store.release(self.owner).await {
            tracing::debug!(error = %Chain(&error), "the projector's lease runs out by itself");
        }
    }

    /// Ranks all dirty days if this is the one projector.
    async fn pass(&self, renew_at_us: &mut i64) -> Result<(), StoreError> {
        loop {
            let days = self.store.dirty_days(DAYS).await?;
            if days.is_empty() || !self.holds(renew_at_us).await? {
                return Ok(());
            }
            for day in days {
                let started = Instant::now();
                self.store.rank_day(day, self.options.weights).await?;
                metrics::ranked(started.elapsed());
            }
        }
    }

    /// The lease is renewed at half of it, so that nobody else holds it while this one believes to.
    async fn holds(&self, renew_at_us: &mut i64) -> Result<bool, StoreError> {
        let now_us = self.clock.now_us();
        if now_us < *renew_at_us {
            return Ok(true);
        }
        let lease_us = i64::try_from(self.options.lease.as_micros()).unwrap_or(i64::MAX);
        let held = self.store.hold(self.owner, now_us, now_us.saturating_add(lease_us)).await?;
        *renew_at_us = if held { now_us.saturating_add(lease_us / 2) } else { i64::MIN };
        Ok(held)
    }
}
