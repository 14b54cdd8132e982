use async_trait::async_trait;
use commerce_database::Template;
use sea_orm::{ConnectionTrait as _, QueryResult, Value};

use super::commit::counters;
use super::{SqlJobs, execute};
use crate::error::BatchError;
use crate::model::{ExecutionView, Status, StepView};
use crate::store::JobHistory;

const EXECUTIONS: &str = "SELECT e.id, i.job, i.parameters, e.status, e.input, e.fence, e.started_at, e.ended_at, \
     e.message, e.stop_requested, i.lease_until FROM job_execution e JOIN job_instance i ON i.id = e.instance_id \
     WHERE e.id < ? ORDER BY e.id DESC LIMIT {max}";

const EXECUTION: &str = "SELECT e.id, i.job, i.parameters, e.status, e.input, e.fence, e.started_at, e.ended_at, \
     e.message, e.stop_requested, i.lease_until FROM job_execution e JOIN job_instance i ON i.id = e.instance_id \
     WHERE e.id = ?";

const STEPS: &str = "SELECT step, status, `cursor`, read_count, write_count, filter_count, process_skip_count, \
     write_skip_count, commit_count, rollback_count FROM step_execution WHERE execution_id = ? \
     ORDER BY started_at, updated_at, step";

const SKIPS: &str = "SELECT step, item_key, phase, kind FROM step_skip WHERE execution_id = ? \
     ORDER BY step, item_key LIMIT 100";

const STOP: &str = "UPDATE job_execution SET stop_requested = 1 WHERE id = ? AND status = {started}";

#[async_trait]
impl JobHistory for SqlJobs {
    async fn executions(
        &self,
        before: Option<i64>,
        limit: u64,
        now_us: i64,
    ) -> Result<Vec<ExecutionView>, BatchError> {
        let sql = Template::new(EXECUTIONS).number("max", i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.rows(sql, vec![before.unwrap_or(i64::MAX).into()]).await?;
        rows.iter().map(|row| execution(row, now_us)).collect()
    }

    async fn execution(
        &self,
        id: i64,
        now_us: i64,
    ) -> Result<Option<(ExecutionView, Vec<StepView>)>, BatchError> {
        let rows = self.rows(Template::new(EXECUTION), vec![id.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let shown = execution(row, now_us)?;
        let steps = self.rows(Template::new(STEPS), vec![id.into()]).await?;
        let mut steps = steps.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        for row in self.rows(Template::new(SKIPS), vec![id.into()]).await? {
            let of: String = row.try_get_by_index(0)?;
            if let Some(step) = steps.iter_mut().find(|step| step.step == of) {
                step.skips.push((
                    row.try_get_by_index(1)?,
                    row.try_get_by_index(2)?,
                    row.try_get_by_index(3)?,
                ));
            }
        }
        Ok(Some((shown, steps)))
    }

    async fn request_stop(&self, id: i64) -> Result<bool, BatchError> {
        let asked = self.db.write("job_stop", move |tx| {
            Box::pin(async move {
                let stop = Template::new(STOP).names("started", [Status::Started.name()]);
                Ok::<_, BatchError>(execute(tx, stop, vec![id.into()]).await? == 1)
            })
        });
        asked.await
    }
}

impl SqlJobs {
    async fn rows(&self, sql: Template, values: Vec<Value>) -> Result<Vec<QueryResult>, BatchError> {
        let statement = sql.statement(self.db.dialect(), values);
        Ok(self.db.reader_named("jobs").query_all_raw(statement).await?)
    }
}

fn status(name: &str) -> Result<Status, BatchError> {
    Status::parse(name).ok_or(BatchError::Data("an execution of no known status"))
}

fn execution(row: &QueryResult, now_us: i64) -> Result<ExecutionView, BatchError> {
    let lease_until: i64 = row.try_get_by_index(10)?;
    let status = status(&row.try_get_by_index::<String>(3)?)?;
    Ok(ExecutionView {
        id: row.try_get_by_index(0)?,
        job: row.try_get_by_index(1)?,
        parameters: row.try_get_by_index(2)?,
        status,
        lease_over: status == Status::Started && lease_until <= now_us,
        input: row.try_get_by_index(4)?,
        fence: row.try_get_by_index(5)?,
        started_at_us: row.try_get_by_index(6)?,
        ended_at_us: row.try_get_by_index(7)?,
        message: row.try_get_by_index(8)?,
        stop_requested: row.try_get_by_index::<i64>(9)? != 0,
    })
}

fn step(row: &QueryResult) -> Result<StepView, BatchError> {
    Ok(StepView {
        step: row.try_get_by_index(0)?,
        status: status(&row.try_get_by_index::<String>(1)?)?,
        cursor: row.try_get_by_index(2)?,
        counters: counters(row, 3)?,
        skips: Vec::new(),
    })
}
