//! What only the embedded log does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_bus::{BusError, EmbeddedLog, EmbeddedOptions, EventBus, LogFile, LogReader as _};
use commerce_runtime::{Clock as _, ManualClock};
use tempfile::TempDir;

use crate::support::{
    Fixture, TOPIC, TOPICS, alone, by_key, numbered, one_batch, publish, read, record, soon,
};

/// A log in a directory of its own, on a clock of its own.
pub struct EmbeddedFixture {
    directory: TempDir,
    clock: Arc<ManualClock>,
}

impl EmbeddedFixture {
    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            durable: false,
            // Not by the session on a clock that stands still: by news, or by the test.
            heartbeat: Duration::from_millis(50),
            poll: Duration::from_millis(10),
            ..EmbeddedOptions::new(self.directory.path().join("events.sqlite"))
        }
    }

    async fn log(&self, options: EmbeddedOptions) -> EmbeddedLog {
        EmbeddedLog::open(options, self.clock.clone()).await.unwrap()
    }
}

#[async_trait]
impl Fixture for EmbeddedFixture {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(1_800_000_000_000_000));
        let fixture = Self { directory: tempfile::tempdir().unwrap(), clock };
        fixture.open().await.ensure_topics(&TOPICS).await.unwrap();
        fixture
    }

    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(self.log(self.options()).await)
    }

    async fn open_silent(&self) -> Arc<dyn EventBus> {
        Arc::new(self.log(EmbeddedOptions { heartbeat: Duration::from_hours(1), ..self.options() }).await)
    }

    fn expire_sessions(&self) {
        self.clock.advance(Duration::from_secs(6));
    }
}

