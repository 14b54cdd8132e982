//! What weeks and months hold, and their boards.

use std::collections::BTreeMap;

use commerce_boards::{Board, BoardOptions, BoardReader, Period, PeriodKind, Place};
use commerce_collector::Weights;
use commerce_collector_domain::{Metrics, standings};
use commerce_database::Database;

use super::{collector, counted, dirty, jobs, period, run, sums, table, week};
use crate::support::events::mixed;
use crate::support::{Bench, Event, Numbers, number, run as sql};

async fn board(database: &Database, of: Period, board: Board) -> Vec<Place> {
    let reader = BoardReader::of(database.clone(), BoardOptions::default());
    reader.page(of, board, 0, 1_000).await.unwrap().places.clone()
}

fn score(board: Board, numbers: &Numbers) -> i64 {
    let [views, likes, orders, quantity, amount] = *numbers;
    match board {
        Board::All => Weights::default().score(&Metrics { views, likes, orders, quantity, amount }),
        Board::Like => likes,
        Board::View => views,
        Board::Order => orders,
    }
}

/// Every board of a period is what its sums and the board before it make of it.
async fn boards_agree(database: &Database, of: Period, expected: &BTreeMap<(String, i64), Numbers>) -> usize {
    let mut places = 0;
    for kind in Board::ALL {
        let of_period = expected.iter().filter(|((name, _), _)| *name == of.to_string());
        let scores = of_period.map(|((_, product), numbers)| (*product, score(kind, numbers)));
        let before: BTreeMap<i64, i64> = board(database, of.previous(), kind)
            .await
            .into_iter()
            .map(|place| (place.product, place.rank))
            .collect();
        let expected: Vec<Place> = standings(scores)
            .into_iter()
            .map(|s| Place {
                product: s.product,
                rank: s.rank,
                score: s.score,
                previous_rank: before.get(&s.product).copied(),
            })
            .collect();
        assert_eq!(board(database, of, kind).await, expected, "{of} {kind:?}");
        places += expected.len();
    }
    places
}

#[tokio::test]
async fn weeks_and_months_are_the_sums_of_their_days_and_ranked_by_them() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let mut daily = week("2026-12-28");
    daily.extend(week("2027-01-04"));
    counted(&collector.database, &daily).await;
    // Today is the 15th of January; the running week has no day that was counted on.
    assert!(jobs(&bench, &collector).run_due().await.unwrap() > 3);
    let (weeks, months) = (sums(&daily, PeriodKind::Weekly), sums(&daily, PeriodKind::Monthly));
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, weeks);
    assert_eq!(table(&collector.database, PeriodKind::Monthly).await, months);
    for name in ["W202653", "W202701"] {
        assert!(boards_agree(&collector.database, period(name), &weeks).await > 20);
    }
    for name in ["M202612", "M202701"] {
        assert!(boards_agree(&collector.database, period(name), &months).await > 20);
    }
    let reader = BoardReader::of(collector.database.clone(), BoardOptions::default());
    let complete = async |name: &str| reader.page(period(name), Board::All, 0, 1).await.unwrap().complete;
    assert!(complete("W202653").await && complete("W202701").await && complete("M202612").await);
    assert!(!complete("M202701").await && !complete("W202702").await);
    // Nothing is due any more.
    assert_eq!(jobs(&bench, &collector).run_due().await.unwrap(), 0);
    collector.close().await;
}

#[tokio::test]
async fn a_week_that_is_ranked_again_changes_the_previous_ranks_of_the_next() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let mut daily = week("2026-12-28");
    daily.extend(week("2027-01-04"));
    counted(&collector.database, &daily).await;
    let jobs = jobs(&bench, &collector);
    // The later one first: it has nothing before it.
    run(&jobs, "W202701").await.unwrap();
    let previous =
        "SELECT COUNT(*) FROM ranking_board WHERE period = 'W202701' AND previous_rank IS NOT NULL";
    assert_eq!(number(&collector.database, previous).await, 0);
    run(&jobs, "W202653").await.unwrap();
    let weeks = sums(&daily, PeriodKind::Weekly);
    boards_agree(&collector.database, period("W202701"), &weeks).await;
    assert!(number(&collector.database, previous).await > 20);
    collector.close().await;
}

#[tokio::test]
async fn a_day_that_is_over_is_closed_and_counted_in_and_today_is_not() {
    let bench = Bench::open().await;
    bench.publish(&mixed(600)).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    let collector = collector(&bench).await;
    jobs(&bench, &collector).run_due().await.unwrap();
    let closed =
        "SELECT COUNT(*) FROM business_periods WHERE complete = 1 AND period IN ('D20270113', 'D20270114')";
    assert_eq!(number(&collector.database, closed).await, 2);
    let open = "SELECT COUNT(*) FROM business_periods WHERE complete = 0 AND closed_at IS NULL \
                AND period IN ('D20270115', 'W202702', 'M202701')";
    assert_eq!(number(&collector.database, open).await, 3);
    let mut over: BTreeMap<(String, i64), Numbers> = BTreeMap::new();
    for ((_, product), numbers) in counts.daily.iter().filter(|((day, _), _)| *day < 20_270_115) {
        let sum = over.entry(("W202702".into(), *product)).or_default();
        sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    assert_eq!(table(&collector.database, PeriodKind::Weekly).await, over);
    boards_agree(&collector.database, period("W202702"), &over).await;
    assert_eq!(dirty(&collector.database).await, 0);
    collector.close().await;
}

#[tokio::test]
async fn an_event_read_before_midnight_and_counted_after_the_week_was_makes_it_dirty() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    let running = bench.start().await;
    bench.publish(&[Event::viewed(1, 7)]).await;
    bench.counted(&collector.database).await;
    // Another node is past midnight and has the day in its sums already.
    sql(
        &collector.database,
        "INSERT INTO business_periods (period, changed, applied, through) VALUES ('W202702', 3, 3, 20270115), \
         ('M202701', 3, 3, 20270114)",
    )
    .await;
    bench.publish(&[Event::viewed(2, 7)]).await;
    bench.counted(&collector.database).await;
    let changed = "SELECT changed - applied FROM business_periods WHERE period = ";
    assert_eq!(number(&collector.database, &[changed, "'W202702'"].concat()).await, 1);
    assert_eq!(number(&collector.database, &[changed, "'M202701'"].concat()).await, 0, "without the day");
    running.stop().await;
    collector.close().await;
}

#[tokio::test]
async fn a_day_whose_totals_do_not_add_up_is_not_closed() {
    let bench = Bench::open().await;
    let collector = collector(&bench).await;
    counted(&collector.database, &week("2027-01-04")).await;
    sql(&collector.database, "UPDATE business_periods SET closed_at = NULL WHERE period = 'D20270108'").await;
    sql(&collector.database, "UPDATE product_metrics SET views = views + 1 WHERE product_id <= 5").await;
    let error = run(&jobs(&bench, &collector), "D20270108").await.unwrap_err();
    assert!(error.to_string().contains("TOTAL_DIFFERS"), "{error}");
    let closed = "SELECT COUNT(*) FROM business_periods WHERE closed_at IS NOT NULL AND period = 'D20270108'";
    assert_eq!(number(&collector.database, closed).await, 0);
    sql(&collector.database, "UPDATE product_metrics SET views = views - 1 WHERE product_id <= 5").await;
    run(&jobs(&bench, &collector), "D20270108").await.unwrap();
    assert_eq!(number(&collector.database, closed).await, 1);
    collector.close().await;
}
