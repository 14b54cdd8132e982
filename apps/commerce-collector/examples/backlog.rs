//! Measures how fast a backlog is counted, exactly once and durably:
//! `cargo run --release -p commerce-collector --example backlog -- 200000 100` publishes so many views of 1,000 products
//! to a log in a temporary directory, counts them in batches of so many, and tells events a second and memory.

#![expect(clippy::print_stdout, reason = "its output is the figures")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus as _, Record, TopicSpec};
use commerce_collector::application::{Consumer, GROUP};
use commerce_collector::infrastructure::SqlCollector;
use commerce_collector::{Collector, ConsumerOptions, ConsumerState, Options};
use commerce_contracts::{time, topics};
use commerce_runtime::{BusinessZone, Clock as _, SystemClock, uuid_v7};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

const PRODUCTS: u32 = 1_000;
/// Records of one call that publishes.
const PUBLISHED_AT_ONCE: u32 = 5_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn view(number: u32) -> Record {
    let (id, product) = (uuid_v7(SystemClock.now_us()).to_string(), (number % PRODUCTS + 1).to_string());
    let envelope = json!({
        "eventId": id, "eventType": "ProductViewed", "version": 1, "aggregateType": "PRODUCT_VIEW",
        "aggregateId": product, "sequence": 0, "occurredAt": time::rfc3339(SystemClock.now_us()),
        "payload": { "productId": number % PRODUCTS + 1 },
    });
    Record {
        topic: topics::PRODUCT.to_owned(),
        key: product,
        headers: vec![("ce_id".to_owned(), Bytes::from(id))],
        value: Bytes::from(envelope.to_string()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let events: u32 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let batch_max: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let log =
        EmbeddedLog::open(EmbeddedOptions::new(dir.path().join("events.sqlite")), Arc::new(SystemClock))
            .await?;
    let wanted: Vec<_> =
        topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS }).collect();
    log.ensure_topics(&wanted).await?;
    let published_at = Instant::now();
    for first in (0..events).step_by(PUBLISHED_AT_ONCE as usize) {
        let records = (first..events.min(first + PUBLISHED_AT_ONCE)).map(view).collect();
        for published in log.producer().publish(records).await {
            published?;
        }
    }
    println!("published {:.0} events/s", f64::from(events) / published_at.elapsed().as_secs_f64());
    let options = Options::new(dir.path().join(Options::DATABASE_FILE));
    let collector = Collector::open(options, &SystemClock).await?;
    let consumer = Consumer {
        bus: Arc::new(log.clone()),
        store: Arc::new(SqlCollector::new(collector.database.clone(), GROUP)),
        clock: Arc::new(SystemClock),
        zone: BusinessZone::default(),
        options: ConsumerOptions { batch_max, ..ConsumerOptions::default() },
        state: ConsumerState::default(),
        counted: watch::Sender::new(0),
    };
    let (stop, stopped) = watch::channel(false);
    let counted_at = Instant::now();
    let running = tokio::spawn(Arc::new(consumer).run(stopped));
    while log.lag(GROUP, &[topics::PRODUCT]).await?.iter().map(|partition| partition.lag).sum::<i64>() > 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let rate = f64::from(events) / counted_at.elapsed().as_secs_f64();
    println!("counted {rate:.0} events/s in batches of {batch_max}");
    stop.send_replace(true);
    running.await?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    collector.close().await;
    log.close().await;
    Ok(())
}
