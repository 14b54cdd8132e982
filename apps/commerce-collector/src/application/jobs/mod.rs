//! Jobs over periods: closing days, aggregating weeks and months, forgetting.

mod due;
mod scheduler;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{Days, NaiveDate};
use commerce_batch::{BatchError, Job, JobHistory, JobStore, Runner};
pub use commerce_batch::{BatchOptions, Counters, Ended, ExecutionView, Observer, Shown, Status, StepView};
pub use commerce_boards::{Period, PeriodKind};
use commerce_collector_domain::Weights;
use commerce_runtime::{BusinessZone, Clock};
use tokio::sync::watch;
use uuid::Uuid;

use super::ports::StoreError;
pub use due::{PeriodState, Task, due, through};
pub use scheduler::Scheduler;

/// Limits of the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsOptions {
    /// Chunks, leases and what may be left out.
    pub batch: BatchOptions,
    /// Whether the scheduler runs; true by default.
    pub scheduled: bool,
    /// How often dirty and missed periods are looked for, 5 minutes by default.
    pub every: Duration,
    /// How often the scheduler looks at the clock, 1 s by default.
    pub look_every: Duration,
    /// How long the scheduler holds its lease without renewing it, 30 s by default.
    pub lease: Duration,
    /// Days for which missed periods are caught up with, 400 by default.
    pub catch_up_days: u32,
    /// Days for which dedupe rows are kept, 14 by default.
    pub handled_days: u32,
    /// Days for which executions of jobs are kept, 90 by default.
    pub executions_days: u32,
    /// Hour of the day, in the shop's zone, from which on it is forgotten what is too old; 4 by default.
    pub forget_at_hour: u32,
}

impl Default for JobsOptions {
    fn default() -> Self {
        Self {
            batch: BatchOptions::default(),
            scheduled: true,
            every: Duration::from_mins(5),
            look_every: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            catch_up_days: 400,
            handled_days: 14,
            executions_days: 90,
            forget_at_hour: 4,
        }
    }
}

/// What the jobs need of storage.
#[async_trait]
pub trait PeriodStore: Send + Sync + 'static {
    /// Every period that something was counted in or that was worked.
    async fn states(&self) -> Result<Vec<PeriodState>, StoreError>;

    /// One of them.
    async fn state(&self, period: Period) -> Result<Option<PeriodState>, StoreError>;

    /// The job of a task, over the state that the database has now.
    async fn job(&self, task: Task, weights: Weights, now_us: i64) -> Result<Box<dyn Job>, StoreError>;

    /// Products that something was ever counted of.
    async fn products(&self) -> Result<u64, StoreError>;

    /// Holds the scheduler's lease for `owner` until `until_us`, or learns that another does.
    async fn hold_schedule(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError>;

    /// Gives it back.
    async fn release_schedule(&self, owner: Uuid) -> Result<(), StoreError>;
}

/// Why a job was not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No day of the period is over yet.
    #[error("{0} has no day that is over yet; jobs count days that are over")]
    NotBegun(Period),
    /// There is no such execution.
    #[error("there is no execution {0}")]
    NoSuchExecution(i64),
    /// The execution is not at work.
    #[error("execution {0} is not running")]
    NotRunning(i64),
    /// The runner says so.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Storage says so.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs jobs and tells of them. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    /// Periods.
    pub periods: Arc<dyn PeriodStore>,
    /// Instances and executions.
    pub store: Arc<dyn JobStore>,
    /// What was run.
    pub history: Arc<dyn JobHistory>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The shop's zone.
    pub zone: BusinessZone,
    /// What views, likes and orders are worth.
    pub weights: Weights,
    /// Limits.
    pub options: JobsOptions,
    /// Who runs.
    pub owner: Uuid,
    /// Turns true when jobs shall stop at the edge of their chunk.
    pub stop: watch::Receiver<bool>,
}

impl Jobs {
    /// Today in the shop's zone.
    pub fn today(&self) -> NaiveDate {
        self.zone.day(self.clock.now_us()).unwrap_or_default()
    }

    /// Closes a day, or aggregates and ranks a week or month. One that is complete is refused, unless something has
    /// changed since, or by `force`.
    pub async fn run(&self, period: Period, force: bool, observer: Observer) -> Result<Ended, JobError> {
        let (task, again) = self.task(period).await?;
        self.work(task, again, force, observer).await
    }

