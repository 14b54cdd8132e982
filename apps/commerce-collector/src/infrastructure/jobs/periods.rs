use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_batch::Job;
use commerce_boards::{Period, PeriodKind};
use commerce_collector_domain::Weights;
use commerce_database::{Column, DatabaseError, ReadTransaction, Template, Upsert, WriteTransaction};
use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use uuid::Uuid;

use super::aggregate::Aggregate;
use super::close::Close;
use super::forget::Forget;
use crate::application::jobs::{PeriodState, PeriodStore, Task};
use crate::application::ports::StoreError;
use crate::infrastructure::boards::hold;
use crate::infrastructure::columns::{Columns, day, stored_day};
use crate::infrastructure::error::{Failure, orm};
use crate::infrastructure::store::{SqlCollector, number};

/// Name of the scheduler's lease.
const LEASE: &str = "scheduler";

const STATES: &str =
    "SELECT period, changed > applied, `through`, closed_at IS NOT NULL FROM business_periods";

const STATE: &str = "SELECT period, changed > applied, `through`, closed_at IS NOT NULL FROM business_periods WHERE period = ?";

const CHANGED: &str = "SELECT MAX(changed) FROM business_periods WHERE period = ?";

const MAKE: Upsert =
    Upsert { table: "business_periods", columns: &[Column::text("period")], key: &["period"], update: &[] };

const APPLY: &str = "UPDATE business_periods SET applied = ?, `through` = ? WHERE period = ?";

const CLOSE: &str =
    "UPDATE business_periods SET complete = 1, closed_at = COALESCE(closed_at, ?) WHERE period = ?";

/// A period is ranked: a week or month as it was after so many changes, with its days up to one. One that is over is
/// closed.
pub(super) async fn publish(
    tx: &WriteTransaction,
    period: Period,
    applied: Option<(i64, NaiveDate)>,
    closed_at: Option<i64>,
) -> Result<(), DatabaseError> {
    let name = period.to_string();
    let mut row = MAKE.rows();
    row.push([(&name).into()]);
    tx.execute_raw(MAKE.statement(tx.dialect(), &row)).await?;
    let statement = |sql, values: Vec<Value>| Template::new(sql).statement(tx.dialect(), values);
    if let Some((version, through)) = applied {
        let values = vec![version.into(), stored_day(through).into(), name.clone().into()];
        tx.execute_raw(statement(APPLY, values)).await?;
    }
    if let Some(at_us) = closed_at {
        tx.execute_raw(statement(CLOSE, vec![at_us.into(), name.into()])).await?;
    }
    Ok(())
}

/// The first row that is not older than a moment: rows are made in the order of time.
const FIRST_KEPT: &str = "SELECT {key} FROM {table} WHERE {time} >= ? ORDER BY {key} LIMIT 1";

const BEYOND: &str = "SELECT COALESCE(MAX({key}), 0) + 1 FROM {table}";

#[async_trait]
impl PeriodStore for SqlCollector {
    async fn states(&self) -> Result<Vec<PeriodState>, StoreError> {
        let statement = Template::new(STATES).statement(self.db.dialect(), []);
        let rows = self.db.reader_named("periods").query_all_raw(statement).await.map_err(orm)?;
        rows.iter().map(state).collect()
    }

    async fn state(&self, period: Period) -> Result<Option<PeriodState>, StoreError> {
        let statement = Template::new(STATE).statement(self.db.dialect(), [period.to_string().into()]);
        let row = self.db.reader_named("periods").query_one_raw(statement).await.map_err(orm)?;
        row.as_ref().map(state).transpose()
    }

    async fn job(&self, task: Task, weights: Weights, now_us: i64) -> Result<Box<dyn Job>, StoreError> {
        let (period, through) = match task {
            Task::Close(day) => (Period::day(day), day),
            Task::Aggregate { period, through } => (period, through),
            Task::Forget { day, handled_before_us, executions_before_us } => {
                let forget = Forget {
                    db: self.db.clone(),
                    day,
                    handled_before: self.first_kept("event_handled", "handled_at", handled_before_us).await?,
                    executions_before: self
                        .first_kept("job_execution", "started_at", executions_before_us)
                        .await?,
                };
                return Ok(Box::new(forget));
            }
        };
        let state = self.db.begin_read("job_input").await?;
        let changed = changed(&state, period).await?;
        Ok(match period.kind() {
            PeriodKind::Daily => Box::new(Close { state, day: period, changed, weights, now_us }),
            PeriodKind::Weekly | PeriodKind::Monthly => {
                Box::new(Aggregate { state, period, through, changed, weights, now_us })
            }
        })
    }

    async fn products(&self) -> Result<u64, StoreError> {
        let count = Template::new("SELECT COUNT(*) FROM product_metrics").statement(self.db.dialect(), []);
        let count = number(&self.db.reader_named("periods"), count).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn hold_schedule(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError> {
        let held = self.db.write("hold_scheduler", move |tx| {
            Box::pin(async move { hold(tx, LEASE, owner, (now_us, until_us)).await })
        });
        held.await.map_err(Failure::into)
    }

    async fn release_schedule(&self, owner: Uuid) -> Result<(), StoreError> {
        let released = self.db.write("release_scheduler", move |tx| {
            Box::pin(async move {
                let statement = Template::new("UPDATE leases SET until = 0 WHERE name = ? AND owner = ?");
                tx.execute_raw(statement.statement(tx.dialect(), [LEASE.into(), owner.into()])).await?;
                Ok::<_, Failure>(())
            })
        });
        released.await.map_err(Failure::into)
    }
}

impl SqlCollector {
    async fn first_kept(
        &self,
        table: &'static str,
        time: &'static str,
        at_us: i64,
    ) -> Result<i64, StoreError> {
        let reader = self.db.reader_named("retention");
        let first = Template::new(FIRST_KEPT).identifier("key", "id").identifier("table", table);
        let first = first.identifier("time", time).statement(self.db.dialect(), [at_us.into()]);
        if let Some(row) = reader.query_one_raw(first).await.map_err(orm)? {
            return row.try_get_by_index(0).map_err(orm);
        }
        let beyond = Template::new(BEYOND).identifier("key", "id").identifier("table", table);
        number(&reader, beyond.statement(self.db.dialect(), [])).await
    }
}

async fn changed(state: &ReadTransaction, period: Period) -> Result<i64, StoreError> {
    number(state, Template::new(CHANGED).statement(state.dialect(), [period.to_string().into()])).await
}

fn state(row: &QueryResult) -> Result<PeriodState, StoreError> {
    let mut row = Columns::of(row);
    let name: String = row.take()?;
    let period = Period::parse(&name).ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
    Ok(PeriodState {
        period,
        dirty: row.take::<i64>()? != 0,
        through: row.take::<Option<i64>>()?.map(day).transpose()?,
        closed: row.take::<i64>()? != 0,
    })
}
