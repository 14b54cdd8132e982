//! Instances, executions and steps in SQL.

mod begin;
mod commit;
mod queries;

use async_trait::async_trait;
use commerce_database::{Database, Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};

use crate::error::BatchError;
use crate::model::Status;
use crate::step::Work;
use crate::store::{Ask, Checkpoint, Hold, JobStore, StepState};

/// The tables of [`crate::schema`] in a database, which has the business tables of the jobs as well. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqlJobs {
    db: Database,
}

impl SqlJobs {
    /// Works on `db`, which has the tables.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl JobStore for SqlJobs {
    async fn begin(&self, ask: Ask) -> Result<Hold, BatchError> {
        let begun = self.db.write("job_begin", move |tx| {
            let ask = ask.clone();
            Box::pin(async move { begin::begin(tx, &ask).await })
        });
        begun.await
    }

    async fn heartbeat(&self, hold: Hold, until_us: i64) -> Result<bool, BatchError> {
        let renewed = self.db.write("job_heartbeat", move |tx| {
            Box::pin(async move {
                commit::renew(tx, hold, until_us).await?;
                commit::stop_requested(tx, hold).await
            })
        });
        renewed.await
    }

    async fn open_step(&self, hold: Hold, step: &'static str, now_us: i64) -> Result<StepState, BatchError> {
        let opened = self.db.write("job_open_step", move |tx| {
            Box::pin(async move { commit::open_step(tx, hold, step, now_us).await })
        });
        opened.await
    }

    async fn commit(&self, hold: Hold, checkpoint: Checkpoint, work: Work) -> Result<bool, BatchError> {
        let committed = self.db.write("job_chunk", move |tx| {
            let (checkpoint, work) = (checkpoint.clone(), work.clone());
            Box::pin(async move { commit::commit(tx, hold, &checkpoint, &work).await })
        });
        committed.await
    }

    async fn end(
        &self,
        hold: Hold,
        status: Status,
        message: Option<String>,
        now_us: i64,
    ) -> Result<(), BatchError> {
        let ended = self.db.write("job_end", move |tx| {
            let message = message.clone();
            Box::pin(async move { commit::end(tx, hold, status, message, now_us).await })
        });
        ended.await
    }
}

/// Runs a statement and gives back how many rows it changed.
async fn execute(
    tx: &WriteTransaction,
    sql: impl Into<Template>,
    values: Vec<Value>,
) -> Result<u64, BatchError> {
    Ok(tx.execute_raw(sql.into().statement(tx.dialect(), values)).await?.rows_affected())
}
