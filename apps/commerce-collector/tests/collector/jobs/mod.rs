//! Closing days, aggregating weeks and months, ranking them, forgetting.

mod aggregate;
mod api;
mod audit;
mod calendar;
mod faults;
mod restart;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use commerce_batch::{BatchError, Ended, JobStore};
use commerce_boards::{Period, PeriodKind};
use commerce_collector::application::Jobs;
use commerce_collector::application::jobs::JobError;
use commerce_collector::{Collector, Options};
use commerce_database::{Column, Database, DatabaseError, Insert};
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::sync::watch;

use crate::support::{Bench, Numbers, number};

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub fn period(name: &str) -> Period {
    Period::parse(name).unwrap()
}

/// A collector whose jobs work few products at a time.
pub async fn collector(bench: &Bench) -> Collector {
    let mut options: Options = bench.options();
    options.jobs.batch.chunk = 3;
    options.jobs.batch.skip_limit = 2;
    bench.collector_with(options).await
}

pub fn jobs(bench: &Bench, collector: &Collector) -> Jobs {
    collector.jobs(bench.clock.clone(), watch::channel(false).1)
}

pub fn jobs_on(bench: &Bench, collector: &Collector, store: Arc<dyn JobStore>) -> Jobs {
    Jobs { store, ..jobs(bench, collector) }
}

pub async fn run(jobs: &Jobs, name: &str) -> Result<Ended, BatchError> {
    ran(jobs.run(period(name), false, Arc::new(|_| {})).await)
}

pub async fn force(jobs: &Jobs, name: &str) -> Result<Ended, BatchError> {
    ran(jobs.run(period(name), true, Arc::new(|_| {})).await)
}

fn ran(result: Result<Ended, JobError>) -> Result<Ended, BatchError> {
    match result {
        Ok(ended) => Ok(ended),
        Err(JobError::Batch(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

/// Metrics by business day and product.
pub type Daily = BTreeMap<(NaiveDate, i64), Numbers>;

/// What would be in the tables had it been counted: days, totals, and the days of `business_periods`, which are closed.
pub async fn counted(database: &Database, daily: &Daily) {
    const METRICS: &[Column] = &[
        Column::int("date"),
        Column::int("product_id"),
        Column::int("views"),
        Column::int("likes"),
        Column::int("orders"),
        Column::int("quantity"),
        Column::int("amount"),
    ];
    const DAILY: Insert = Insert { table: "product_metrics_daily", columns: METRICS };
    const PERIODS: Insert = Insert {
        table: "business_periods",
        columns: &[
            Column::text("period"),
            Column::int("changed"),
            Column::int("applied"),
            Column::int("closed_at"),
        ],
    };
    const TOTALS: &str = "INSERT INTO product_metrics (product_id, views, likes, orders, quantity, amount) \
         SELECT product_id, SUM(views), SUM(likes), SUM(orders), SUM(quantity), SUM(amount) \
         FROM product_metrics_daily GROUP BY product_id";
    let (mut rows, mut periods) = (DAILY.rows(), PERIODS.rows());
    for ((day, product), numbers) in daily {
        let stored = day.format("%Y%m%d").to_string().parse::<i64>().unwrap();
        rows.push([stored.into(), (*product).into()].into_iter().chain(numbers.map(Into::into)));
    }
    let mut days: Vec<_> = daily.keys().map(|(day, _)| *day).collect();
    days.dedup();
    for day in days {
        let name = Period::day(day).to_string();
        periods.push([name.into(), 1_i64.into(), 1_i64.into(), 1_i64.into()]);
    }
    let (rows, periods) = (Arc::new(rows), Arc::new(periods));
    let written = database.write::<_, DatabaseError, _>("test", move |tx| {
        let (rows, periods) = (rows.clone(), periods.clone());
        Box::pin(async move {
            tx.execute_raw(DAILY.statement(tx.dialect(), &rows)).await?;
            tx.execute_raw(PERIODS.statement(tx.dialect(), &periods)).await?;
            tx.execute_unprepared(TOTALS).await?;
            Ok(())
        })
    });
    written.await.unwrap();
}

/// The sums of the days of each period of a kind, by its name and product.
pub fn sums(daily: &Daily, kind: PeriodKind) -> BTreeMap<(String, i64), Numbers> {
    let format = if kind == PeriodKind::Weekly { "W%G%V" } else { "M%Y%m" };
    let mut sums: BTreeMap<(String, i64), Numbers> = BTreeMap::new();
    for ((day, product), numbers) in daily {
        let sum = sums.entry((day.format(format).to_string(), *product)).or_default();
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    sums
}

/// A table of periods as it is.
pub async fn table(database: &Database, kind: PeriodKind) -> BTreeMap<(String, i64), Numbers> {
    let sql = match kind {
        PeriodKind::Weekly => {
            "SELECT period, product_id, views, likes, orders, quantity, amount FROM product_metrics_weekly"
        }
        _ => "SELECT period, product_id, views, likes, orders, quantity, amount FROM product_metrics_monthly",
    };
    let statement = Statement::from_string(database.dialect().backend(), sql);
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    let row = |row: &sea_orm::QueryResult| {
        let number = |index| row.try_get_by_index::<i64>(index).unwrap();
        let numbers = [2, 3, 4, 5, 6].map(number);
        ((row.try_get_by_index(0).unwrap(), number(1)), numbers)
    };
    rows.iter().map(row).collect()
}

/// Everything that the jobs write of weeks and months, as text in one order.
pub async fn bytes(database: &Database) -> Vec<String> {
    let mut lines = Vec::new();
    for sql in [
        "SELECT period || ' ' || product_id || ' ' || views || ' ' || likes || ' ' || orders || ' ' || quantity || \
         ' ' || amount FROM product_metrics_weekly ORDER BY period, product_id",
        "SELECT period || ' ' || product_id || ' ' || views || ' ' || likes || ' ' || orders || ' ' || quantity || \
         ' ' || amount FROM product_metrics_monthly ORDER BY period, product_id",
        "SELECT period || ' ' || `type` || ' ' || `rank` || ' ' || product_id || ' ' || score || ' ' || \
         COALESCE(previous_rank, '-') || ' ' || version FROM ranking_board ORDER BY period, `type`, `rank`",
        "SELECT period || ' ' || changed || ' ' || applied || ' ' || COALESCE(`through`, '-') || ' ' || complete \
         FROM business_periods ORDER BY period",
    ] {
        let statement = Statement::from_string(database.dialect().backend(), sql);
        let rows = database.reader().query_all_raw(statement).await.unwrap();
        lines.extend(rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()));
    }
    lines
}

/// A week of ten products, of which some have no place on a board.
pub fn week(first: &str) -> Daily {
    let mut daily = Daily::new();
    for (nth, day) in day(first).iter_days().take(7).enumerate() {
        let nth = i64::try_from(nth).unwrap();
        for product in 1..=10 {
            if (product + nth) % 4 != 0 {
                let likes = if product == 9 { -1 } else { product % 3 };
                daily.insert(
                    (day, product),
                    [product * 7 % 5 + nth, likes, product % 2, product, 100 * product],
                );
            }
        }
    }
    daily
}

/// Periods that have changed since they were ranked.
pub async fn dirty(database: &Database) -> i64 {
    number(database, "SELECT COUNT(*) FROM business_periods WHERE changed > applied AND period >= 'E'").await
}
