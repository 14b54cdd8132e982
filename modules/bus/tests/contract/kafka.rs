//! What only the bus on a Kafka cluster does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_bus::{BusError, EventBus, KafkaBus, KafkaOptions, LogReader as _, Record, TopicSpec};
use commerce_runtime::SystemClock;
use commerce_servers::{Cache, ServerKind, shared};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::{Fixture, TOPIC, TOPICS, alone, by_key, numbered, publish, record, soon};

/// Topics and groups with names of their own on the cluster that all tests share.
pub struct KafkaFixture {
    prefix: String,
    silent: Mutex<Vec<KafkaBus>>,
}

impl KafkaFixture {
    pub fn options(&self) -> KafkaOptions {
        let brokers = tokio::task::block_in_place(|| shared(ServerKind::Kafka)).address();
        KafkaOptions {
            prefix: self.prefix.clone(),
            session: Duration::from_millis(1_500),
            hang_max: Duration::from_millis(1_500),
            refresh: Duration::from_millis(200),
            ..KafkaOptions::new(brokers)
        }
    }

    /// Deletes the records of a partition of [`TOPIC`] before `offset`.
    async fn delete_before(&self, partition: i32, offset: i64) {
        let brokers = self.options().brokers;
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        let mut before = TopicPartitionList::new();
        let topic = format!("{}{TOPIC}", self.prefix);
        before.add_partition_offset(&topic, partition, Offset::Offset(offset)).unwrap();
        admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    }

    pub async fn bus(&self) -> KafkaBus {
        KafkaBus::open(self.options(), Arc::new(SystemClock)).await.unwrap()
    }
}

#[async_trait]
impl Fixture for KafkaFixture {
    async fn new() -> Self {
        let mut random = [0; 8];
        commerce_runtime::fill_random(&mut random);
        let prefix = format!("t{:016x}-", u64::from_le_bytes(random));
        let fixture = Self { prefix, silent: Mutex::default() };
        fixture.bus().await.ensure_topics(&TOPICS).await.unwrap();
        fixture
    }

    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(self.bus().await)
    }

    async fn open_silent(&self) -> Arc<dyn EventBus> {
        let bus = self.bus().await;
        self.silent.lock().unwrap().push(bus.clone());
        Arc::new(bus)
    }

    /// The time passes by itself: the brokers have no clock of ours.
    fn expire_sessions(&self) {
        for bus in self.silent.lock().unwrap().iter() {
            bus.hang();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_is_named() {
    let listener = commerce_servers::free_listener().unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let options = KafkaOptions {
        request_timeout: Duration::from_millis(500),
        publish_timeout: Duration::from_millis(500),
        ..KafkaOptions::new(&address)
    };
    let bus = KafkaBus::open(options, Arc::new(SystemClock)).await.unwrap();
    let told = |error: BusError| {
        let BusError::Unavailable(why) = error else { panic!("{error:?}") };
        assert!(why.to_string().contains(&address), "{why}");
        assert!(why.to_string().contains("kafka.brokers"), "{why}");
    };
    told(soon(bus.ensure_topics(&TOPICS)).await.unwrap_err());
    told(soon(bus.join("g", &[TOPIC])).await.err().unwrap());
    told(soon(bus.lag("g", &[TOPIC])).await.unwrap_err());
    told(soon(bus.answers()).await.unwrap_err());
    let outcomes = soon(bus.producer().publish(vec![numbered("k", 0), numbered("k", 1)])).await;
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(BusError::Unavailable(_)))), "{outcomes:?}");
}