#[tokio::test]
async fn offsets_are_dense() {
    let fixture = EmbeddedFixture::new().await;
    let bus = fixture.open().await;
    for batch in 0..3 {
        let at = publish(&bus, (0..4).map(|number| numbered("k", number)).collect()).await;
        assert_eq!(
            at.iter().map(|at| at.offset).collect::<Vec<_>>(),
            (batch * 4..batch * 4 + 4).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn records_past_their_time_go_in_steps_and_their_offsets_do_not_come_again() {
    let fixture = EmbeddedFixture::new().await;
    let log = fixture.log(fixture.options()).await;
    let bus: Arc<dyn EventBus> = Arc::new(log.clone());
    let (_member, mut readers) = alone(&bus, "g").await;
    // More than one step, and one partition of which nothing stays.
    let at = publish(&bus, (0..2_500).map(|number| numbered("a", number)).collect()).await;
    let partition = at[0].partition;
    assert_eq!(log.purge(fixture.clock.now_us()).await.unwrap(), 0);
    fixture.clock.advance(Duration::from_hours(7 * 24));
    let young = publish(&bus, vec![numbered("a", 2_500)]).await[0];
    assert_eq!(log.purge(fixture.clock.now_us()).await.unwrap(), 0, "it is kept for seven days");
    fixture.clock.advance(Duration::from_micros(1));
    assert_eq!(log.purge(fixture.clock.now_us()).await.unwrap(), 2_500);
    assert_eq!(bus.earliest(TOPIC, partition).await.unwrap(), young.offset);
    // Who was behind goes on with what is left.
    assert_eq!(by_key(&read(&mut readers, 1).await)["a"], [2_500]);
    fixture.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(log.purge(fixture.clock.now_us()).await.unwrap(), 1);
    assert_eq!(bus.earliest(TOPIC, partition).await.unwrap(), young.offset + 1);
    assert_eq!(publish(&bus, vec![numbered("a", 2_501)]).await[0].offset, young.offset + 1);
    let reader = readers.iter_mut().find(|reader| reader.assignment().partition == partition).unwrap();
    reader.seek(0).await.unwrap();
    assert_eq!(by_key(&one_batch(reader).await.unwrap())["a"], [2_501]);
}

#[tokio::test]
async fn whatever_waits_goes_into_few_transactions_of_few_statements() {
    let fixture = EmbeddedFixture::new().await;
    let log = fixture.log(fixture.options()).await;
    let bus: Arc<dyn EventBus> = Arc::new(log.clone());
    log.database().statements().reset();
    let calls = (0..200).map(|key| publish(&bus, vec![numbered(key, 0), numbered(key, 1)]));
    futures::future::join_all(calls).await;
    let statements = log.database().statements();
    let (transactions, count) = (statements.transactions("log_append"), statements.count("log_append"));
    assert!(transactions < 20, "{transactions} transactions for 200 calls");
    // Ends, rows, ends; whatever the size.
    assert_eq!(count, 3 * transactions);
}

#[tokio::test]
async fn a_call_that_is_too_large_for_one_transaction_takes_several() {
    let fixture = EmbeddedFixture::new().await;
    let options = EmbeddedOptions { batch_records_max: 10, batch_bytes_max: 1_000, ..fixture.options() };
    let bus: Arc<dyn EventBus> = Arc::new(fixture.log(options).await);
    let records = (0..95).map(|number| numbered("k", number)).collect::<Vec<_>>();
    assert_eq!(publish(&bus, records).await.len(), 95);
    publish(&bus, (0..4).map(|_| record("l", vec![b'1'; 900])).collect()).await;
    let (_member, mut readers) = alone(&bus, "g").await;
    let numbers = |records: &[_]| by_key(records).remove("k").unwrap_or_default();
    assert_eq!(
        numbers(&read(&mut readers, 99).await.into_iter().filter(|r| &*r.key == b"k").collect::<Vec<_>>()),
        (0..95).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_log_of_one_process_does_not_wait_for_members_that_died_with_the_one_before() {
    let fixture = EmbeddedFixture::new().await;
    let (silent, its) = {
        let bus = fixture.open_silent().await;
        alone(&bus, "g").await
    };
    let alone_on_it = EmbeddedOptions { alone: true, ..fixture.options() };
    let bus: Arc<dyn EventBus> = Arc::new(fixture.log(alone_on_it).await);
    // No time has passed, and all three are given at once.
    let (_member, readers) = alone(&bus, "g").await;
    assert!(readers.iter().zip(&its).all(|(now, then)| now.assignment().epoch > then.assignment().epoch));
    drop(silent);
}

#[tokio::test]
async fn a_closed_log_says_so_and_has_written_what_waited() {
    let fixture = EmbeddedFixture::new().await;
    let log = fixture.log(fixture.options()).await;
    let bus: Arc<dyn EventBus> = Arc::new(log.clone());
    let (member, mut readers) = alone(&bus, "g").await;
    let publishing = futures::future::join_all((0..50).map(|key| publish(&bus, vec![numbered(key, key)])));
    let (published, ()) = tokio::join!(publishing, log.close());
    assert_eq!(published.len(), 50);
    let outcomes = soon(bus.producer().publish(vec![numbered("k", 0)])).await;
    assert!(matches!(outcomes[0], Err(BusError::Closed)), "{outcomes:?}");
    assert!(matches!(bus.join("g", &[TOPIC]).await, Err(BusError::Closed)));
    assert!(matches!(readers[0].commit(1).await, Err(BusError::Closed)));
    drop(member);
    let again = fixture.open().await;
    let (_member, mut readers) = alone(&again, "h").await;
    assert_eq!(read(&mut readers, 50).await.len(), 50);
}

#[tokio::test]
async fn the_ends_can_be_read_beside_whoever_writes() {
    let fixture = EmbeddedFixture::new().await;
    let bus = fixture.open().await;
    let at = publish(&bus, (0..3).map(|number| numbered("k", number)).collect()).await[0];
    let ends = EmbeddedLog::ends_of(&fixture.options().path).await.unwrap();
    assert_eq!(ends.len(), 5);
    let grown: Vec<_> = ends.iter().filter(|end| end.end > 0).collect();
    assert_eq!((grown.len(), grown[0].partition, grown[0].end), (1, at.partition, 3));
    assert!(EmbeddedLog::ends_of(&fixture.directory.path().join("absent")).await.unwrap().is_empty());
    assert!(!fixture.directory.path().join("absent").exists());
}

#[tokio::test]
async fn the_file_is_read_outside_of_any_group_and_says_how_far_back_it_reaches() {
    let fixture = EmbeddedFixture::new().await;
    let log = fixture.log(fixture.options()).await;
    let bus: Arc<dyn EventBus> = Arc::new(log.clone());
    let retention = Duration::from_hours(24);
    let path = fixture.options().path;
    let file = LogFile::open(&path, retention, fixture.clock.clone()).await.unwrap().unwrap();
    publish(&bus, (0..5).map(|number| numbered("k", number)).collect()).await;
    let of_key = async || {
        let reaches = file.reaches(&[TOPIC]).await.unwrap();
        assert_eq!(reaches.len(), 3);
        reaches.into_iter().find(|reach| reach.end > 0).unwrap()
    };
    let whole = of_key().await;
    let first = fixture.clock.now_us();
    assert_eq!((whole.earliest, whole.end, whole.first_kept_at_us), (0, 5, Some(first)));
    assert_eq!(whole.complete_since_us, None, "nothing was ever deleted");
    let read = file.read(TOPIC, whole.partition, 2, 2).await.unwrap();
    assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), [2, 3]);
    assert!(file.read(TOPIC, whole.partition, 5, 2).await.unwrap().is_empty());

    fixture.clock.advance(Duration::from_hours(8 * 24));
    publish(&bus, vec![numbered("k", 5)]).await;
    log.purge(fixture.clock.now_us()).await.unwrap();
    let purged = of_key().await;
    assert_eq!((purged.earliest, purged.end), (5, 6));
    // Whatever is younger than the retention is there.
    assert_eq!(purged.complete_since_us, Some(fixture.clock.now_us() - 24 * 3_600_000_000));
    assert!(
        LogFile::open(&path.with_extension("none"), retention, fixture.clock.clone())
            .await
            .unwrap()
            .is_none()
    );
}
