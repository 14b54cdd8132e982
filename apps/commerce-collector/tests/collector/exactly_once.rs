//! Every event counts once, whatever is read again and whoever reads it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use commerce_bus::EventBus as _;
use commerce_collector::application::{Consumer, ConsumerOptions, ConsumerState, GROUP};
use commerce_collector::infrastructure::SqlCollector;
use commerce_contracts::topics;
use tokio::sync::watch;

use crate::support::events::{mixed, recount};
use crate::support::faults::{Forgetful, LosesAnswers};
use crate::support::{Bench, Counts, number, run};

#[tokio::test]
async fn every_event_counts_once_on_its_day() {
    let bench = Bench::open().await;
    let events = mixed(1_000);
    bench.publish(&events).await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
}

#[tokio::test]
async fn the_whole_log_delivered_again_changes_nothing() {
    let bench = Bench::open().await;
    let events = mixed(1_000);
    bench.publish(&events).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    let collector = bench.collector().await;
    run(&collector.database, "DELETE FROM consumer_offsets").await;
    collector.close().await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, counts);
    assert_eq!(counts, recount(&events));
}

#[tokio::test]
async fn events_published_twice_count_once() {
    let bench = Bench::open().await;
    let events = mixed(500);
    bench.publish(&events).await;
    // Twice in one batch, and again later: as relays do that lost an acknowledgement.
    let twice: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    bench.publish(&twice).await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
}

#[tokio::test]
async fn a_crash_between_counting_and_telling_the_bus_is_a_no_op() {
    let bench = Bench::open().await;
    let events = mixed(1_000);
    bench.publish(&events[..700]).await;
    let forgetful = bench.start_on(Arc::new(Forgetful(bench.log.clone())), bench.options()).await;
    assert_eq!(bench.counts_after(forgetful).await, recount(&events[..700]));
    let told = bench.log.lag(GROUP, topics::ALL).await.unwrap();
    assert_eq!(told.iter().map(|lag| lag.lag).sum::<i64>(), 700, "the bus knows of nothing");
    bench.publish(&events[700..]).await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
}

/// Nothing is stopped in order: every task is cut off where it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_cut_off_at_any_moment_loses_and_doubles_nothing() {
    let bench = Bench::open().await;
    let events = mixed(2_000);
    bench.publish(&events).await;
    for batches in 1..=8 {
        let collector = bench.collector().await;
        let (counted, mut seen) = watch::channel(0);
        let consumer = Arc::new(Consumer {
            bus: Arc::new(bench.log.clone()),
            store: Arc::new(SqlCollector::new(collector.database.clone(), GROUP)),
            clock: bench.clock.clone(),
            zone: bench.options().zone,
            options: ConsumerOptions { batch_max: 7, ..bench.options().consumer },
            state: ConsumerState::default(),
            counted,
        });
        let (_stop, stopping) = watch::channel(false);
        let task = tokio::spawn(consumer.run(stopping));
        seen.wait_for(|counted| *counted >= batches * 5).await.unwrap();
        task.abort();
        collector.close().await;
    }
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_of_the_store_are_tried_again_and_count_once() {
    let bench = Bench::open().await;
    let events = mixed(600);
    bench.publish(&events).await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    let consumer = Arc::new(Consumer {
        bus: Arc::new(bench.log.clone()),
        store: Arc::new(LosesAnswers { store, calls: AtomicU32::new(0) }),
        clock: bench.clock.clone(),
        zone: bench.options().zone,
        options: ConsumerOptions { batch_max: 20, ..bench.options().consumer },
        state: ConsumerState::default(),
        counted: watch::Sender::new(0),
    });
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(consumer.run(stopping));
    bench.counted(&collector.database).await;
    stop.send_replace(true);
    task.await.unwrap();
    assert_eq!(Counts::read(&collector.database).await, recount(&events));
    collector.close().await;
}

/// Two collectors share the partitions; one of them comes and goes all the time, and events go on arriving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_lose_and_double_nothing() {
    let bench = Bench::open().await;
    let events = mixed(3_000);
    let small = |options: &mut commerce_collector::Options| options.consumer.batch_max = 10;
    let stays = bench.start_with(small).await;
    for chunk in events.chunks(500) {
        let comes = bench.start_with(small).await;
        bench.publish(chunk).await;
        comes.stop().await;
    }
    assert_eq!(bench.counts_after(stays).await, recount(&events));
}

#[tokio::test]
async fn a_restart_goes_on_from_the_offset_in_storage() {
    let bench = Bench::open().await;
    let events = mixed(600);
    bench.publish(&events[..300]).await;
    let forgetful = bench.start_on(Arc::new(Forgetful(bench.log.clone())), bench.options()).await;
    bench.counts_after(forgetful).await;
    // With the dedupe rows gone, a record that was read again would count twice, and the bus knows of no offset.
    let collector = bench.collector().await;
    run(&collector.database, "DELETE FROM event_handled").await;
    collector.close().await;
    bench.publish(&events[300..]).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    assert_eq!(counts, Counts { handled: 300, ..recount(&events) });
}

#[tokio::test]
async fn a_new_database_counts_from_the_earliest_record() {
    let bench = Bench::open().await;
    let events = mixed(200);
    bench.publish(&events).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    let file = bench.options().file;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, counts, "although the bus was told that all was read");
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_counted_halts_the_consumer() {
    let bench = Bench::open().await;
    bench.publish(&mixed(300)).await;
    let running = bench.start().await;
    let counts = bench.counts_after(running).await;
    let other = Bench::open().await;
    let running = bench.start_on(Arc::new(other.log.clone()), bench.options()).await;
    let reason = crate::support::halted(&running).await;
    assert!(reason.contains("the log was replaced"), "{reason}");
    running.stop().await;
    let collector = bench.collector().await;
    assert_eq!(Counts::read(&collector.database).await, counts);
    assert_eq!(number(&collector.database, "SELECT COUNT(*) FROM dead_letters").await, 0);
    collector.close().await;
}

#[tokio::test]
async fn on_mariadb_events_delivered_twice_count_once_and_the_boards_are_ranked() {
    let bench = Bench::on(commerce_servers::ServerKind::MariaDb).await;
    let events = mixed(600);
    bench.publish(&events).await;
    bench.publish(&events).await;
    let running = bench.start().await;
    assert_eq!(bench.counts_after(running).await, recount(&events));
    let collector = bench.collector().await;
    collector.rank_changed_days().await.unwrap();
    let ranked = "SELECT COUNT(*) FROM ranking_board WHERE `rank` = 1";
    assert!(number(&collector.database, ranked).await >= 4);
    collector.close().await;
}
