//! What runs by itself.

use std::time::Duration;

use commerce_collector::application::jobs::PeriodStore as _;
use commerce_collector::application::{GROUP, JobsOptions};
use commerce_collector::infrastructure::SqlCollector;
use uuid::Uuid;

use super::{collector, counted, jobs, week};
use crate::support::{Bench, Event, NOW_US, number, run as sql, until};

#[tokio::test]
async fn at_midnight_the_day_is_closed_and_on_monday_the_week() {
    let bench = Bench::open().await;
    let reader = collector(&bench).await;
    let running = bench.start_with(|options| options.jobs.scheduled = true).await;
    bench.publish(&[Event::viewed(1, 7)]).await;
    bench.counted(&reader.database).await;
    let complete = async |name: &str| {
        let sql = "SELECT COUNT(*) FROM business_periods WHERE complete = 1 AND period = ";
        number(&reader.database, &[sql, "'", name, "'"].concat()).await == 1
    };
    // The day before has no event and is closed at the start.
    until("yesterday is closed", async || complete("D20270114").await).await;
    assert!(!complete("D20270115").await);
    // 2027-01-16, one second past midnight in Seoul: before the five minutes are over.
    bench.clock.advance(Duration::from_secs(7 * 3_600 + 1));
    until("today is closed", async || complete("D20270115").await).await;
    let through = "SELECT COALESCE(MAX(through), 0) FROM business_periods WHERE period = 'W202702'";
    until("the running week has it", async || number(&reader.database, through).await == 20_270_115).await;
    assert!(!complete("W202702").await);
    bench.clock.advance(Duration::from_hours(48));
    until("the week is closed", async || complete("W202702").await).await;
    let views =
        "SELECT CAST(COALESCE(SUM(views), 0) AS SIGNED) FROM product_metrics_weekly WHERE period = 'W202702'";
    assert_eq!(number(&reader.database, views).await, 1);
    running.stop().await;
    reader.close().await;
}

#[tokio::test]
async fn a_late_event_has_its_week_and_month_aggregated_again() {
    let bench = Bench::open().await;
    let reader = collector(&bench).await;
    counted(&reader.database, &week("2027-01-04")).await;
    let running = bench.start_with(|options| options.jobs.scheduled = true).await;
    let views =
        "SELECT CAST(COALESCE(SUM(views), 0) AS SIGNED) FROM product_metrics_weekly WHERE period = 'W202701'";
    let monthly = "SELECT CAST(COALESCE(SUM(views), 0) AS SIGNED) FROM product_metrics_monthly WHERE period = 'M202701'";
    let expected: i64 = week("2027-01-04").values().map(|numbers| numbers[0]).sum();
    until("the month is there", async || number(&reader.database, monthly).await == expected).await;
    assert_eq!(number(&reader.database, views).await, expected);
    bench.publish(&[Event::viewed(1, 7).at("2027-01-06T12:00:00+09:00")]).await;
    bench.counted(&reader.database).await;
    assert_eq!(number(&reader.database, views).await, expected, "not before the five minutes are over");
    bench.clock.advance(Duration::from_mins(5));
    until("the week has it", async || number(&reader.database, views).await == expected + 1).await;
    until("the month has it", async || number(&reader.database, monthly).await == expected + 1).await;
    running.stop().await;
    reader.close().await;
}

#[tokio::test]
async fn one_scheduler_among_many_runs_the_jobs() {
    let bench = Bench::open().await;
    let reader = collector(&bench).await;
    let store = SqlCollector::new(reader.database.clone(), GROUP);
    let other = Uuid::from_u128(9);
    assert!(store.hold_schedule(other, NOW_US, NOW_US + 60_000_000).await.unwrap());
    let running = bench.start_with(|options| options.jobs.scheduled = true).await;
    bench.publish(&[Event::viewed(1, 7)]).await;
    bench.counted(&reader.database).await;
    assert_eq!(number(&reader.database, "SELECT COUNT(*) FROM job_execution").await, 0);
    bench.clock.advance(Duration::from_secs(61));
    until("it follows the dead one", async || {
        number(&reader.database, "SELECT COUNT(*) FROM job_execution").await > 0
    })
    .await;
    assert!(!store.hold_schedule(other, NOW_US + 61_000_000, NOW_US + 62_000_000).await.unwrap());
    running.stop().await;
    // It gave the lease back.
    assert!(store.hold_schedule(other, NOW_US + 61_000_000, NOW_US + 62_000_000).await.unwrap());
    reader.close().await;
}

#[tokio::test]
async fn what_is_too_old_is_forgotten_once_a_day() {
    let bench = Bench::on_sqlite().await;
    let collector = collector(&bench).await;
    let day_us = 86_400_000_000_i64;
    assert_eq!(NOW_US, 1_800_000_000_000_000);
    sql(
        &collector.database,
        "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99) \
         INSERT INTO event_handled (event_id, consumer, event_type, aggregate_type, aggregate_id, sequence, batch, \
         handled_at) SELECT randomblob(16), 'c', 't', 'a', 'i', n, 1, 1800000000000000 - (99 - n) * 43200000000 FROM n",
    )
    .await;
    let jobs = jobs(&bench, &collector);
    assert!(jobs.forget().await.unwrap());
    assert!(!jobs.forget().await.unwrap(), "it is complete for today");
    let kept = "SELECT COUNT(*) FROM event_handled";
    // Two a day: those of fourteen days and the one that is exactly as old.
    assert_eq!(number(&collector.database, kept).await, 29);
    let oldest = "SELECT MIN(handled_at) FROM event_handled";
    let days = i64::from(JobsOptions::default().handled_days);
    assert_eq!(number(&collector.database, oldest).await, NOW_US - days * day_us);
    collector.close().await;
}
