//! Ten years of weeks.

use commerce_boards::PeriodKind;

use super::{Daily, collector, counted, day, jobs, sums, table};
use crate::support::Bench;

#[tokio::test]
async fn every_iso_week_from_2019_to_2028_is_the_sum_of_its_days() {
    let bench = Bench::open().await;
    let mut daily = Daily::new();
    let first = day("2018-12-31");
    for (nth, day) in first.iter_days().take_while(|day| *day < super::day("2029-01-01")).enumerate() {
        let nth = i64::try_from(nth).unwrap();
        daily.insert((day, 1 + nth % 3), [1 + nth, 0, nth % 2, nth % 2, 100]);
    }
    let mut options = bench.options();
    options.jobs.catch_up_days = 4_000;
    let collector = bench.collector_with(options).await;
    counted(&collector.database, &daily).await;
    let today = commerce_runtime::BusinessZone::default().start_of(day("2029-01-02"));
    bench.clock.set(today);
    let worked = jobs(&bench, &collector).run_due().await.unwrap();
    let weeks = sums(&daily, PeriodKind::Weekly);
    let found = table(&collector.database, PeriodKind::Weekly).await;
    assert_eq!(found, weeks);
    let named = |name: &str| found.keys().filter(|(week, _)| week == name).count();
    // 2021-01-01 is in the last week of 2020, 2024-12-30 in the first of 2025.
    assert_eq!((named("W202053"), named("W202153"), named("W202501"), named("W202453")), (3, 0, 3, 0));
    assert_eq!(table(&collector.database, PeriodKind::Monthly).await, sums(&daily, PeriodKind::Monthly));
    // 522 weeks, 121 months, and yesterday, on which nothing happened, with its week and month.
    assert_eq!(worked, 522 + 121 + 3);
    collector.close().await;
}

#[tokio::test]
async fn a_period_without_a_day_that_is_over_is_refused() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let jobs = jobs(&bench, &collector);
    for name in ["W202703", "M202702", "D20270115"] {
        let error = jobs.run(super::period(name), true, std::sync::Arc::new(|_| {})).await.unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    collector.close().await;
}
