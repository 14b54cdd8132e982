//! A Kafka cluster in the place of the log.

use std::sync::Arc;
use std::time::Duration;

use commerce_bus::{EventBus as _, KafkaBus, KafkaOptions, Record, TopicSpec};
use commerce_collector::application::{GROUP, LagWatch};
use commerce_collector::infrastructure::SqlCollector;
use commerce_collector::{Options, Running};
use commerce_contracts::topics;
use commerce_runtime::{SystemClock, fill_random};
use commerce_servers::{ServerKind, shared};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

use super::{Bench, Counts, Event, until};

/// Topics and a group of its own on the cluster that all tests share, and a directory for the collector's database.
pub struct Cluster {
    pub bench: Bench,
    pub bus: KafkaBus,
    brokers: &'static str,
    prefix: String,
}

impl Cluster {
    /// Members are believed dead soon: `hang_max` 1.5 s.
    pub const HANG_MAX: Duration = Duration::from_millis(1_500);

    pub async fn open() -> Self {
        let mut random = [0; 8];
        fill_random(&mut random);
        let brokers = tokio::task::block_in_place(|| shared(ServerKind::Kafka)).address();
        let prefix = format!("c{:016x}-", u64::from_le_bytes(random));
        let options = KafkaOptions {
            prefix: prefix.clone(),
            session: Self::HANG_MAX,
            hang_max: Self::HANG_MAX,
            refresh: Duration::from_millis(200),
            buffer_records: 200,
            ..KafkaOptions::new(brokers)
        };
        let bus = KafkaBus::open(options, Arc::new(SystemClock)).await.unwrap();
        let wanted: Vec<_> =
            topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS }).collect();
        bus.ensure_topics(&wanted).await.unwrap();
        Self { bench: Bench::open().await, bus, brokers, prefix }
    }

    pub async fn start(&self) -> Running {
        self.start_with(|_| {}).await
    }

    pub async fn start_with(&self, change: impl FnOnce(&mut Options)) -> Running {
        let mut options = self.bench.options();
        change(&mut options);
        self.bench.start_on(Arc::new(self.bus.clone()), options).await
    }

    pub async fn publish(&self, events: &[Event]) {
        self.publish_records(events.iter().map(Event::record).collect()).await;
    }

    pub async fn publish_bytes(&self, topic: &str, value: &'static [u8]) {
        let (topic, key) = (topic.to_owned(), "k".to_owned());
        self.publish_records(vec![Record { topic, key, headers: Vec::new(), value: value.into() }]).await;
    }

    async fn publish_records(&self, records: Vec<Record>) {
        for result in self.bus.producer().publish(records).await {
            result.unwrap();
        }
    }

    /// What was counted, once the running collector is through and has stopped.
    pub async fn counts_after(&self, running: Running) -> Counts {
        let reader = self.bench.collector().await;
        let store = Arc::new(SqlCollector::new(reader.database.clone(), GROUP));
        let lag = LagWatch::new(Arc::new(self.bus.clone()), store);
        until("everything is counted", async || {
            lag.progress().await.unwrap().iter().all(|partition| partition.lag == 0)
        })
        .await;
        running.stop().await;
        let counts = Counts::read(&reader.database).await;
        reader.close().await;
        counts
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.brokers).create().unwrap()
    }

    /// The group is forgotten, with its offsets, as a broker does seven days after its last member left.
    pub async fn forget_group(&self) {
        let group = format!("{}{GROUP}", self.prefix);
        let deleted = self.admin().delete_groups(&[&group], &AdminOptions::new()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    pub async fn add_partitions(&self, topic: &str, partitions: usize) {
        let topic = format!("{}{topic}", self.prefix);
        let more = [NewPartitions::new(&topic, partitions)];
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
        let added = self.admin().create_partitions(&more, &options).await.unwrap();
        assert!(added.iter().all(Result::is_ok), "{added:?}");
    }
}
