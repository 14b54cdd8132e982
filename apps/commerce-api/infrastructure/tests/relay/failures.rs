//! The bus or storage fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AcknowledgedRow, HeldShard, OutboxDepth, OutboxRow, OutboxStore, RelayOptions, StorageError, Stream,
};
use commerce_bus::{EventBus as _, TopicSpec};

use crate::support::{Rig, Unsteady, drain, soon};

#[tokio::test]
async fn a_bus_that_is_down_for_long_gets_everything_in_order_when_it_is_back() {
    let rig = Rig::new().await;
    let bus = Unsteady::new(rig.publisher());
    let mut relay =
        rig.relay_with(rig.outbox(), bus.clone(), RelayOptions { batch_max: 10, ..RelayOptions::DEFAULT });
    bus.down.store(true, Ordering::SeqCst);
    for minute in 0..10 {
        for key in ["a", "b", "c"] {
            rig.add(key, 2 * minute + 1).await;
            rig.add(key, 2 * minute + 2).await;
        }
        let pass = soon(relay.step()).await.unwrap();
        assert_eq!((pass.published, pass.failed), (0, pass.read));
        rig.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(rig.waiting().await, 60, "nothing is given up");
    bus.down.store(false, Ordering::SeqCst);
    assert_eq!(drain(&mut relay).await, 60);
    for (key, sequences) in rig.sequences().await {
        assert_eq!(sequences, (1..=20).collect::<Vec<_>>(), "{key}");
    }
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test]
async fn a_bus_that_fails_in_the_middle_of_a_batch_keeps_the_order() {
    let rig = Rig::new().await;
    let bus = Unsteady::new(rig.publisher());
    let mut relay = rig.relay_with(rig.outbox(), bus.clone(), RelayOptions::DEFAULT);
    for sequence in 1..=5 {
        rig.add("a", sequence).await;
        rig.add("b", sequence).await;
    }
    bus.takes.store(3, Ordering::SeqCst);
    let pass = soon(relay.step()).await.unwrap();
    assert_eq!((pass.published, pass.failed), (3, 7));
    bus.takes.store(-1, Ordering::SeqCst);
    rig.clock.advance(Duration::from_secs(1));
    drain(&mut relay).await;
    for (key, sequences) in rig.sequences().await {
        assert_eq!(sequences, [1, 2, 3, 4, 5], "{key}");
    }
}

#[tokio::test]
async fn an_event_that_is_refused_holds_back_its_aggregate_and_nobody_else() {
    let rig = Rig::new().await;
    let mut relay = rig.relay_with(
        rig.outbox(),
        rig.publisher(),
        RelayOptions { batch_max: 4, refused_pause: Duration::from_mins(1), ..RelayOptions::DEFAULT },
    );
    // The head of the outbox is full of them: more aggregates, and more events of each, than a batch has room for.
    for poisoned in ["x", "y", "z"] {
        rig.add(poisoned, 1).await;
        rig.add_row(None, "product.like", poisoned, 2, &" ".repeat(10_000)).await;
        for sequence in 3..=6 {
            rig.add(poisoned, sequence).await;
        }
    }
    for sequence in 1..=3 {
        rig.add("a", sequence).await;
        rig.add("b", sequence).await;
    }
    assert_eq!(drain(&mut relay).await, 3 + 6);
    let sequences = rig.sequences().await;
    for key in ["a", "b"] {
        assert_eq!(sequences[key], [1, 2, 3]);
    }
    for poisoned in ["x", "y", "z"] {
        assert_eq!(sequences[poisoned], [1], "what is behind the refused event waits");
    }
    assert_eq!(rig.waiting().await, 15, "and is kept");
    // It is tried again after its pause, and flows once somebody mended it.
    rig.add("a", 4).await;
    assert_eq!(drain(&mut relay).await, 1);
    rig.execute("UPDATE outbox SET payload = trim(payload)", []).await;
    assert_eq!(drain(&mut relay).await, 0, "not before its time");
    rig.clock.advance(Duration::from_mins(1));
    assert_eq!(drain(&mut relay).await, 15);
    for (key, sequences) in rig.sequences().await {
        assert!(
            sequences.iter().copied().eq(1..=i64::try_from(sequences.len()).unwrap()),
            "{key}: {sequences:?}"
        );
    }
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test]
async fn a_topic_or_headers_that_the_bus_cannot_take_are_refused_and_kept() {
    let rig = Rig::new().await;
    let mut relay = rig.relay();
    rig.add_row(None, "nowhere", "a", 1, "").await;
    rig.add("b", 1).await;
    rig.execute("UPDATE outbox SET headers = '[]' WHERE aggregate_id = 'b'", []).await;
    rig.add("b", 2).await;
    rig.add("c", 1).await;
    assert_eq!(drain(&mut relay).await, 1);
    assert_eq!(rig.waiting().await, 3);
    rig.log.ensure_topics(&[TopicSpec { name: "nowhere", partitions: 1 }]).await.unwrap();
    rig.execute("UPDATE outbox SET headers = '{}'", []).await;
    rig.clock.advance(Duration::from_mins(1));
    assert_eq!(drain(&mut relay).await, 3);
    assert_eq!(rig.sequences().await["b"], [1, 2]);
}

/// An outbox that does not delete the first so many times it is asked to.
struct Reluctant {
    inner: Arc<dyn OutboxStore>,
    refusals: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl OutboxStore for Reluctant {
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        self.inner.first(shards, held_back, limit).await
    }

    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError> {
        if self.refusals.load(Ordering::SeqCst) > 0 {
            self.refusals.fetch_sub(1, Ordering::SeqCst);
            return Err(StorageError::Unavailable("disk".into()));
        }
        self.inner.delete(held, rows).await
    }

    async fn depth(&self) -> Result<OutboxDepth, StorageError> {
        self.inner.depth().await
    }
}

#[tokio::test]
async fn what_could_not_be_deleted_is_deleted_before_anything_is_published_again() {
    let rig = Rig::new().await;
    let outbox = Arc::new(Reluctant { inner: rig.outbox(), refusals: 3.into() });
    let mut relay = rig.relay_with(outbox, rig.publisher(), RelayOptions::DEFAULT);
    rig.add("a", 1).await;
    for _ in 0..3 {
        assert!(soon(relay.step()).await.is_err());
    }
    rig.add("a", 2).await;
    assert_eq!(drain(&mut relay).await, 1);
    assert_eq!(rig.sequences().await["a"], [1, 2], "without a duplicate");
    assert_eq!(rig.waiting().await, 0);
}
