//! Metrics rebuilt from the log are what live counting has, and mend what it has not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_bus::{BusError, LogFile, LogReader, Reach, Received};
use commerce_collector::Collector;
use commerce_collector::application::dead_letters::{LetterFilter, Selection};
use commerce_collector::application::rebuild::{Comparison, MetricsRebuild, RebuildError};
use commerce_runtime::{Clock as _, ManualClock, SystemClock};

use crate::support::events::{mixed, recount};
use crate::support::{Bench, Counts, Event, NOW_US, number, rows, run};

const RETENTION: Duration = Duration::from_hours(7 * 24);

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The log takes its records at the time of the system, which is before that of the bench.
fn start() -> NaiveDate {
    day("2027-01-14")
}

async fn reader(bench: &Bench) -> LogFile {
    let path = bench.log.database().path().unwrap().to_owned();
    LogFile::open(&path, RETENTION, Arc::new(SystemClock)).await.unwrap().unwrap()
}

async fn with<T>(bench: &Bench, work: impl AsyncFnOnce(MetricsRebuild, &Collector) -> T) -> T {
    let collector = bench.collector().await;
    let log = Arc::new(reader(bench).await);
    let done = work(collector.metrics_rebuild(log, bench.clock.clone()), &collector).await;
    collector.close().await;
    done
}

async fn counted(bench: &Bench, events: &[Event]) -> Counts {
    bench.publish(events).await;
    let running = bench.start().await;
    bench.counts_after(running).await
}

fn everything(counts: &Counts) -> Comparison {
    let days = counts.daily.keys().filter(|(day, _)| *day >= 20_270_114).count();
    Comparison { compared: i64::try_from(days).unwrap(), ..Comparison::default() }
}

const ALL: &str = "SELECT date, product_id, views, likes, orders, quantity, amount FROM product_metrics_daily \
                   UNION ALL SELECT 0, product_id, views, likes, orders, quantity, amount FROM product_metrics \
                   ORDER BY 1, 2";

/// Duplicates, late events, poison, an event of the future that was replayed and one that was given up.
async fn odd(bench: &Bench) -> Counts {
    let events = mixed(3_000);
    let late = Event::viewed(50_000, 9).at("2026-12-31T12:00:00+09:00");
    let replayed = Event::viewed(60_000, 9).at("2027-01-16T08:00:00Z");
    let discarded = Event::viewed(60_001, 9).at("2027-01-16T08:00:00Z");
    let twice: Vec<_> = events[..200].to_vec();
    bench.publish_bytes("order", "k", b"junk").await;
    let odd = [&events[..], &twice[..], &[late, replayed.clone(), discarded]].concat();
    counted(bench, &odd).await;
    bench.clock.advance(Duration::from_hours(24));
    let collector = bench.collector().await;
    let desk = collector.dead_letters(bench.clock.clone());
    let future = LetterFilter { cause: Some("FUTURE_DATED".into()), ..LetterFilter::default() };
    let first = Selection { filter: future, after: i64::MIN, max: 1, dry_run: false };
    assert_eq!(desk.replay(&first, "cli").await.unwrap().counted, 1);
    assert_eq!(desk.discard(&first, "a test", "cli").await.unwrap().discarded, 1);
    collector.close().await;
    // What was replayed is published once more.
    counted(bench, &[replayed]).await
}