    /// Begins the same and gives back its execution, which runs in a task of its own.
    pub async fn start(&self, period: Period, force: bool) -> Result<i64, JobError> {
        let (task, again) = self.task(period).await?;
        let job = self.periods.job(task, self.weights, self.clock.now_us()).await?;
        let runner = self.runner(self.options.batch, Arc::new(|_| {}));
        let (execution, work) = runner.start(job, again, force).await?;
        tokio::spawn(async move {
            if let Err(error) = work.await {
                tracing::warn!(execution, error = %super::Chain(&error), "a job that was asked for failed");
            }
        });
        Ok(execution)
    }

    /// What a period asks for, and whether it is to be done again where it is complete.
    async fn task(&self, period: Period) -> Result<(Task, bool), JobError> {
        let through = through(period, self.today()).ok_or(JobError::NotBegun(period))?;
        let state = self.periods.state(period).await?;
        let lacks_nothing = state.is_some_and(|state| {
            !state.dirty && (state.closed || state.through.is_some_and(|done| done >= through))
        });
        let task = match period.kind() {
            PeriodKind::Daily => Task::Close(period.first()),
            PeriodKind::Weekly | PeriodKind::Monthly => Task::Aggregate { period, through },
        };
        Ok((task, !lacks_nothing))
    }

    /// Runs whatever is due, in its order, and gives back how many tasks were worked. What fails is told and does not
    /// hold the rest up.
    pub async fn run_due(&self) -> Result<usize, JobError> {
        let bound = Days::new(self.options.catch_up_days.into());
        let tasks = due(self.today(), &self.periods.states().await?, bound);
        let mut worked = 0;
        for task in tasks {
            if *self.stop.borrow() {
                break;
            }
            match self.work(task, true, false, Arc::new(|_| {})).await {
                Ok(ended) => worked += usize::from(ended.status == Status::Completed),
                Err(JobError::Batch(BatchError::Running { .. })) => {}
                Err(error) => {
                    tracing::warn!(?task, error = %super::Chain(&error), "a job failed; it is tried again");
                }
            }
        }
        Ok(worked)
    }

    /// Deletes what is older than it is kept, once a day; true where it was done now.
    pub async fn forget(&self) -> Result<bool, JobError> {
        let (day, now_us) = (self.today(), self.clock.now_us());
        let before = |days: u32| now_us - i64::from(days) * DAY_US;
        let task = Task::Forget {
            day,
            handled_before_us: before(self.options.handled_days),
            executions_before_us: before(self.options.executions_days),
        };
        match self.work(task, false, false, Arc::new(|_| {})).await {
            Ok(_) => Ok(true),
            Err(JobError::Batch(BatchError::Complete { .. } | BatchError::Running { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn work(
        &self,
        task: Task,
        again: bool,
        force: bool,
        observer: Observer,
    ) -> Result<Ended, JobError> {
        let mut options = self.options.batch;
        if let Task::Forget { .. } = task {
            options.chunk = options.chunk.saturating_mul(FORGOTTEN_AT_ONCE);
        }
        let job = self.periods.job(task, self.weights, self.clock.now_us()).await?;
        Ok(self.runner(options, observer).run(&*job, again, force).await?)
    }

    fn runner(&self, options: BatchOptions, observer: Observer) -> Runner {
        Runner {
            store: self.store.clone(),
            clock: self.clock.clone(),
            options,
            owner: self.owner,
            stop: self.stop.clone(),
            observer,
        }
    }

    /// Executions with an id below `before`, latest first.
    pub async fn executions(&self, before: Option<i64>, limit: u64) -> Result<Vec<ExecutionView>, JobError> {
        Ok(self.history.executions(before, limit, self.clock.now_us()).await?)
    }

    /// An execution and its steps.
    pub async fn execution(&self, id: i64) -> Result<(ExecutionView, Vec<StepView>), JobError> {
        let found = self.history.execution(id, self.clock.now_us()).await?;
        found.ok_or(JobError::NoSuchExecution(id))
    }

    /// Asks an execution to stop at the edge of its chunk.
    pub async fn stop_execution(&self, id: i64) -> Result<(), JobError> {
        let (execution, _) = self.execution(id).await?;
        if execution.lease_over || !self.history.request_stop(id).await? {
            return Err(JobError::NotRunning(id));
        }
        Ok(())
    }
}

const DAY_US: i64 = 86_400_000_000;

/// Rows that are deleted are cheaper than products that are aggregated: so many times more of them make a chunk.
const FORGOTTEN_AT_ONCE: u32 = 10;
