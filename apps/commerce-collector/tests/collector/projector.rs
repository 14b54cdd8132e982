//! Who ranks, and how old the boards are said to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;

use commerce_collector::ProjectorOptions;
use commerce_collector::Weights;
use commerce_collector::application::ports::{BoardStore, StoreError};
use commerce_collector::application::{GROUP, Projector};
use commerce_collector::infrastructure::SqlCollector;
use commerce_runtime::ManualClock;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{Bench, Event, NOW_US, rows, run, until};

const DEAD: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
/// Longer than a test takes; the clock of a bench stands still anyway.
const LONG_US: i64 = 3_600_000_000;

fn age(handle: &PrometheusHandle) -> Option<f64> {
    handle.render().lines().find_map(|line| line.strip_prefix("commerce_board_age_seconds ")?.parse().ok())
}

#[tokio::test]
async fn a_collector_that_is_alone_does_not_wait_for_the_lease_of_its_dead_predecessor() {
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    assert!(store.hold(DEAD, NOW_US, NOW_US + LONG_US).await.unwrap());
    let running = bench.start_with(|options| options.projector.alone = true).await;
    bench.publish(&[Event::viewed(1, 7)]).await;
    let shown = "SELECT product_id, score FROM ranking_board WHERE type = 'VIEW'";
    until("the board shows it", async || rows(&collector.database, shown).await == [[7, 1]]).await;
    // Whoever comes later lives, and is waited for as ever.
    assert!(!store.hold(OTHER, NOW_US, NOW_US + LONG_US).await.unwrap());
    running.stop().await;
    collector.close().await;
}

#[tokio::test]
async fn boards_that_nobody_ranks_grow_old_until_they_are_ranked() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    run(&collector.database, "INSERT INTO business_periods (period, changed) VALUES ('D20270115', 1)").await;
    let store = Arc::new(SqlCollector::new(collector.database.clone(), GROUP));
    assert!(store.hold(OTHER, NOW_US, NOW_US + LONG_US).await.unwrap());
    let options = ProjectorOptions { every: Duration::from_millis(20), ..ProjectorOptions::default() };
    let owner = Uuid::from_u128(3);
    let projector = Projector { store: store.clone(), clock: bench.clock.clone(), options, owner };
    let (_counted, counting) = watch::channel(0);
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(projector.run(counting, stopping));
    // More than it can be between two looks that find nothing to do.
    until("the boards are old", async || age(&handle).is_some_and(|age| age > 2.5)).await;
    store.release(OTHER).await.unwrap();
    until("the boards are ranked", async || age(&handle).is_some_and(|age| age < 2.5)).await;
    assert_eq!(store.dirty_days(1).await.unwrap(), []);
    stop.send_replace(true);
    task.await.unwrap();
    collector.close().await;
}

/// A store with one day, which is dirty again and again; ranking it takes as long as the process stands still.
struct StandsStill {
    for_so_long: Duration,
    dirty: AtomicBool,
    ranked: watch::Sender<u64>,
}

#[async_trait]
impl BoardStore for StandsStill {
    async fn hold(&self, _: Uuid, _: i64, _: i64) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn end_lease(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _: Uuid) -> Result<(), StoreError> {
        Ok(())
    }

    async fn dirty_days(&self, _: u64) -> Result<Vec<NaiveDate>, StoreError> {
        let day = NaiveDate::from_ymd_opt(2027, 1, 15).unwrap();
        Ok(self.dirty.load(Ordering::Relaxed).then_some(day).into_iter().collect())
    }

    async fn rank_day(&self, _: NaiveDate, _: Weights) -> Result<(), StoreError> {
        if *self.ranked.borrow() == 0 {
            // tidy: sleep simulated time
            tokio::time::sleep(self.for_so_long).await;
        }
        self.dirty.store(false, Ordering::Relaxed);
        self.ranked.send_modify(|ranked| *ranked += 1);
        Ok(())
    }
}

/// The simulation found it (seed 65755): after a stop of 98 s nothing was ranked for a quarter of an hour.
#[tokio::test(start_paused = true)]
async fn after_a_process_stood_still_the_boards_are_in_step_again_within_a_minute() {
    let (ranked, mut looks) = watch::channel(0);
    let for_so_long = Duration::from_secs(100);
    let store = Arc::new(StandsStill { for_so_long, dirty: AtomicBool::new(true), ranked });
    let clock = Arc::new(ManualClock::new(NOW_US));
    let (options, owner) = (ProjectorOptions::default(), OTHER);
    let projector = Projector { store: store.clone(), clock, options, owner };
    let (counted, counting) = watch::channel(0);
    let (_stop, stopping) = watch::channel(false);
    let task = tokio::spawn(projector.run(counting, stopping));
    looks.wait_for(|ranked| *ranked == 1).await.unwrap();
    let started = Instant::now();
    store.dirty.store(true, Ordering::Relaxed);
    counted.send_replace(1);
    looks.wait_for(|ranked| *ranked == 2).await.unwrap();
    assert!(started.elapsed() <= Duration::from_mins(1), "{:?}", started.elapsed());
    task.abort();
}