#[tokio::test]
async fn a_rebuild_equals_live_byte_for_byte_at_the_same_watermark() {
    let bench = Bench::open().await;
    let counts = odd(&bench).await;
    with(&bench, async |rebuild, collector| {
        let before = rows(&collector.database, ALL).await;
        assert_eq!(rebuild.count(start(), |_, _| {}).await.unwrap(), everything(&counts));
        let shadow = "SELECT date, product_id, views, likes, orders, quantity, amount FROM rebuild_shadow \
                      WHERE date > 0 ORDER BY date, product_id";
        let live = "SELECT date, product_id, views, likes, orders, quantity, amount FROM product_metrics_daily \
                    WHERE date >= 20270114 ORDER BY date, product_id";
        assert_eq!(rows(&collector.database, shadow).await, rows(&collector.database, live).await);
        rebuild.apply("cli").await.unwrap();
        assert_eq!(rows(&collector.database, ALL).await, before);
        assert_eq!(number(&collector.database, "SELECT COUNT(*) FROM rebuild_events").await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_live_counting_has_wrong_is_put_right_and_what_lies_before_the_start_is_kept() {
    let bench = Bench::open().await;
    odd(&bench).await;
    with(&bench, async |rebuild, collector| {
        let before = rows(&collector.database, ALL).await;
        for sql in [
            "UPDATE product_metrics_daily SET views = views + 3 WHERE date = 20270114 AND product_id = 7",
            "DELETE FROM product_metrics_daily WHERE date = 20270115 AND product_id < 20",
            "INSERT INTO product_metrics_daily VALUES (999, 20270115, 1, 1, 1, 1, 1)",
            "INSERT INTO product_metrics VALUES (999, 1, 1, 1, 1, 1)",
            "UPDATE product_metrics SET amount = 0",
        ] {
            run(&collector.database, sql).await;
        }
        let dry = rebuild.count(start(), |_, _| {}).await.unwrap();
        assert!(dry.differing > 15 && dry.totals > 3, "{dry:?}");
        assert_eq!(dry.examples.len(), 10);
        rebuild.apply("user:1").await.unwrap();
        assert_eq!(rows(&collector.database, ALL).await, before);
        let dirty = "SELECT COUNT(*) FROM business_periods WHERE changed > applied";
        assert!(number(&collector.database, dirty).await > 0);
        collector.rank_changed_days().await.unwrap();
        let facts = collector.facts().await.unwrap();
        let findings = facts.boards(commerce_collector::Weights::default()).await.unwrap();
        assert!(findings.wrong.is_empty(), "{findings:?}");
        // Days before the start are nobody's business here.
        run(&collector.database, "UPDATE product_metrics_daily SET views = views + 5 WHERE date = 20270113")
            .await;
        let kept = rows(&collector.database, ALL).await;
        rebuild.count(start(), |_, _| {}).await.unwrap();
        rebuild.apply("user:1").await.unwrap();
        let days = |all: &[Vec<i64>]| all.iter().filter(|row| row[0] > 0).cloned().collect::<Vec<_>>();
        assert_eq!(days(&rows(&collector.database, ALL).await), days(&kept));
    })
    .await;
}

#[tokio::test]
async fn what_is_counted_while_a_rebuild_runs_stays_exact() {
    let bench = Bench::open().await;
    let events = mixed(2_000);
    counted(&bench, &events[..1_000]).await;
    let collector = bench.collector().await;
    run(&collector.database, "UPDATE product_metrics_daily SET likes = likes + 2").await;
    run(&collector.database, "DELETE FROM product_metrics WHERE product_id > 30").await;
    let rebuild = collector.metrics_rebuild(Arc::new(reader(&bench).await), bench.clock.clone());
    let from = day("2027-01-13");
    rebuild.count(from, |_, _| {}).await.unwrap();
    // The watermark is set; live goes on.
    let all = counted(&bench, &events[1_000..]).await;
    assert_ne!(all, recount(&events), "what is wrong is not put right yet");
    rebuild.count(from, |_, _| {}).await.unwrap();
    rebuild.apply("cli").await.unwrap();
    assert_eq!(Counts::read(&collector.database).await, recount(&events));
    collector.close().await;
}

/// A log that cannot be read any more after so many reads, as if the process had died there.
struct Dies {
    log: LogFile,
    reads: AtomicU32,
}

#[async_trait]
impl LogReader for Dies {
    async fn reaches(&self, topics: &[&str]) -> Result<Vec<Reach>, BusError> {
        self.log.reaches(topics).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Received>, BusError> {
        if self.reads.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(BusError::Closed);
        }
        // Small steps, so that there are many edges.
        self.log.read(topic, partition, from, max.min(100)).await
    }
}

#[tokio::test]
async fn a_rebuild_that_is_cut_off_at_any_step_goes_on_and_equals_one_that_was_not() {
    let bench = Bench::open().await;
    let counts = odd(&bench).await;
    let collector = bench.collector().await;
    let before = rows(&collector.database, ALL).await;
    run(&collector.database, "UPDATE product_metrics_daily SET views = 0 WHERE date >= 20270114").await;
    let mut cuts = 0;
    let compared = loop {
        let log = Dies { log: reader(&bench).await, reads: AtomicU32::new(1) };
        let rebuild = collector.metrics_rebuild(Arc::new(log), bench.clock.clone());
        match rebuild.count(start(), |_, _| {}).await {
            Ok(comparison) => break comparison,
            Err(RebuildError::Bus(_)) => cuts += 1,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(cuts > 20, "{cuts}");
    assert_eq!(compared.compared, everything(&counts).compared);
    with(&bench, async |rebuild, _| {
        let other = rebuild.count(day("2027-01-15"), |_, _| {}).await;
        assert!(matches!(other, Err(RebuildError::UnderWay(from)) if from == start()), "{other:?}");
        rebuild.apply("cli").await.unwrap();
        assert!(matches!(rebuild.apply("cli").await, Err(RebuildError::Taken)));
        assert!(!rebuild.abandon().await.unwrap());
    })
    .await;
    assert_eq!(rows(&collector.database, ALL).await, before);
    collector.close().await;
}

#[tokio::test]
async fn a_start_before_the_logs_first_event_is_refused_and_names_the_earliest() {
    let bench = Bench::open().await;
    with(&bench, async |rebuild, _| {
        assert!(matches!(rebuild.count(start(), |_, _| {}).await, Err(RebuildError::EmptyLog)));
    })
    .await;
    counted(&bench, &mixed(30)).await;
    let zone = bench.options().zone;
    let today = zone.day(SystemClock.now_us()).unwrap();
    with(&bench, async |rebuild, _| {
        let refused = rebuild.count(today.pred_opt().unwrap(), |_, _| {}).await;
        assert!(matches!(refused, Err(RebuildError::BeforeTheLog { earliest, .. }) if earliest == today));
        let future = rebuild.count(day("2027-01-16"), |_, _| {}).await;
        assert!(matches!(future, Err(RebuildError::Future(_))));
    })
    .await;
    // A log that was purged holds everything only from the next day on.
    bench.log.purge(SystemClock.now_us() + 8 * 24 * 3_600_000_000).await.unwrap();
    counted(&bench, &mixed(60)).await;
    let path = bench.log.database().path().unwrap().to_owned();
    let later = Arc::new(ManualClock::new(NOW_US));
    let log = LogFile::open(&path, RETENTION, later).await.unwrap().unwrap();
    let collector = bench.collector().await;
    let rebuild = collector.metrics_rebuild(Arc::new(log), bench.clock.clone());
    let refused = rebuild.count(today, |_, _| {}).await;
    let Err(RebuildError::BeforeTheLog { earliest, .. }) = refused else { panic!("{refused:?}") };
    assert!(earliest > today, "{earliest}");
    collector.close().await;
}
