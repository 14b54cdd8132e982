//! The relay as it runs: woken by commits, drained and let go at its stop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use commerce_api_application::desk::Signal;
use commerce_api_application::ports::RelayOptions;
use tokio::sync::watch;

use crate::support::{Rig, Unsteady, drain, soon};

/// Nothing happens by time alone.
fn options() -> RelayOptions {
    RelayOptions { every: Duration::from_hours(1), batch_max: 10, ..RelayOptions::DEFAULT }
}

async fn emptied(rig: &Rig) {
    soon(async {
        while rig.waiting().await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_commit_wakes_it_at_once_whichever_desk_made_it() {
    let rig = Rig::new().await;
    let (orders, likes, (stop, stopped)) = (Signal::default(), Signal::default(), watch::channel(false));
    let relay = rig.relay_with(rig.outbox(), rig.publisher(), options());
    let running = tokio::spawn(relay.run(vec![orders.listen(), likes.listen()], stopped));
    for (sequence, signal) in (1..).zip([&orders, &likes, &orders, &likes]) {
        rig.add("a", sequence).await;
        signal.raise();
        emptied(&rig).await;
    }
    stop.send_replace(true);
    soon(running).await.unwrap();
    assert_eq!(rig.sequences().await["a"], [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stop_publishes_what_is_left_and_lets_the_shards_go() {
    let rig = Rig::new().await;
    let (stop, stopped) = watch::channel(false);
    for sequence in 1..=95 {
        rig.add("a", sequence).await;
    }
    stop.send_replace(true);
    soon(rig.relay_with(rig.outbox(), rig.publisher(), options()).run(Vec::new(), stopped)).await;
    assert_eq!(rig.sequences().await["a"], (1..=95).collect::<Vec<_>>());
    assert_eq!(rig.waiting().await, 0);
    // Another one need not wait for the end of its leases.
    rig.add("a", 96).await;
    assert_eq!(drain(&mut rig.relay()).await, 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_bus_that_is_down_longer_than_it_was_told_to() {
    let rig = Rig::new().await;
    let bus = Unsteady::new(rig.publisher());
    bus.down.store(true, Ordering::SeqCst);
    rig.add("a", 1).await;
    let options = RelayOptions {
        drain_max: Duration::from_millis(50),
        backoff: (Duration::from_millis(5), Duration::from_millis(10)),
        ..options()
    };
    let relay = rig.relay_with(rig.outbox(), bus.clone(), options);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(relay.run(Vec::new(), stopped));
    soon(async {
        while bus.calls.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(stop);
    soon(running).await.unwrap();
    assert_eq!(rig.waiting().await, 1, "it is published after the next start");
    assert_eq!(drain(&mut rig.relay()).await, 1);
}

#[tokio::test]
async fn a_bus_that_comes_back_is_found_without_being_told() {
    let rig = Rig::new().await;
    let bus = Unsteady::new(rig.publisher());
    bus.down.store(true, Ordering::SeqCst);
    rig.add("a", 1).await;
    let backoff = (Duration::from_millis(1), Duration::from_millis(5));
    let relay = rig.relay_with(rig.outbox(), bus.clone(), RelayOptions { backoff, ..options() });
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(relay.run(Vec::new(), stopped));
    soon(async {
        while bus.calls.load(Ordering::SeqCst) < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bus.down.store(false, Ordering::SeqCst);
    emptied(&rig).await;
    stop.send_replace(true);
    soon(running).await.unwrap();
    assert_eq!(rig.sequences().await["a"], [1]);
}
