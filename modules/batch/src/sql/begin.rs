use commerce_database::{Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::execute;
use crate::error::BatchError;
use crate::model::Status;
use crate::store::{Ask, Hold};

const MAKE: &str = "INSERT INTO job_instance (job, parameters, fence, lease_until, created_at) \
     SELECT ?, ?, 0, 0, ? WHERE NOT EXISTS (SELECT 1 FROM job_instance WHERE job = ? AND parameters = ?)";

const FIND: &str = "SELECT id, fence, lease_until FROM job_instance WHERE job = ? AND parameters = ?";

const LAST: &str =
    "SELECT id, status, input FROM job_execution WHERE instance_id = ? ORDER BY id DESC LIMIT 1";

const FAILURES: &str = "SELECT COUNT(*) FROM job_execution WHERE instance_id = ? AND status = {failed} AND id > \
     (SELECT COALESCE(MAX(id), 0) FROM job_execution WHERE instance_id = ? AND status = {completed})";

const ABANDON: &str = "UPDATE job_execution SET status = {abandoned}, ended_at = ?, message = ? WHERE id = ? AND status = {started}";

const HOLD: &str = "UPDATE job_instance SET owner = ?, fence = ?, lease_until = ? WHERE id = ? AND fence = ?";

const EXECUTION: &str = "INSERT INTO job_execution \
     (instance_id, status, input, fence, owner, started_at, stop_requested) VALUES (?, {started}, ?, ?, ?, ?, 0)";

const STEPS: &str = "INSERT INTO step_execution (execution_id, step, status, `cursor`, read_count, write_count, \
     filter_count, process_skip_count, write_skip_count, commit_count, rollback_count, started_at, updated_at) \
     SELECT ?, step, status, `cursor`, read_count, write_count, filter_count, process_skip_count, \
     write_skip_count, commit_count, rollback_count, started_at, updated_at FROM step_execution \
     WHERE execution_id = ?";

const SKIPS: &str = "INSERT INTO step_skip (execution_id, step, item_key, phase, kind) \
     SELECT ?, step, item_key, phase, kind FROM step_skip WHERE execution_id = ?";

/// The execution before.
struct Last {
    id: i64,
    status: Status,
    input: String,
}

pub(super) async fn begin(tx: &WriteTransaction, ask: &Ask) -> Result<Hold, BatchError> {
    let key = || -> [Value; 2] { [ask.job.into(), ask.parameters.clone().into()] };
    let made: Vec<Value> = key().into_iter().chain([ask.now_us.into()]).chain(key()).collect();
    execute(tx, MAKE, made).await?;
    let found = one(tx, Template::new(FIND), key().to_vec()).await?;
    let found = found.ok_or(BatchError::Data("an instance that was just made is not there"))?;
    let (instance, fence, lease_until): (i64, i64, i64) =
        (found.try_get_by_index(0)?, found.try_get_by_index(1)?, found.try_get_by_index(2)?);
    let last = last(tx, instance).await?;
    if let Some(last) = &last {
        may_begin(tx, ask, instance, last, ask.now_us < lease_until).await?;
    }
    let next = fence + 1;
    let held = vec![ask.owner.into(), next.into(), ask.until_us.into(), instance.into(), fence.into()];
    if execute(tx, HOLD, held).await? != 1 {
        return Err(BatchError::Fenced);
    }
    let values: Vec<Value> =
        vec![instance.into(), ask.input.clone().into(), next.into(), ask.owner.into(), ask.now_us.into()];
    let insert = Template::new(EXECUTION).names("started", [Status::Started.name()]);
    tx.execute_raw(insert.statement(tx.dialect(), values)).await?;
    let execution = one(tx, Template::new(LAST), vec![instance.into()]).await?;
    let execution = execution.ok_or(BatchError::Data("an execution that was just made is not there"))?;
    let execution: i64 = execution.try_get_by_index(0)?;
    if let Some(last) = last.filter(|last| last.status != Status::Completed && last.input == ask.input) {
        execute(tx, STEPS, vec![execution.into(), last.id.into()]).await?;
        execute(tx, SKIPS, vec![execution.into(), last.id.into()]).await?;
    }
    Ok(Hold { instance, execution, fence: next })
}

async fn may_begin(
    tx: &WriteTransaction,
    ask: &Ask,
    instance: i64,
    last: &Last,
    held: bool,
) -> Result<(), BatchError> {
    match last.status {
        Status::Started if held => return Err(BatchError::Running { execution: last.id }),
        Status::Started => {
            let abandon = Template::new(ABANDON)
                .names("abandoned", [Status::Abandoned.name()])
                .names("started", [Status::Started.name()]);
            let said = "its runner did not renew its lease; another has taken over";
            execute(tx, abandon, vec![ask.now_us.into(), said.into(), last.id.into()]).await?;
        }
        Status::Completed if !ask.again => return Err(BatchError::Complete { execution: last.id }),
        _ => {}
    }
    if ask.force || ask.start_limit <= 0 {
        return Ok(());
    }
    let failures = Template::new(FAILURES)
        .names("failed", [Status::Failed.name()])
        .names("completed", [Status::Completed.name()]);
    let failures = one(tx, failures, vec![instance.into(), instance.into()]).await?;
    let failures: i64 = failures.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    if failures >= ask.start_limit {
        return Err(BatchError::StartLimit { failures });
    }
    Ok(())
}

async fn last(tx: &WriteTransaction, instance: i64) -> Result<Option<Last>, BatchError> {
    let Some(row) = one(tx, Template::new(LAST), vec![instance.into()]).await? else { return Ok(None) };
    let status: String = row.try_get_by_index(1)?;
    let status = Status::parse(&status).ok_or(BatchError::Data("an execution of no known status"))?;
    Ok(Some(Last { id: row.try_get_by_index(0)?, status, input: row.try_get_by_index(2)? }))
}

async fn one(
    tx: &WriteTransaction,
    sql: Template,
    values: Vec<Value>,
) -> Result<Option<QueryResult>, BatchError> {
    Ok(tx.query_one_raw(sql.statement(tx.dialect(), values)).await?)
}
