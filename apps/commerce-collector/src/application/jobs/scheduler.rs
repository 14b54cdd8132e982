use chrono::NaiveDate;
use commerce_batch::BatchError;
use tokio::sync::watch;

use super::{JobError, Jobs};
use crate::application::Chain;

/// Runs what is due: at the start, after every midnight of the shop's zone, and every few minutes what is dirty. One
/// scheduler among all nodes does it, by a lease.
pub struct Scheduler {
    /// What it runs.
    pub jobs: Jobs,
}

/// What it knows from one look at the clock to the next.
#[derive(Default)]
struct Known {
    /// The next pass, in microseconds since the epoch.
    next_at_us: i64,
    /// The lease is held at least until then.
    renew_at_us: i64,
    /// The last day on which it was forgotten what is too old.
    forgot_on: Option<NaiveDate>,
}

impl Scheduler {
    /// Runs until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut known = Known::default();
        loop {
            if let Err(error) = self.look(&mut known).await {
                tracing::warn!(error = %Chain(&error), "jobs were not scheduled; tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(self.jobs.options.look_every) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if let Err(error) = self.jobs.periods.release_schedule(self.jobs.owner).await {
            tracing::debug!(error = %Chain(&error), "the scheduler's lease runs out by itself");
        }
    }

    async fn look(&self, known: &mut Known) -> Result<(), JobError> {
        let jobs = &self.jobs;
        let now_us = jobs.clock.now_us();
        if now_us < known.next_at_us || !self.holds(known, now_us).await? {
            return Ok(());
        }
        let every_us = micros(jobs.options.every);
        jobs.run_due().await?;
        self.forget(known, now_us).await?;
        // A day that ends before the pause is over is not waited for longer.
        let today = jobs.zone.day_start(now_us);
        let midnight = jobs.zone.day(now_us).and_then(|day| day.succ_opt());
        let midnight_us = midnight.map_or(i64::MAX, |day| jobs.zone.start_of(day));
        let forget_us = today.saturating_add(i64::from(jobs.options.forget_at_hour) * HOUR_US);
        let after = |at_us: i64| if at_us > now_us { at_us } else { i64::MAX };
        known.next_at_us = now_us.saturating_add(every_us).min(after(midnight_us)).min(after(forget_us));
        Ok(())
    }

    async fn forget(&self, known: &mut Known, now_us: i64) -> Result<(), JobError> {
        let today_us = self.jobs.zone.day_start(now_us);
        let from_us = today_us.saturating_add(i64::from(self.jobs.options.forget_at_hour) * HOUR_US);
        let today = self.jobs.zone.day(now_us);
        if now_us < from_us || known.forgot_on == today {
            return Ok(());
        }
        match self.jobs.forget().await {
            Ok(_) => {}
            // It goes on where it stood with the next start.
            Err(JobError::Batch(BatchError::Stopped)) => return Ok(()),
            Err(error) => return Err(error),
        }
        known.forgot_on = today;
        Ok(())
    }

    /// The lease is renewed at half of it. A job that takes longer is held by a lease of its own.
    async fn holds(&self, known: &mut Known, now_us: i64) -> Result<bool, JobError> {
        if now_us < known.renew_at_us {
            return Ok(true);
        }
        let lease_us = micros(self.jobs.options.lease);
        let until_us = now_us.saturating_add(lease_us);
        let held = self.jobs.periods.hold_schedule(self.jobs.owner, now_us, until_us).await?;
        known.renew_at_us = if held { now_us.saturating_add(lease_us / 2) } else { i64::MIN };
        Ok(held)
    }
}

const HOUR_US: i64 = 3_600_000_000;

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
