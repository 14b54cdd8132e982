use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_database::BoxFuture;
use commerce_runtime::Clock;
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::BatchError;
use crate::model::{Shown, Status};
use crate::run::{Run, error_chain};
use crate::store::{Ask, JobStore};

/// Limits of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Items of a chunk, 100 by default.
    pub chunk: u32,
    /// How long an instance is held without being renewed, 30 s by default: so long a job waits whose runner died.
    pub lease: Duration,
    /// Items that a step may leave out, 10 by default.
    pub skip_limit: u64,
    /// Times that a chunk is tried again where storage is busy or away, 3 by default.
    pub retries: u32,
    /// Failures since it last completed after which an instance is started by force only, 20 by default.
    pub start_limit: i64,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { chunk: 100, lease: Duration::from_secs(30), skip_limit: 10, retries: 3, start_limit: 20 }
    }
}

impl BatchOptions {
    pub(crate) fn until(&self, now_us: i64) -> i64 {
        now_us.saturating_add(i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Is told after every chunk.
pub type Observer = Arc<dyn Fn(Shown) + Send + Sync>;

/// What is run: an instance of a job, over one state of its input.
#[async_trait]
pub trait Job: Send + Sync {
    /// The job's name.
    fn name(&self) -> &'static str;

    /// What identifies the instance among those of the job.
    fn parameters(&self) -> String;

    /// Names the state of the input: an execution that did not end is continued only over the same.
    fn input(&self) -> String;

    /// Runs the steps, in order.
    async fn run(&self, run: &Run) -> Result<(), BatchError>;
}

/// How an execution ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub execution: i64,
    /// `Completed` or `Stopped`.
    pub status: Status,
}

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    /// Where instances and executions are.
    pub store: Arc<dyn JobStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub options: BatchOptions,
    /// Who it is.
    pub owner: Uuid,
    /// Turns true when jobs shall stop at the edge of their chunk.
    pub stop: watch::Receiver<bool>,
    /// Is told after every chunk.
    pub observer: Observer,
}

impl Runner {
    /// Runs an instance to its end, or to the edge of a chunk where it shall stop. `again` runs what is complete once
    /// more; `force` that and what failed too often.
    pub async fn run(&self, job: &dyn Job, again: bool, force: bool) -> Result<Ended, BatchError> {
        let run = self.begin(job, again, force).await?;
        self.drive(job, &run).await
    }

    /// Begins an instance as [`Self::run`] does, and gives back its execution and the work that runs it to its end.
    pub async fn start(
        self,
        job: Box<dyn Job>,
        again: bool,
        force: bool,
    ) -> Result<(i64, BoxFuture<'static, Result<Ended, BatchError>>), BatchError> {
        let run = self.begin(&*job, again, force).await?;
        let execution = run.execution();
        Ok((execution, Box::pin(async move { self.drive(&*job, &run).await })))
    }

    async fn begin(&self, job: &dyn Job, again: bool, force: bool) -> Result<Run, BatchError> {
        let now_us = self.clock.now_us();
        let ask = Ask {
            job: job.name(),
            parameters: job.parameters(),
            input: job.input(),
            again: again || force,
            force,
            owner: self.owner,
            now_us,
            until_us: self.options.until(now_us),
            start_limit: self.options.start_limit,
        };
        let hold = self.store.begin(ask).await?;
        Ok(Run {
            store: self.store.clone(),
            clock: self.clock.clone(),
            options: self.options,
            hold,
            stop: self.stop.clone(),
            stop_requested: AtomicBool::new(false),
            observer: self.observer.clone(),
        })
    }

    async fn drive(&self, job: &dyn Job, run: &Run) -> Result<Ended, BatchError> {
        let hold = run.hold;
        let result = tokio::select! {
            biased;
            result = job.run(run) => result,
            lost = self.hold_on(run) => Err(lost),
        };
        let execution = hold.execution;
        let (status, message) = match &result {
            Ok(()) => (Status::Completed, None),
            Err(BatchError::Stopped) => (Status::Stopped, None),
            // It belongs to another, who says how it ends.
            Err(BatchError::Fenced) => return Err(BatchError::Fenced),
            Err(error @ BatchError::Unknown(_)) => (Status::Unknown, Some(error_chain(error))),
            Err(error) => (Status::Failed, Some(error_chain(error))),
        };
        let ended = self.store.end(hold, status, message, self.clock.now_us()).await;
        match (result, ended) {
            (Ok(()) | Err(BatchError::Stopped), Ok(())) => Ok(Ended { execution, status }),
            (Ok(()) | Err(BatchError::Stopped), Err(error)) => Err(error),
            (Err(error), ended) => {
                if let Err(unsaid) = ended {
                    tracing::warn!(execution, error = %error_chain(&unsaid), "a job's end could not be written");
                }
                Err(error)
            }
        }
    }

    /// Renews the lease for as long as it is polled; ends when the instance belongs to another.
    async fn hold_on(&self, run: &Run) -> BatchError {
        loop {
            tokio::time::sleep(self.options.lease / 3).await;
            let until_us = self.options.until(self.clock.now_us());
            match self.store.heartbeat(run.hold, until_us).await {
                Ok(stop) => {
                    run.stop_requested.fetch_or(stop, Ordering::SeqCst);
                }
                Err(BatchError::Fenced) => return BatchError::Fenced,
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "a job's lease was not renewed; tried again");
                }
            }
        }
    }
}
