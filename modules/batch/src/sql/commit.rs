use commerce_database::{Column, Insert, Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::execute;
use crate::error::BatchError;
use crate::model::{Counters, Status};
use crate::step::Work;
use crate::store::{Checkpoint, Hold, StepState};

const RENEW: &str = "UPDATE job_instance SET lease_until = ? WHERE id = ? AND fence = ?";

const STOP: &str = "SELECT stop_requested FROM job_execution WHERE id = ?";

const OPEN: &str = "INSERT INTO step_execution (execution_id, step, status, read_count, write_count, filter_count, \
     process_skip_count, write_skip_count, commit_count, rollback_count, started_at, updated_at) \
     SELECT ?, ?, {started}, 0, 0, 0, 0, 0, 0, 0, ?, ? \
     WHERE NOT EXISTS (SELECT 1 FROM step_execution WHERE execution_id = ? AND step = ?)";

const STATE: &str = "SELECT status, `cursor`, read_count, write_count, filter_count, process_skip_count, \
     write_skip_count, commit_count, rollback_count FROM step_execution WHERE execution_id = ? AND step = ?";

const KEEP: &str = "UPDATE step_execution SET status = ?, `cursor` = ?, read_count = ?, write_count = ?, \
     filter_count = ?, process_skip_count = ?, write_skip_count = ?, commit_count = ?, rollback_count = ?, \
     updated_at = ? WHERE execution_id = ? AND step = ? AND commit_count = ?";

const LEFT_OUT: Insert = Insert {
    table: "step_skip",
    columns: &[
        Column::int("execution_id"),
        Column::text("step"),
        Column::int("item_key"),
        Column::text("phase"),
        Column::text("kind"),
    ],
};

const END: &str =
    "UPDATE job_execution SET status = ?, ended_at = ?, message = ? WHERE id = ? AND status = {started}";

/// The fence comes first: whoever has an earlier one writes nothing.
pub(super) async fn renew(tx: &WriteTransaction, hold: Hold, until_us: i64) -> Result<(), BatchError> {
    let values = vec![until_us.into(), hold.instance.into(), hold.fence.into()];
    match execute(tx, RENEW, values).await? {
        1 => Ok(()),
        _ => Err(BatchError::Fenced),
    }
}

pub(super) async fn stop_requested(tx: &WriteTransaction, hold: Hold) -> Result<bool, BatchError> {
    let row = tx.query_one_raw(Template::new(STOP).statement(tx.dialect(), [hold.execution.into()])).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))? != 0)
}

pub(super) async fn open_step(
    tx: &WriteTransaction,
    hold: Hold,
    step: &'static str,
    now_us: i64,
) -> Result<StepState, BatchError> {
    let fence = Template::new("SELECT 1 FROM job_instance WHERE id = ? AND fence = ?");
    let fence = fence.statement(tx.dialect(), [hold.instance.into(), hold.fence.into()]);
    if tx.query_one_raw(fence).await?.is_none() {
        return Err(BatchError::Fenced);
    }
    let key = || -> [Value; 2] { [hold.execution.into(), step.into()] };
    let values = key().into_iter().chain([now_us.into(), now_us.into()]).chain(key()).collect();
    execute(tx, Template::new(OPEN).names("started", [Status::Started.name()]), values).await?;
    let row = tx.query_one_raw(Template::new(STATE).statement(tx.dialect(), key())).await?;
    let row = row.ok_or(BatchError::Data("a step that was just begun is not there"))?;
    let status: String = row.try_get_by_index(0)?;
    Ok(StepState {
        completed: Status::parse(&status) == Some(Status::Completed),
        cursor: row.try_get_by_index(1)?,
        counters: counters(&row, 2)?,
    })
}

pub(super) fn counters(row: &QueryResult, first: usize) -> Result<Counters, BatchError> {
    let column = |offset: usize| row.try_get_by_index::<i64>(first + offset);
    Ok(Counters {
        read: column(0)?,
        written: column(1)?,
        filtered: column(2)?,
        process_skips: column(3)?,
        write_skips: column(4)?,
        commits: column(5)?,
        rollbacks: column(6)?,
    })
}

pub(super) async fn commit(
    tx: &WriteTransaction,
    hold: Hold,
    checkpoint: &Checkpoint,
    work: &Work,
) -> Result<bool, BatchError> {
    renew(tx, hold, checkpoint.until_us).await?;
    work(tx).await?;
    let Checkpoint { step, state, skips, now_us, .. } = checkpoint;
    let StepState { completed, cursor, counters } = *state;
    let status = if completed { Status::Completed } else { Status::Started };
    let Counters { read, written, filtered, process_skips, write_skips, commits, rollbacks } = counters;
    let counts = [read, written, filtered, process_skips, write_skips, commits, rollbacks, *now_us];
    let mut values: Vec<Value> = vec![status.name().into(), cursor.into()];
    values.extend(counts.map(Value::from));
    values.extend([hold.execution.into(), (*step).into(), (commits - 1).into()]);
    // Another count of commits: this chunk was committed already.
    if execute(tx, KEEP, values).await? != 1 {
        return Err(BatchError::Data("the checkpoint is not the one that the chunk began from"));
    }
    if !skips.is_empty() {
        let mut rows = LEFT_OUT.rows();
        for skip in skips {
            let what = [skip.phase.name().into(), skip.kind.into()];
            rows.push([hold.execution.into(), (*step).into(), skip.key.into()].into_iter().chain(what));
        }
        tx.execute_raw(LEFT_OUT.statement(tx.dialect(), &rows)).await?;
    }
    stop_requested(tx, hold).await
}

pub(super) async fn end(
    tx: &WriteTransaction,
    hold: Hold,
    status: Status,
    message: Option<String>,
    now_us: i64,
) -> Result<(), BatchError> {
    renew(tx, hold, 0).await?;
    let values = vec![status.name().into(), now_us.into(), message.into(), hold.execution.into()];
    execute(tx, Template::new(END).names("started", [Status::Started.name()]), values).await?;
    Ok(())
}
