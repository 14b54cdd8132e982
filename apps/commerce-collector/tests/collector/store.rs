//! The transaction of a batch.

use std::sync::Arc;

use bytes::Bytes;
use chrono::NaiveDate;
use commerce_bus::{Assignment, Received};
use commerce_collector::application::GROUP;
use commerce_collector::application::ports::{
    Batch, CountedEvent, Item, MetricsStore as _, StoreError, Verdict,
};
use commerce_collector::infrastructure::SqlCollector;
use commerce_collector_domain::{Delta, Metrics};
use uuid::Uuid;

use crate::support::events::mixed;
use crate::support::{Bench, Counts, number};

fn today() -> NaiveDate {
    "2027-01-15".parse().unwrap()
}

fn assignment(epoch: i64) -> Assignment {
    Assignment { topic: "product".to_owned(), partition: 0, epoch }
}

/// Views of products, as many as there are event ids.
fn batch(epoch: i64, token: i64, ids: impl IntoIterator<Item = u128>) -> Batch {
    let item = |(offset, id): (usize, u128)| Item {
        record: Received {
            topic: "product".to_owned(),
            partition: 0,
            offset: i64::try_from(offset).unwrap(),
            key: Bytes::new(),
            headers: Vec::new(),
            value: Bytes::new(),
            kept_at_us: 0,
        },
        verdict: Verdict::Count(CountedEvent {
            id: Uuid::from_u128(id),
            event_type: "ProductViewed",
            aggregate_type: "PRODUCT_VIEW",
            aggregate_id: "3".to_owned(),
            sequence: 0,
            deltas: vec![Delta {
                day: today(),
                product: i64::try_from(id % 1_000).unwrap() + 1,
                metrics: Metrics::VIEW,
            }],
        }),
    };
    let items: Arc<[Item]> = ids.into_iter().enumerate().map(item).collect();
    let range = 0..items.len();
    let next = i64::try_from(items.len()).unwrap();
    Batch { assignment: assignment(epoch), items, range, next, at_us: 0, today: today(), token }
}

#[tokio::test]
async fn a_zombie_with_an_old_epoch_writes_nothing() {
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    store.claim(&assignment(1), 1_000).await.unwrap();
    store.collect(batch(1, 1, 0..5)).await.unwrap();
    // The bus has forgotten the group and numbers anew.
    let claimed = store.claim(&assignment(1), 1_000).await.unwrap();
    assert_eq!((claimed.epoch, claimed.next), (2, Some(5)));
    let before = Counts::read(&collector.database).await;
    let zombie = store.collect(batch(1, 2, 5..10)).await;
    assert!(matches!(zombie, Err(StoreError::Fenced)), "{zombie:?}");
    assert_eq!(Counts::read(&collector.database).await, before);
    assert_eq!(number(&collector.database, "SELECT next_offset FROM consumer_offsets").await, 5);
    assert_eq!(store.collect(batch(2, 3, 5..10)).await.unwrap().counted, 5);
    collector.close().await;
}

#[tokio::test]
async fn who_never_claimed_a_partition_cannot_write() {
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    assert!(matches!(store.collect(batch(9, 1, 0..5)).await, Err(StoreError::Fenced)));
    assert_eq!(Counts::read(&collector.database).await, Counts::default());
    collector.close().await;
}

#[tokio::test]
async fn two_stores_that_have_the_same_event_at_the_same_instant_count_it_once() {
    let bench = Bench::open().await;
    let collectors = [bench.collector().await, bench.collector().await];
    let stores = collectors.each_ref().map(|c| SqlCollector::new(c.database.clone(), GROUP));
    stores[0].claim(&assignment(1), 1_000).await.unwrap();
    for round in 0..20_u128 {
        let ids = || round * 50..round * 50 + 50;
        let (left, right) =
            tokio::join!(stores[0].collect(batch(1, 1, ids())), stores[1].collect(batch(1, 2, ids())));
        let (left, right) = (left.unwrap(), right.unwrap());
        assert_eq!((left.counted + right.counted, left.duplicates + right.duplicates), (50, 50));
    }
    assert_eq!(
        number(&collectors[0].database, "SELECT CAST(SUM(views) AS SIGNED) FROM product_metrics").await,
        1_000
    );
    for collector in collectors {
        collector.close().await;
    }
}

#[tokio::test]
async fn a_batch_partly_counted_before_counts_the_rest() {
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    store.claim(&assignment(1), 1_000).await.unwrap();
    store.collect(batch(1, 1, [1, 3, 5])).await.unwrap();
    // Number 7 stands twice in it.
    let collected = store.collect(batch(1, 2, [1, 2, 3, 4, 5, 6, 7, 7])).await.unwrap();
    assert_eq!((collected.counted, collected.duplicates), (4, 4));
    assert_eq!(
        number(&collector.database, "SELECT CAST(SUM(views) AS SIGNED) FROM product_metrics").await,
        7
    );
    collector.close().await;
}

#[tokio::test]
async fn a_batch_takes_the_same_number_of_statements_whatever_its_size() {
    let bench = Bench::open().await;
    let collector = bench.collector().await;
    let store = SqlCollector::new(collector.database.clone(), GROUP);
    store.claim(&assignment(1), 1_000).await.unwrap();
    let statements = collector.database.statements();
    let mut first = 0;
    for size in [1, 10, 100, 2_000_u128] {
        statements.reset();
        store.collect(batch(1, 1, first..first + size)).await.unwrap();
        // Offset and fence, dedupe rows, totals, days, periods, and those that have today in their sums already; a server
        // does not tell how many rows were new.
        let count = if bench.on_server().is_some() { 7 } else { 6 };
        assert_eq!((statements.count("collect"), statements.transactions("collect")), (count, 1), "{size}");
        statements.reset();
        store.collect(batch(1, 2, first..first + size)).await.unwrap();
        // Offset and fence, dedupe rows, and which of them are ours.
        assert_eq!(statements.count("collect"), 3, "{size} again");
        first += size;
    }
    collector.close().await;
}

#[tokio::test]
async fn what_comes_late_marks_its_week_and_month_as_well() {
    let bench = Bench::open().await;
    bench.publish(&mixed(100)).await;
    let running = bench.start().await;
    bench.counts_after(running).await;
    let collector = bench.collector().await;
    let changed = |period: &'static str| {
        let database = collector.database.clone();
        async move {
            let sql =
                ["SELECT COUNT(*) FROM business_periods WHERE changed > applied AND period = '", period, "'"];
            number(&database, &sql.concat()).await
        }
    };
    // Days are ranked, and therefore clean; weeks and months wait for their jobs.
    for (period, dirty) in
        [("D20270115", 0), ("D20270113", 0), ("W202702", 1), ("M202701", 1), ("W202701", 0)]
    {
        assert_eq!(changed(period).await, dirty, "{period}");
    }
    collector.close().await;
}
