//! What the runner needs of storage.

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::BatchError;
use crate::model::{Counters, ExecutionView, SkipRecord, Status, StepView};
use crate::step::Work;

/// A wish to run an instance.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The job.
    pub job: &'static str,
    /// What identifies the instance.
    pub parameters: String,
    /// The state of the input.
    pub input: String,
    /// Run also what is complete.
    pub again: bool,
    /// Run also what failed too often.
    pub force: bool,
    /// Who runs.
    pub owner: Uuid,
    /// Now, in microseconds since the epoch.
    pub now_us: i64,
    /// Until when the instance is held.
    pub until_us: i64,
    /// Failures after which it is not started any more.
    pub start_limit: i64,
}

/// An instance held by a runner, and the execution that it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The instance.
    pub instance: i64,
    /// The execution.
    pub execution: i64,
    /// How often the instance was given away: a holder with an earlier number writes nothing.
    pub fence: i64,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepState {
    /// It is done.
    pub completed: bool,
    /// Key of the last item that is done with.
    pub cursor: Option<i64>,
    /// What it has done.
    pub counters: Counters,
}

/// What a chunk leaves behind besides its business rows.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Which step.
    pub step: &'static str,
    /// Where it stands then; its commits are one more than before.
    pub state: StepState,
    /// Items left out by this chunk.
    pub skips: Vec<SkipRecord>,
    /// Now, in microseconds since the epoch.
    pub now_us: i64,
    /// Until when the instance is held.
    pub until_us: i64,
}

/// Instances, executions and steps.
#[async_trait]
pub trait JobStore: Send + Sync + 'static {
    /// Gives the instance to a runner and makes an execution of it. One that is unfinished is continued where the input
    /// is the same: its steps come along. Refuses what runs, what is complete and what failed too often.
    async fn begin(&self, ask: Ask) -> Result<Hold, BatchError>;

    /// Renews the lease; true if the execution shall stop. `Fenced` where it belongs to another.
    async fn heartbeat(&self, hold: Hold, until_us: i64) -> Result<bool, BatchError>;

    /// Where a step stands; begins it where it has not begun.
    async fn open_step(&self, hold: Hold, step: &'static str, now_us: i64) -> Result<StepState, BatchError>;

    /// Runs `work` and keeps the checkpoint in its transaction, all of it or nothing; true if the execution shall stop.
    /// `Fenced` where the instance belongs to another.
    async fn commit(&self, hold: Hold, checkpoint: Checkpoint, work: Work) -> Result<bool, BatchError>;

    /// Ends the execution and gives the instance back.
    async fn end(
        &self,
        hold: Hold,
        status: Status,
        message: Option<String>,
        now_us: i64,
    ) -> Result<(), BatchError>;
}

/// What was run, for those who look on.
#[async_trait]
pub trait JobHistory: Send + Sync + 'static {
    /// Executions with an id below `before`, latest first. `now_us` tells whose lease has run out.
    async fn executions(
        &self,
        before: Option<i64>,
        limit: u64,
        now_us: i64,
    ) -> Result<Vec<ExecutionView>, BatchError>;

    /// An execution and its steps; none where there is no such one.
    async fn execution(
        &self,
        id: i64,
        now_us: i64,
    ) -> Result<Option<(ExecutionView, Vec<StepView>)>, BatchError>;

    /// Asks an execution to stop at the edge of its chunk; false where it is not at work.
    async fn request_stop(&self, id: i64) -> Result<bool, BatchError>;
}
