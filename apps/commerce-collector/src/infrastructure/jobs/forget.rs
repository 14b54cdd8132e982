use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_batch::{BatchError, ChunkStep, Job, Run, Span, Work};
use commerce_boards::Period;
use commerce_database::{Database, DatabaseError, Template, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};

use crate::application::ports::LetterState;

/// Deletes what is older than it is kept.
pub(super) struct Forget {
    pub(super) db: Database,
    pub(super) day: NaiveDate,
    /// The first dedupe row that stays.
    pub(super) handled_before: i64,
    /// The first execution that stays.
    pub(super) executions_before: i64,
}

#[async_trait]
impl Job for Forget {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn parameters(&self) -> String {
        Period::day(self.day).to_string()
    }

    fn input(&self) -> String {
        format!("handled before {}, executions before {}", self.handled_before, self.executions_before)
    }

    async fn run(&self, run: &Run) -> Result<(), BatchError> {
        for (name, tables, before) in
            [("event_handled", HANDLED, self.handled_before), ("jobs", EXECUTIONS, self.executions_before)]
        {
            run.chunks(&Rows { db: self.db.clone(), name, tables, before }).await?;
        }
        Ok(())
    }
}

/// Tables and the columns that name the row: the first is read, and deleted from last.
type Tables = &'static [(&'static str, &'static str)];

const HANDLED: Tables = &[("event_handled", "id")];

const EXECUTIONS: Tables =
    &[("job_execution", "id"), ("step_execution", "execution_id"), ("step_skip", "execution_id")];

const IDS: &str = "SELECT {key} FROM {table} WHERE {key} > ? AND {key} < ? ORDER BY {key} LIMIT {max}";

const DELETE: &str = "DELETE FROM {table} WHERE {key} > ? AND {key} <= ? AND {key} < ?";

/// While a letter is open its event may be replayed: what tells that another record of it was counted stays.
const DELETE_HANDLED: &str = "DELETE FROM event_handled WHERE id > ? AND id <= ? AND id < ? AND NOT EXISTS \
     (SELECT 1 FROM dead_letters d WHERE d.event_id = event_handled.event_id AND d.state = ?)";

/// The rows of tables before an id.
struct Rows {
    db: Database,
    name: &'static str,
    tables: Tables,
    before: i64,
}

#[async_trait]
impl ChunkStep for Rows {
    type Item = i64;
    type Output = i64;

    fn name(&self) -> &'static str {
        self.name
    }

    fn key(&self, id: &i64) -> i64 {
        *id
    }

    async fn read(&self, after: Option<i64>, max: u32) -> Result<Vec<i64>, DatabaseError> {
        let Some((table, key)) = self.tables.first() else { return Ok(Vec::new()) };
        let ids = Template::new(IDS).identifier("key", key).identifier("table", table).number("max", max);
        let values = [after.unwrap_or(i64::MIN).into(), self.before.into()];
        let reader = self.db.reader_named("retention");
        let rows = reader.query_all_raw(ids.statement(self.db.dialect(), values)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    fn process(&self, id: &i64) -> Result<Option<i64>, &'static str> {
        Ok(Some(*id))
    }

    fn write(&self, span: Span, _ids: Vec<i64>) -> Work {
        let (tables, before) = (self.tables, self.before);
        let (after, through) = (span.after.unwrap_or(i64::MIN), span.through.unwrap_or(i64::MAX));
        Arc::new(move |tx: &WriteTransaction| {
            Box::pin(async move {
                for (table, key) in tables.iter().rev() {
                    let mut values: Vec<Value> = vec![after.into(), through.into(), before.into()];
                    let delete = if *table == "event_handled" {
                        values.push(LetterState::Open.name().into());
                        Template::new(DELETE_HANDLED)
                    } else {
                        Template::new(DELETE).identifier("table", table).identifier("key", key)
                    };
                    tx.execute_raw(delete.statement(tx.dialect(), values)).await?;
                }
                Ok(())
            })
        })
    }
}
