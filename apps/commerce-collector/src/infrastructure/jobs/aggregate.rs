use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_batch::{BatchError, ChunkStep, Job, Run, Span, Work};
use commerce_boards::{Period, PeriodKind};
use commerce_collector_domain::{Metrics, Weights};
use commerce_database::{
    Column, DatabaseError, ErrorClass, Merge, ReadTransaction, RowSet, Template, Upsert, WriteTransaction,
};
use sea_orm::{ConnectionTrait as _, Value};

use super::periods::publish;
use crate::infrastructure::collect::values;
use crate::infrastructure::columns::stored_day;
use crate::infrastructure::ranking::{rank_period, table};

/// Sums a week or month up from its days and ranks it.
///
/// All of it is read from one state of the database, whose count of changes to the period is the version of what comes
/// of it: what changes while it runs makes the period dirty again and is in the next run.
pub(super) struct Aggregate {
    pub(super) state: ReadTransaction,
    pub(super) period: Period,
    /// The last day that is counted in.
    pub(super) through: NaiveDate,
    /// How often the period had changed in `state`.
    pub(super) changed: i64,
    pub(super) weights: Weights,
    pub(super) now_us: i64,
}

/// The first products of every day after a key hold the first products of all of them.
const DAYS: &str =
    "SELECT product_id, views, likes, orders, quantity, amount FROM ({days}) d ORDER BY product_id";

const OF_DAY: &str = "SELECT * FROM (SELECT product_id, views, likes, orders, quantity, amount \
     FROM product_metrics_daily WHERE `date` = ? AND product_id > ? ORDER BY product_id LIMIT {max}) f";

const CLEAR: &str = "DELETE FROM {table} WHERE period = ? AND product_id > ? AND product_id <= ?";

const COLUMNS: &[Column] = &[
    Column::text("period"),
    Column::int("product_id"),
    Column::int("views"),
    Column::int("likes"),
    Column::int("orders"),
    Column::int("quantity"),
    Column::int("amount"),
];

const SET: &[(&str, Merge)] = &[
    ("views", Merge::Set),
    ("likes", Merge::Set),
    ("orders", Merge::Set),
    ("quantity", Merge::Set),
    ("amount", Merge::Set),
];

impl Aggregate {
    fn days(&self) -> Vec<NaiveDate> {
        self.period.first().iter_days().take_while(|day| *day <= self.through).collect()
    }

    fn is_over(&self) -> bool {
        self.through == self.period.last()
    }
}

#[async_trait]
impl Job for Aggregate {
    fn name(&self) -> &'static str {
        match self.period.kind() {
            PeriodKind::Daily | PeriodKind::Weekly => "weekly",
            PeriodKind::Monthly => "monthly",
        }
    }

    fn parameters(&self) -> String {
        self.period.to_string()
    }

    fn input(&self) -> String {
        format!("{} changes, through {}", self.changed, self.through)
    }

    async fn run(&self, run: &Run) -> Result<(), BatchError> {
        run.chunks(self).await?;
        let (period, version, weights) = (self.period, self.changed, self.weights);
        let (through, over, now_us) = (self.through, self.is_over(), self.now_us);
        let rank: Work = Arc::new(move |tx: &WriteTransaction| {
            Box::pin(async move {
                rank_period(tx, period, version, weights).await?;
                publish(tx, period, Some((version, through)), over.then_some(now_us)).await
            })
        });
        run.once("rank", rank).await
    }
}

/// A product and the sum of its days; none where that leaves 64 bits.
pub(super) struct Sum {
    product: i64,
    metrics: Option<Metrics>,
}

#[async_trait]
impl ChunkStep for Aggregate {
    type Item = Sum;
    type Output = (i64, Metrics);

    fn name(&self) -> &'static str {
        "aggregate"
    }

    fn key(&self, sum: &Sum) -> i64 {
        sum.product
    }

    async fn read(&self, after: Option<i64>, max: u32) -> Result<Vec<Sum>, DatabaseError> {
        let days = self.days();
        let of_days = days.iter().map(|_| Template::new(OF_DAY).number("max", max));
        let statement = Template::new(DAYS).fragments("days", " UNION ALL ", of_days);
        let after = after.unwrap_or(i64::MIN);
        let values = days.iter().flat_map(|day| [Value::from(stored_day(*day)), after.into()]);
        let rows = self.state.query_all_raw(statement.statement(self.state.dialect(), values)).await?;
        let mut sums: Vec<Sum> = Vec::with_capacity(max as usize);
        for row in &rows {
            let product: i64 = row.try_get_by_index(0)?;
            let metrics = Metrics {
                views: row.try_get_by_index(1)?,
                likes: row.try_get_by_index(2)?,
                orders: row.try_get_by_index(3)?,
                quantity: row.try_get_by_index(4)?,
                amount: row.try_get_by_index(5)?,
            };
            let full = sums.len() == max as usize;
            match sums.last_mut() {
                Some(sum) if sum.product == product => {
                    sum.metrics = sum.metrics.and_then(|sum| sum.checked_add(metrics));
                }
                // Of those behind it not every day has been read.
                _ if full => break,
                _ => sums.push(Sum { product, metrics: Some(metrics) }),
            }
        }
        Ok(sums)
    }

    fn process(&self, sum: &Sum) -> Result<Option<(i64, Metrics)>, &'static str> {
        sum.metrics.map(|metrics| Some((sum.product, metrics))).ok_or("SUM_OVERFLOW")
    }

    fn write(&self, span: Span, sums: Vec<(i64, Metrics)>) -> Work {
        let (name, kind) = (self.period.to_string(), self.period.kind());
        let upsert =
            Upsert { table: table(kind), columns: COLUMNS, key: &["period", "product_id"], update: SET };
        let mut rows: RowSet = upsert.rows();
        for (product, metrics) in &sums {
            rows.push([(&name).into(), (*product).into()].into_iter().chain(values(metrics)));
        }
        let (name, rows): (Arc<str>, _) = (name.into(), Arc::new(rows));
        let (after, through) = (span.after.unwrap_or(i64::MIN), span.through.unwrap_or(i64::MAX));
        Arc::new(move |tx: &WriteTransaction| {
            let (name, rows) = (name.clone(), rows.clone());
            Box::pin(async move {
                // What fell out of the period since it was aggregated before.
                let clear = Template::new(CLEAR).identifier("table", upsert.table);
                let values = [(&*name).into(), after.into(), through.into()];
                tx.execute_raw(clear.statement(tx.dialect(), values)).await?;
                if !rows.is_empty() {
                    tx.execute_raw(upsert.statement(tx.dialect(), &rows)).await?;
                }
                Ok(())
            })
        })
    }

    fn skips(&self, error: &DatabaseError) -> Option<&'static str> {
        match error.class() {
            ErrorClass::Data | ErrorClass::CheckViolation => Some("REFUSED_BY_STORAGE"),
            _ => None,
        }
    }
}
