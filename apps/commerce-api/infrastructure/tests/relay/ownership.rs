//! Several relays on one outbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use commerce_api_application::ports::{
    AcknowledgedRow, EventPublisher as _, HeldShard, LeaseStore as _, LeaseTaking, OutboxStore, RelayOptions,
};
use commerce_api_infrastructure::sql::{SqlLeases, SqlOutbox};

use crate::support::{Halting, NOW, Rig, Unsteady, by_key, deduped, drain, soon};

const LEASE: Duration = Duration::from_secs(10);

fn options() -> RelayOptions {
    RelayOptions { lease: LEASE, ..RelayOptions::DEFAULT }
}

#[tokio::test]
async fn only_the_holder_of_a_shard_publishes_it() {
    let rig = Rig::new().await;
    let (mut first, mut second) = (rig.relay(), rig.relay());
    soon(first.step()).await.unwrap();
    for key in 0..40 {
        rig.add(&key.to_string(), 1).await;
    }
    assert_eq!(drain(&mut second).await, 0, "all shards are held");
    assert_eq!(drain(&mut first).await, 40);
    assert_eq!(rig.published().await.len(), 40);
}

#[tokio::test]
async fn a_relay_that_loses_its_lease_in_the_middle_of_a_batch_deletes_nothing() {
    let rig = Rig::new().await;
    for sequence in 1..=3 {
        rig.add("a", sequence).await;
        rig.add("b", sequence).await;
    }
    let outbox = Halting::new(rig.outbox());
    let mut zombie = rig.relay_with(outbox.clone(), rig.publisher(), options());
    let bus = Unsteady::new(rig.publisher());
    bus.down.store(true, Ordering::SeqCst);
    let second_node = Arc::new(SqlOutbox::new(rig.second_node().await));
    let mut next = rig.relay_with(second_node, bus.clone(), options());
    let (pass, ()) = tokio::join!(soon(zombie.step()), async {
        soon(outbox.reached.notified()).await;
        // It has published, and stood still for longer than its lease.
        rig.clock.advance(LEASE);
        assert_eq!(soon(next.step()).await.unwrap().failed, 6, "the next one has the shards now");
        outbox.go_on.notify_one();
    });
    assert_eq!(pass.unwrap().published, 6);
    assert_eq!(rig.waiting().await, 6, "only the new owner may take them away");
    assert_eq!(soon(zombie.step()).await.unwrap().read, 0, "it knows now");
    bus.down.store(false, Ordering::SeqCst);
    rig.add("a", 4).await;
    assert_eq!(drain(&mut next).await, 7);
    let published = rig.published().await;
    assert_eq!(published.len(), 13, "six of them twice");
    let sequences = by_key(&deduped(&published));
    assert_eq!((&sequences["a"], &sequences["b"]), (&vec![1, 2, 3, 4], &vec![1, 2, 3]));
}

#[tokio::test]
async fn the_fence_refuses_a_deletion_also_where_the_rows_are_still_there() {
    let rig = Rig::new().await;
    rig.add("a", 1).await;
    let (outbox, leases) = (rig.outbox(), SqlLeases::new(rig.db.clone()));
    let all: Vec<i16> = (0..16).collect();
    let row = outbox.first(&all, &[], 1).await.unwrap().remove(0);
    let acknowledged = AcknowledgedRow { id: row.id, event_id: row.record.event_id, shard: row.shard };
    assert!(rig.publisher().publish(vec![row.record]).await[0].is_ok());
    let held = HeldShard { shard: row.shard, lease: "relay:1", fence: 1 };
    let take = |owner: u128| {
        let owner = uuid::Uuid::from_u128(owner);
        leases.acquire_all(&["relay:1"], owner, NOW, LEASE, LeaseTaking::Any)
    };
    assert_eq!(take(1).await.unwrap()[0].unwrap().fence, 1);
    assert_eq!(take(2).await.unwrap()[0].unwrap().fence, 2);
    assert_eq!(outbox.delete(&[held], &[acknowledged]).await.unwrap(), [row.shard]);
    assert_eq!(rig.waiting().await, 1);
    let other_event = AcknowledgedRow { event_id: uuid::Uuid::from_u128(9), ..acknowledged };
    let held = HeldShard { fence: 2, ..held };
    assert!(outbox.delete(&[held], &[other_event]).await.unwrap().is_empty());
    assert_eq!(
        rig.waiting().await,
        1,
        "another event under the same id is not the one that was acknowledged"
    );
    assert!(outbox.delete(&[held], &[acknowledged]).await.unwrap().is_empty());
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test]
async fn the_shards_of_a_relay_that_died_are_taken_over_when_its_leases_end() {
    let rig = Rig::new().await;
    let mut dead = rig.relay_with(rig.outbox(), rig.publisher(), options());
    soon(dead.step()).await.unwrap();
    drop(dead);
    rig.add("a", 1).await;
    let mut next = rig.relay_with(rig.outbox(), rig.publisher(), options());
    assert_eq!(drain(&mut next).await, 0);
    rig.clock.advance(LEASE);
    assert_eq!(drain(&mut next).await, 1);
}

#[tokio::test]
async fn a_relay_that_is_alone_does_not_wait_for_the_leases_of_its_dead_predecessor() {
    let rig = Rig::new().await;
    let mut dead = rig.relay_with(rig.outbox(), rig.publisher(), options());
    soon(dead.step()).await.unwrap();
    rig.add("a", 1).await;
    let alone = RelayOptions { alone: true, ..options() };
    let mut next = rig.relay_with(rig.outbox(), rig.publisher(), alone);
    assert_eq!(drain(&mut next).await, 1);
    // Were it not dead after all, it would be fenced off, and would not be robbed in turn.
    rig.add("a", 2).await;
    soon(dead.step()).await.unwrap();
    rig.clock.advance(LEASE / 2);
    drain(&mut dead).await;
    drain(&mut next).await;
    assert_eq!(rig.waiting().await, 0);
    assert_eq!(by_key(&deduped(&rig.published().await))["a"], [1, 2]);
}

#[tokio::test]
async fn leases_are_renewed_at_half_of_their_time_in_one_transaction() {
    let rig = Rig::new().await;
    let mut relay = rig.relay_with(rig.outbox(), rig.publisher(), options());
    for _ in 0..40 {
        soon(relay.step()).await.unwrap();
        rig.clock.advance(Duration::from_millis(500));
    }
    // 20 seconds: at 0, 5, 10 and 15.
    assert_eq!(rig.db.statements().transactions("acquire_lease"), 4);
    // What is not there yet is made, and looked at again, once.
    assert_eq!(rig.db.statements().count("acquire_lease"), 10);
}
