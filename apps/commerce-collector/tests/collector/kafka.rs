//! The same promises on a Kafka cluster, and what only a cluster does: share out anew, forget groups, grow topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_bus::Assignment;
use commerce_collector::application::ports::{Batch, Claimed, Collected, MetricsStore, StoreError};
use commerce_collector::application::{Consumer, ConsumerOptions, ConsumerState, GROUP};
use commerce_collector::infrastructure::SqlCollector;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::support::events::{mixed, recount};
use crate::support::kafka::Cluster;
use crate::support::{Counts, run, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_topics_delivered_again_change_nothing() {
    let cluster = Cluster::open().await;
    let events = mixed(600);
    let running = cluster.start().await;
    cluster.publish(&events).await;
    cluster.publish_bytes("order", b"not an event").await;
    let counts = cluster.counts_after(running).await;
    assert_eq!(counts, Counts { dead_letters: 1, ..recount(&events) });
    let collector = cluster.bench.collector().await;
    run(&collector.database, "DELETE FROM consumer_offsets").await;
    collector.close().await;
    let running = cluster.start().await;
    assert_eq!(cluster.counts_after(running).await, counts);
    // Published twice, as by a relay that lost an acknowledgement.
    let running = cluster.start().await;
    cluster.publish(&events).await;
    assert_eq!(cluster.counts_after(running).await, counts);
}

/// Every change of the members shares all partitions out anew, in the middle of batches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_join_and_leave_lose_and_double_nothing() {
    let rounds = if std::env::var_os("COMMERCE_TEST_LONG").is_some() { 40 } else { 4 };
    let cluster = Cluster::open().await;
    let events = mixed(300 * rounds);
    let small = |options: &mut commerce_collector::Options| options.consumer.batch_max = 10;
    let stays = cluster.start_with(small).await;
    for chunk in events.chunks(300) {
        let before = cluster.bus.rebalances().len();
        let comes = cluster.start_with(small).await;
        cluster.publish(chunk).await;
        // It leaves with what it was given.
        until("the group is shared out anew", async || cluster.bus.rebalances().len() > before + 1).await;
        comes.stop().await;
    }
    assert_eq!(cluster.counts_after(stays).await, recount(&events));
    // Nothing waits in a callback. The machine may be busy with other things at any one of them.
    let mut took = cluster.bus.rebalances();
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_millis(10), "{took:?}");
}

/// A store that stands still for as long as it is told to.
struct Stalls {
    store: SqlCollector,
    stalled: AtomicBool,
    goes_on: watch::Receiver<bool>,
}

#[async_trait]
impl MetricsStore for Stalls {
    async fn claim(&self, assignment: &Assignment, window: u32) -> Result<Claimed, StoreError> {
        self.store.claim(assignment, window).await
    }

    async fn open_letters(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, StoreError> {
        self.store.open_letters(topic, partition, offset).await
    }

    async fn collect(&self, batch: Batch) -> Result<Collected, StoreError> {
        self.stalled.store(true, Ordering::SeqCst);
        self.goes_on.clone().wait_for(|goes_on| *goes_on).await.unwrap();
        self.store.collect(batch).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stalls_past_the_poll_interval_costs_nothing() {
    let cluster = Cluster::open().await;
    // More than fits into the buffers, so that fetching pauses.
    let events = mixed(4_000);
    cluster.publish(&events).await;
    let collector = cluster.bench.collector().await;
    let (go_on, goes_on) = watch::channel(false);
    let store = Arc::new(Stalls {
        store: SqlCollector::new(collector.database.clone(), GROUP),
        stalled: AtomicBool::new(false),
        goes_on,
    });
    let state = ConsumerState::default();
    let consumer = Arc::new(Consumer {
        bus: Arc::new(cluster.bus.clone()),
        store: store.clone(),
        clock: cluster.bench.clock.clone(),
        zone: cluster.bench.options().zone,
        options: ConsumerOptions { batch_max: 50, ..cluster.bench.options().consumer },
        state: state.clone(),
        counted: watch::Sender::new(0),
    });
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(consumer.run(stopping));
    until("a batch is being counted", async || store.stalled.load(Ordering::SeqCst)).await;
    let given = cluster.bus.rebalances().len();
    let until_long_after = Instant::now() + Cluster::HANG_MAX * 2;
    until("the poll interval is over twice", async || Instant::now() >= until_long_after).await;
    assert_eq!(cluster.bus.rebalances().len(), given, "nothing was taken away");
    go_on.send_replace(true);
    let reader = cluster.start().await;
    let counts = cluster.counts_after(reader).await;
    stop.send_replace(true);
    task.await.unwrap();
    assert_eq!(counts, recount(&events));
    collector.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_was_forgotten_goes_on_from_the_offset_in_storage() {
    let cluster = Cluster::open().await;
    let events = mixed(400);
    cluster.publish(&events[..200]).await;
    let running = cluster.start().await;
    assert_eq!(cluster.counts_after(running).await, recount(&events[..200]));
    cluster.forget_group().await;
    // With the dedupe rows gone, a record that was read again would count twice.
    let collector = cluster.bench.collector().await;
    run(&collector.database, "DELETE FROM event_handled").await;
    collector.close().await;
    cluster.publish(&events[200..]).await;
    let running = cluster.start().await;
    let counts = cluster.counts_after(running).await;
    assert_eq!(counts, Counts { handled: 200, ..recount(&events) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_added_under_load_are_counted_from_their_first_record() {
    let cluster = Cluster::open().await;
    let events = mixed(1_200);
    let running = cluster.start().await;
    cluster.publish(&events[..400]).await;
    for topic in commerce_contracts::topics::ALL {
        cluster.add_partitions(topic, 6).await;
    }
    // Until the publisher knows of them; the collector may learn of them before or after.
    let mut rest = events[400..].chunks(20);
    until("something is published to a new partition", async || {
        if let Some(chunk) = rest.next() {
            cluster.publish(chunk).await;
        }
        let lags = commerce_bus::EventBus::lag(&cluster.bus, GROUP, commerce_contracts::topics::ALL).await;
        lags.unwrap().iter().any(|lag| lag.partition >= 3 && lag.end > 0)
    })
    .await;
    for chunk in rest {
        cluster.publish(chunk).await;
    }
    assert_eq!(cluster.counts_after(running).await, recount(&events));
}
