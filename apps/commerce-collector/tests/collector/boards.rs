//! Days and their boards.

use chrono::NaiveDate;
use commerce_boards::{Board, BoardOptions, BoardReader, Period};
use commerce_collector::{Collector, Weights};
use commerce_collector_domain::{Metrics, standings};
use commerce_database::SqliteOptions;

use crate::support::events::{mixed, recount};
use crate::support::{Bench, Counts, Event, Numbers, rows, run, until};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// (rank, product, score, previous rank), read as commerce-api does: from the file, without being able to write it.
async fn board(bench: &Bench, board: Board, on: &str) -> Vec<(i64, i64, i64, Option<i64>)> {
    let reader = match bench.on_server() {
        None => BoardReader::of_file(SqliteOptions::new(bench.options().file), BoardOptions::default()),
        Some(server) => BoardReader::of(server.open().await, BoardOptions::default()),
    };
    let page = reader.page(Period::day(day(on)), board, 0, 1_000).await.unwrap();
    assert_eq!(usize::try_from(page.total).unwrap(), page.places.len());
    page.places.iter().map(|p| (p.rank, p.product, p.score, p.previous_rank)).collect()
}

/// The same by the metrics that must have been counted.
fn expected(counts: &Counts, board: Board, on: i64) -> Vec<(i64, i64, i64)> {
    let of_day = counts.daily.iter().filter(|((day, _), _)| *day == on);
    let score = |numbers: &Numbers| {
        let [views, likes, orders, quantity, amount] = *numbers;
        let metrics = Metrics { views, likes, orders, quantity, amount };
        match board {
            Board::All => Weights::default().score(&metrics),
            Board::Like => likes,
            Board::View => views,
            Board::Order => orders,
        }
    };
    let scores = of_day.map(|((_, product), numbers)| (*product, score(numbers)));
    standings(scores).into_iter().map(|s| (s.rank, s.product, s.score)).collect()
}

#[tokio::test]
async fn boards_show_what_was_counted() {
    let bench = Bench::open().await;
    let events = mixed(1_500);
    bench.publish(&events).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, recount(&events));
    for (on, stored) in [("2027-01-13", 20_270_113), ("2027-01-14", 20_270_114), ("2027-01-15", 20_270_115)] {
        for kind in Board::ALL {
            let found: Vec<_> = board(&bench, kind, on).await;
            let found: Vec<_> =
                found.iter().map(|(rank, product, score, _)| (*rank, *product, *score)).collect();
            let expected = expected(&counts, kind, stored);
            assert!(!expected.is_empty(), "{kind:?} {on}");
            assert_eq!(found, expected, "{kind:?} {on}");
        }
    }
}

#[tokio::test]
async fn a_running_collector_shows_a_view_without_being_stopped() {
    let bench = Bench::open().await;
    let running = bench.start().await;
    bench.publish(&[Event::viewed(1, 7)]).await;
    let collector = bench.collector().await;
    let shown = "SELECT product_id, `rank`, score FROM ranking_board WHERE type = 'ALL'";
    until("the board shows it", async || rows(&collector.database, shown).await == [[7, 1, 1]]).await;
    bench.publish(&[Event::liked(2, 8, 1)]).await;
    until("the like is first", async || rows(&collector.database, shown).await == [[8, 1, 2], [7, 2, 1]])
        .await;
    running.stop().await;
    collector.close().await;
}

#[tokio::test]
async fn the_last_instant_of_a_seoul_day_belongs_to_it() {
    let bench = Bench::open().await;
    let last = Event::viewed(1, 7).at("2027-01-14T23:59:59.999+09:00");
    let first = Event::viewed(2, 7).at("2027-01-15T00:00:00+09:00");
    bench.publish(&[last.clone(), first.clone()]).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    let one = [1, 0, 0, 0, 0];
    assert_eq!(
        counts.daily.into_iter().collect::<Vec<_>>(),
        [((20_270_114, 7), one), ((20_270_115, 7), one)]
    );
}

#[tokio::test]
async fn a_late_event_changes_its_day_and_the_previous_ranks_of_the_next() {
    let bench = Bench::open().await;
    let yesterday = "2027-01-14T12:00:00+09:00";
    let mut events = vec![Event::viewed(1, 7).at(yesterday), Event::viewed(2, 7), Event::viewed(3, 8)];
    bench.publish(&events).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    assert_eq!(board(&bench, Board::View, "2027-01-15").await, [(1, 7, 1, Some(1)), (2, 8, 1, None)]);

    let late = [Event::viewed(4, 8).at(yesterday), Event::viewed(5, 8).at(yesterday)];
    bench.publish(&late).await;
    events.extend(late);
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
    assert_eq!(board(&bench, Board::View, "2027-01-14").await, [(1, 8, 2, None), (2, 7, 1, None)]);
    assert_eq!(board(&bench, Board::View, "2027-01-15").await, [(1, 7, 1, Some(2)), (2, 8, 1, Some(1))]);
}

#[tokio::test]
async fn a_cancelled_order_leaves_the_board_of_the_day_it_was_paid_on() {
    let bench = Bench::open().await;
    let paid = Event::paid(1, 1, &[(7, 2, 500)]).at("2027-01-13T12:00:00+09:00");
    let canceled = Event { at_us: crate::support::NOW_US, ..Event::canceled(2, &paid, true) };
    let kept = Event::paid(3, 2, &[(8, 1, 100)]).at("2027-01-13T12:00:00+09:00");
    bench.publish(&[paid.clone(), kept.clone()]).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    assert_eq!(board(&bench, Board::Order, "2027-01-13").await.len(), 2);
    bench.publish(std::slice::from_ref(&canceled)).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, recount(&[paid, canceled, kept]));
    assert_eq!(counts.daily[&(20_270_113, 7)], [0; 5]);
    assert_eq!(board(&bench, Board::Order, "2027-01-13").await, [(1, 8, 1, None)]);
}

#[tokio::test]
async fn boards_rebuilt_from_the_tables_are_the_same() {
    let bench = Bench::open().await;
    bench.publish(&mixed(1_000)).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    let collector: Collector = bench.collector().await;
    let all = "SELECT substr(period, 2), `rank`, product_id, score, COALESCE(previous_rank, 0), version, \
               instr('ALL LIKE VIEW ORDER', `type`) FROM ranking_board ORDER BY period, `type`, `rank`";
    let sql = all.replace("substr(period, 2)", "CAST(substr(period, 2) AS SIGNED)");
    let before = rows(&collector.database, &sql).await;
    assert!(before.len() > 100);
    run(&collector.database, "DELETE FROM ranking_board").await;
    for on in ["2027-01-13", "2027-01-14", "2027-01-15"] {
        collector.rebuild_boards(day(on)).await.unwrap();
    }
    assert_eq!(rows(&collector.database, &sql).await, before);
    collector.close().await;
}
