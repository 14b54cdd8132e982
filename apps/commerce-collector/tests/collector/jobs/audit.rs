//! What the audit has to say of weeks and months.

use commerce_collector::Weights;
use commerce_collector::audit::BoardFindings;

use super::{collector, counted, day, jobs, week};
use crate::support::{Bench, run as sql};

#[tokio::test]
async fn a_week_or_month_that_was_tampered_with_is_found_and_a_dirty_one_is_pending() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    counted(&collector.database, &week("2027-01-04")).await;
    for on in day("2027-01-04").iter_days().take(7) {
        collector.rebuild_boards(on).await.unwrap();
    }
    jobs(&bench, &collector).run_due().await.unwrap();
    let findings = async || -> BoardFindings {
        let facts = collector.facts().await.unwrap();
        facts.boards(Weights::default()).await.unwrap()
    };
    let clean = findings().await;
    // The week, the week of yesterday, the month.
    assert_eq!((clean.days, clean.periods, clean.wrong, clean.pending), (8, 3, Vec::new(), Vec::new()));

    let subjects =
        async || -> Vec<String> { findings().await.wrong.into_iter().map(|(subject, _)| subject).collect() };
    let week_changes = |by: &str| {
        [
            "UPDATE product_metrics_weekly SET amount = amount + ",
            by,
            " WHERE period = 'W202701' AND product_id = 3",
        ]
        .concat()
        .leak()
    };
    sql(&collector.database, week_changes("1")).await;
    assert_eq!(subjects().await, ["metrics:W202701"]);
    sql(&collector.database, week_changes("-1")).await;
    sql(&collector.database, "DELETE FROM product_metrics_monthly WHERE product_id = 9").await;
    assert!(subjects().await.contains(&"metrics:M202701".to_owned()));
    sql(&collector.database, "UPDATE business_periods SET changed = changed + 1 WHERE period = 'M202701'")
        .await;
    let dirty = findings().await;
    assert_eq!((dirty.wrong, dirty.pending), (Vec::new(), vec!["M202701".to_owned()]));
    jobs(&bench, &collector).run_due().await.unwrap();
    sql(
        &collector.database,
        "UPDATE ranking_board SET previous_rank = 5 WHERE period = 'W202701' AND type = 'VIEW' AND `rank` = 1",
    )
    .await;
    assert_eq!(subjects().await, ["board:W202701:VIEW"]);
    collector.close().await;
}