/// What is said to an offset that comes in the middle of a rebalance does not stop a reader; the group learns of it
/// afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_refused_in_a_rebalance_are_taken_after_it() {
    let fixture = KafkaFixture::new().await;
    let kafka = fixture.bus().await;
    let bus: Arc<dyn EventBus> = Arc::new(kafka.clone());
    let at = publish(&bus, (0..60).map(|number| numbered("k", number)).collect()).await[0];
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == at.partition).unwrap();
    let mut numbers = Vec::new();
    for refusal in [
        RDKafkaErrorCode::State,
        RDKafkaErrorCode::IllegalGeneration,
        RDKafkaErrorCode::RebalanceInProgress,
        RDKafkaErrorCode::UnknownMemberId,
        RDKafkaErrorCode::State,
        RDKafkaErrorCode::CoordinatorNotAvailable,
    ] {
        let records = soon(reader.fetch(10, Duration::from_hours(1))).await.unwrap();
        numbers.extend(by_key(&records).into_values().flatten());
        kafka.refuse_commits([refusal]);
        soon(reader.commit(records[9].offset + 1)).await.unwrap();
    }
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    assert_eq!(reader.committed().await.unwrap(), Some(60));
    soon(async {
        while bus.lag("g", &[TOPIC]).await.unwrap().iter().any(|lag| lag.lag > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What is wrong with the offset itself is told.
    kafka.refuse_commits([RDKafkaErrorCode::GroupAuthorizationFailed]);
    assert!(matches!(soon(reader.commit(60)).await, Err(BusError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_read_outside_of_any_group_and_says_how_far_back_it_reaches() {
    let fixture = KafkaFixture::new().await;
    let kafka = fixture.bus().await;
    let bus: Arc<dyn EventBus> = Arc::new(kafka.clone());
    let at = publish(&bus, (0..25).map(|number| numbered("k", number)).collect()).await[0];
    let reaches = kafka.reaches(&[TOPIC]).await.unwrap();
    assert_eq!(reaches.len(), 3);
    let reach = reaches.into_iter().find(|reach| reach.end > 0).unwrap();
    assert_eq!((reach.partition, reach.earliest, reach.end), (at.partition, 0, 25));
    assert!(reach.first_kept_at_us.is_some());
    assert_eq!(reach.complete_since_us, None, "nothing was ever deleted");
    let mut numbers = Vec::new();
    for (from, max) in [(0, 10), (10, 10), (20, 10), (7, 3), (25, 5), (24, 5)] {
        let records = kafka.read(TOPIC, at.partition, from, max).await.unwrap();
        numbers.push(records.iter().map(|record| record.offset).collect::<Vec<_>>());
    }
    let all = |range: std::ops::Range<i64>| range.collect::<Vec<_>>();
    assert_eq!(numbers, [all(0..10), all(10..20), all(20..25), all(7..10), vec![], all(24..25)]);
    assert!(matches!(kafka.read("nowhere", 0, 0, 1).await, Err(BusError::Refused(_))));
    // Deleted from the front, as retention does.
    fixture.delete_before(at.partition, 5).await;
    let reaches = kafka.reaches(&[TOPIC]).await.unwrap();
    let reach = reaches.into_iter().find(|reach| reach.partition == at.partition).unwrap();
    assert_eq!((reach.earliest, reach.end), (5, 25));
    assert!(reach.complete_since_us > reach.first_kept_at_us);
    let records = kafka.read(TOPIC, at.partition, 0, 2).await.unwrap();
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_bus_says_so_and_has_published_what_waited() {
    let fixture = KafkaFixture::new().await;
    let kafka = fixture.bus().await;
    let bus: Arc<dyn EventBus> = Arc::new(kafka.clone());
    publish(&bus, vec![numbered("k", 0)]).await;
    let publishing = futures::future::join_all((1..50).map(|key| publish(&bus, vec![numbered("k", key)])));
    let ((), published) = tokio::join!(
        async {
            tokio::task::yield_now().await;
        },
        publishing
    );
    assert_eq!(published.len(), 49);
    kafka.close().await;
    let outcomes = soon(bus.producer().publish(vec![numbered("k", 0)])).await;
    assert!(matches!(outcomes[0], Err(BusError::Closed)), "{outcomes:?}");
    assert!(matches!(bus.join("g", &[TOPIC]).await, Err(BusError::Closed)));
    assert!(matches!(bus.lag("g", &[TOPIC]).await, Err(BusError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_as_they_are_configured_by_several_nodes_at_once() {
    let fixture = KafkaFixture::new().await;
    let options = KafkaOptions { partitions: Some(4), ..fixture.options() };
    let wanted = [TopicSpec { name: "made", partitions: 1 }];
    let nodes = (0..4).map(|_| async {
        let bus = KafkaBus::open(options.clone(), Arc::new(SystemClock)).await.unwrap();
        bus.ensure_topics(&wanted).await.unwrap();
    });
    futures::future::join_all(nodes).await;
    let topics = fixture.bus().await.topics().await.unwrap();
    let made = topics.iter().find(|topic| topic.name == "made").unwrap();
    assert_eq!(made.partitions, [(0, 1), (1, 1), (2, 1), (3, 1)]);
    let many = KafkaOptions { replication: 3, ..fixture.options() };
    let bus = KafkaBus::open(many, Arc::new(SystemClock)).await.unwrap();
    let refused = bus.ensure_topics(&[TopicSpec { name: "more", partitions: 1 }]).await.unwrap_err();
    let BusError::Refused(why) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("more"), "{why}");
}

/// Kafka's own program reads what we publish: the value as it is, and the headers.
#[tokio::test(flavor = "multi_thread")]
async fn kafkas_console_consumer_prints_the_headers_of_cloud_events() {
    let fixture = KafkaFixture::new().await;
    let bus: Arc<dyn EventBus> = Arc::new(fixture.bus().await);
    let value = r#"{"eventId":"018f","eventType":"OrderPaid","version":1}"#;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "018f"),
        ("ce_source", "/commerce-api"),
        ("ce_type", "OrderPaid"),
        ("ce_subject", "ORDER/7"),
        ("traceparent", trace),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
    let record = Record { headers: headers.to_vec(), ..record("7", value) };
    publish(&bus, vec![record]).await;
    let jars = Cache::of_the_user().unwrap().root().join("kafka-4.1.0/lib/*");
    let mut command = tokio::process::Command::new("java");
    command
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(jars)
        .args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server"])
        .arg(fixture.options().brokers)
        .args(["--topic", &format!("{}{TOPIC}", fixture.prefix), "--from-beginning", "--max-messages", "1"])
        .args(["--timeout-ms", "30000", "--property", "print.headers=true"])
        .args(["--property", "print.key=true"])
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "ce_specversion:1.0,ce_id:018f,ce_source:/commerce-api,ce_type:OrderPaid,ce_subject:ORDER/7,\
         traceparent:{trace}\t7\t{value}"
    );
    assert!(
        printed.lines().any(|line| line == expected),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_in_a_rebalance() {
    let fixture = KafkaFixture::new().await;
    let kafka = fixture.bus().await;
    let bus: Arc<dyn EventBus> = Arc::new(kafka.clone());
    // Nobody reads what they are given.
    let (_stays, _readers) = alone(&bus, "g").await;
    for _ in 0..4 {
        let before = kafka.rebalances().len();
        let mut comes = soon(bus.join("g", &[TOPIC])).await.unwrap();
        let _given = soon(comes.assigned()).await.unwrap();
        soon(comes.leave()).await.unwrap();
        soon(async {
            // Taken from one, given to the other, taken from it, and given back.
            while kafka.rebalances().len() < before + 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    // The machine may be busy with other things at any one of them.
    let mut took = kafka.rebalances();
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_millis(10), "{took:?}");
}

/// Whoever reads may stand still for as long as it likes; what polls does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_keeps_its_partition() {
    let fixture = KafkaFixture::new().await;
    let options = KafkaOptions { buffer_records: 10, ..fixture.options() };
    let hang_max = options.hang_max;
    let kafka = KafkaBus::open(options, Arc::new(SystemClock)).await.unwrap();
    let bus: Arc<dyn EventBus> = Arc::new(kafka.clone());
    let at = publish(&bus, (0..200).map(|number| numbered("k", number)).collect()).await[0];
    let (_member, mut readers) = alone(&bus, "g").await;
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == at.partition).unwrap();
    let mut records = soon(reader.fetch(5, Duration::from_hours(1))).await.unwrap();
    let given = kafka.rebalances().len();
    // tidy: sleep the time that passes is the subject
    tokio::time::sleep(hang_max * 2).await;
    while records.len() < 200 {
        records.extend(soon(reader.fetch(5, Duration::from_hours(1))).await.unwrap());
    }
    assert_eq!(by_key(&records)["k"], (0..200).collect::<Vec<_>>());
    assert_eq!(kafka.rebalances().len(), given);
}
