//! The real jobs, killed, run twice and changed while they run.

use std::time::Duration;

use commerce_batch::{BatchError, Status};
use commerce_boards::PeriodKind;

use super::faults::{Fault, Faulty};
use super::{bytes, collector, counted, dirty, force, jobs, jobs_on, run, sums, table, week};
use crate::support::{Bench, number, run as sql};

#[tokio::test]
async fn a_week_killed_at_any_boundary_ends_as_one_clean_run_does() {
    let clean = Bench::open().await;
    let of_clean = collector(&clean).await;
    counted(&of_clean.database, &week("2027-01-04")).await;
    run(&jobs(&clean, &of_clean), "W202701").await.unwrap();
    let expected = bytes(&of_clean.database).await;
    assert!(expected.len() > 30, "{}", expected.len());
    // Four chunks of ten products and the ranking.
    for after in 0..5 {
        for fault in [Fault::DiesBeforeWrite, Fault::DiesBeforeCommit, Fault::DiesAfterCommit] {
            let bench = Bench::open().await;
            let collector = collector(&bench).await;
            counted(&collector.database, &week("2027-01-04")).await;
            let dying = Faulty::new(&collector.database, fault, after);
            run(&jobs_on(&bench, &collector, dying.clone()), "W202701").await.unwrap_err();
            assert!(dying.died(), "{fault:?} {after}");
            let refused = run(&jobs(&bench, &collector), "W202701").await.unwrap_err();
            assert!(matches!(refused, BatchError::Running { .. }), "{refused}");
            bench.clock.advance(Duration::from_secs(31));
            let ended = run(&jobs(&bench, &collector), "W202701").await.unwrap();
            assert_eq!(ended.status, Status::Completed);
            assert_eq!(bytes(&collector.database).await, expected, "{fault:?} at chunk {after}");
            let read = "SELECT read_count FROM step_execution WHERE step = 'aggregate' \
                        ORDER BY execution_id DESC LIMIT 1";
            assert_eq!(number(&collector.database, read).await, 10, "what was done is not done again");
            collector.close().await;
        }
    }
    of_clean.close().await;
}

#[tokio::test]
async fn a_week_run_twice_is_refused_and_by_force_leaves_the_same_bytes() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    counted(&collector.database, &week("2027-01-04")).await;
    let jobs = jobs(&bench, &collector);
    run(&jobs, "W202701").await.unwrap();
    let first = bytes(&collector.database).await;
    let refused = run(&jobs, "W202701").await.unwrap_err();
    assert!(matches!(refused, BatchError::Complete { .. }), "{refused}");
    force(&jobs, "W202701").await.unwrap();
    assert_eq!(bytes(&collector.database).await, first);
    assert_eq!(number(&collector.database, "SELECT COUNT(*) FROM job_execution").await, 2);
    collector.close().await;
}

/// Of a product that the job is past, and of one that is ahead of it.
const LATE: &str = "UPDATE product_metrics_daily SET views = views + 1000 WHERE date = 20270106 \
     AND product_id IN (1, 10); \
     INSERT INTO business_periods (period) SELECT 'W202701' \
     WHERE NOT EXISTS (SELECT 1 FROM business_periods WHERE period = 'W202701'); \
     UPDATE business_periods SET changed = changed + 1 WHERE period = 'W202701'";

#[tokio::test]
async fn what_comes_late_while_a_week_is_aggregated_is_in_the_next_run_and_never_half() {
    for after in 0..5 {
        let bench = Bench::open().await;
        let collector = collector(&bench).await;
        let mut daily = week("2027-01-04");
        counted(&collector.database, &daily).await;
        let changing = Faulty::new(&collector.database, Fault::Changes(LATE), after);
        run(&jobs_on(&bench, &collector, changing), "W202701").await.unwrap();
        let before = sums(&daily, PeriodKind::Weekly);
        assert_eq!(table(&collector.database, PeriodKind::Weekly).await, before, "changed at {after}");
        assert_eq!(dirty(&collector.database).await, 1);
        for product in [1, 10] {
            if let Some(numbers) = daily.get_mut(&(super::day("2027-01-06"), product)) {
                numbers[0] += 1000;
            }
        }
        let late = sums(&daily, PeriodKind::Weekly);
        assert_ne!(late, before);
        // It is dirty, so it is run again without force.
        run(&jobs(&bench, &collector), "W202701").await.unwrap();
        assert_eq!(table(&collector.database, PeriodKind::Weekly).await, late);
        assert_eq!(dirty(&collector.database).await, 0);
        collector.close().await;
    }
}

#[tokio::test]
async fn a_week_that_changed_while_its_runner_was_dead_is_not_continued_half() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let mut daily = week("2027-01-04");
    counted(&collector.database, &daily).await;
    let dying = Faulty::new(&collector.database, Fault::DiesAfterCommit, 1);
    run(&jobs_on(&bench, &collector, dying), "W202701").await.unwrap_err();
    sql(&collector.database, LATE).await;
    for product in [1, 10] {
        if let Some(numbers) = daily.get_mut(&(super::day("2027-01-06"), product)) {
            numbers[0] += 1000;
        }
    }
    bench.clock.advance(Duration::from_secs(31));
    run(&jobs(&bench, &collector), "W202701").await.unwrap();
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, sums(&daily, PeriodKind::Weekly));
    assert_eq!(dirty(&collector.database).await, 0);
    collector.close().await;
}

#[tokio::test]
async fn a_product_that_falls_out_of_a_week_leaves_its_table_and_boards() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let mut daily = week("2027-01-04");
    counted(&collector.database, &daily).await;
    let jobs = jobs(&bench, &collector);
    run(&jobs, "W202701").await.unwrap();
    sql(&collector.database, "DELETE FROM product_metrics_daily WHERE product_id IN (1, 5, 10)").await;
    daily.retain(|(_, product), _| ![1, 5, 10].contains(product));
    force(&jobs, "W202701").await.unwrap();
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, sums(&daily, PeriodKind::Weekly));
    let left = "SELECT COUNT(*) FROM ranking_board WHERE period = 'W202701' AND product_id IN (1, 5, 10)";
    assert_eq!(number(&collector.database, left).await, 0);
    collector.close().await;
}

#[tokio::test]
async fn a_sum_beyond_64_bits_is_left_out_and_told() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let mut daily = week("2027-01-04");
    counted(&collector.database, &daily).await;
    sql(
        &collector.database,
        "UPDATE product_metrics_daily SET amount = 9223372036854775807 WHERE product_id = 4",
    )
    .await;
    run(&jobs(&bench, &collector), "W202701").await.unwrap();
    daily.retain(|(_, product), _| *product != 4);
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, sums(&daily, PeriodKind::Weekly));
    let skip = "SELECT COUNT(*) FROM step_skip WHERE item_key = 4 AND kind = 'SUM_OVERFLOW'";
    assert_eq!(number(&collector.database, skip).await, 1);
    collector.close().await;
}
