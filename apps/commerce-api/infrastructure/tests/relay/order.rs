//! What is published, and in which order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use commerce_api_application::desk::{DeskOptions, LikeDesk, outbox_record};
use commerce_api_application::ports::{IdSource, NewLikes, RelayOptions, Storage};
use commerce_api_domain::{LikeChange, ProductId, UserId, decide_like};
use commerce_api_infrastructure::sql::SqlStorage;

use crate::support::{Halting, NOW, Rig, by_key, deduped, drain, killed_before_delete, soon};

async fn add_product(rig: &Rig) -> ProductId {
    let product = "INSERT INTO products (id, brand_id, code, name, name_key, description, price, stock, like_count, \
                   status, event_seq, version, created_at, updated_at) \
                   VALUES (1, 1, 'p', 'p', 'p', '', 1, 0, 0, 'ON_SALE', 0, 1, 0, 0)";
    rig.execute(product, []).await;
    ProductId(1)
}

fn like(rig: &Rig, product: ProductId, user: i64, active: bool) -> LikeChange {
    LikeChange { ids: rig.ids.seed(), user: UserId(user), product, active }
}

#[tokio::test]
async fn what_was_rolled_back_is_never_published_and_what_was_committed_is_once_a_relay_comes() {
    let rig = Rig::new().await;
    let product = add_product(&rig).await;
    let storage = SqlStorage::new(rig.db.clone());
    for (user, commits) in [(1, false), (2, true)] {
        let (row, event) = decide_like(&like(&rig, product, user, true), None, NOW).unwrap();
        let mut unit = storage.begin("test").await.unwrap();
        let outbox = [outbox_record(&event, None)];
        unit.write_likes(&NewLikes { likes: &[row], outbox: &outbox }).await.unwrap();
        if commits {
            unit.commit().await.unwrap();
        }
    }
    // The process that committed is gone; another one opens the file.
    let published = rig.published().await;
    assert!(published.is_empty());
    assert_eq!(drain(&mut rig.relay()).await, 1);
    let sequences = rig.sequences().await;
    assert_eq!(sequences.into_iter().collect::<Vec<_>>(), [("1:2".to_owned(), vec![1])]);
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_and_relays_that_crash_leave_every_aggregate_in_order_without_a_gap() {
    const WRITERS: i64 = 16;
    const CHANGES: i64 = 30;
    let rig = Arc::new(Rig::new().await);
    let product = add_product(&rig).await;
    let storage = Arc::new(SqlStorage::new(rig.db.clone()));
    let desk =
        LikeDesk::start(storage, rig.clock.clone(), DeskOptions { batch_max: 5, ..DeskOptions::default() });
    let writers = (1..=WRITERS).map(|user| {
        let (rig, desk) = (rig.clone(), desk.clone());
        tokio::spawn(async move {
            for change in 0..CHANGES {
                desk.submit(like(&rig, product, user, change % 2 == 0)).await.unwrap();
            }
        })
    });
    let writing = tokio::spawn(futures::future::join_all(writers));
    let options = RelayOptions { batch_max: 7, alone: true, ..RelayOptions::DEFAULT };
    let mut crashes = 0;
    while !writing.is_finished() || rig.waiting().await > 0 {
        // Each relay dies between the acknowledgement and the deletion of its third batch.
        let outbox = Halting::new(rig.outbox());
        outbox.halts.store(false, Ordering::SeqCst);
        let mut relay = rig.relay_with(outbox.clone(), rig.publisher(), options);
        for _ in 0..2 {
            soon(relay.step()).await.unwrap();
        }
        outbox.halts.store(true, Ordering::SeqCst);
        tokio::select! {
            idle = relay.step() => drop(idle.unwrap()),
            () = outbox.reached.notified() => crashes += 1,
        }
    }
    for writer in soon(writing).await.unwrap() {
        writer.unwrap();
    }
    let published = rig.published().await;
    assert!(crashes > 5, "{crashes} crashes");
    assert!(published.len() > deduped(&published).len(), "every crash left duplicates");
    let sequences = by_key(&deduped(&published));
    assert_eq!(sequences.len(), 16);
    for (key, sequence) in sequences {
        assert_eq!(sequence, (1..=CHANGES).collect::<Vec<_>>(), "like {key}");
    }
}

#[tokio::test]
async fn a_lower_id_that_is_committed_later_is_published_too() {
    let rig = Rig::new().await;
    let mut relay = rig.relay();
    rig.add_row(Some(6), "product.like", "b", 1, "").await;
    assert_eq!(drain(&mut relay).await, 1);
    rig.add_row(Some(5), "product.like", "a", 1, "").await;
    assert_eq!(drain(&mut relay).await, 1);
    assert_eq!(rig.sequences().await.into_keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_relay_that_dies_after_the_acknowledgement_publishes_the_same_event_again() {
    let rig = Rig::new().await;
    let id = rig.add("a", 1).await;
    let outbox = Halting::new(rig.outbox());
    let options = RelayOptions { alone: true, ..RelayOptions::DEFAULT };
    let mut relay = rig.relay_with(outbox.clone(), rig.publisher(), options);
    killed_before_delete(&mut relay, &outbox).await;
    drop(relay);
    assert_eq!(rig.published().await.len(), 1, "it is in the log already");
    assert_eq!(rig.waiting().await, 1, "and in the outbox yet");
    drain(&mut rig.relay_with(rig.outbox(), rig.publisher(), options)).await;
    let published = rig.published().await;
    assert_eq!(published.iter().map(|event| event.id).collect::<Vec<_>>(), [id, id]);
    assert_eq!(rig.waiting().await, 0);
}

#[tokio::test]
async fn a_pass_takes_one_statement_to_read_and_one_transaction_to_delete_whatever_its_size() {
    let rig = Rig::new().await;
    let mut relay = rig.relay();
    soon(relay.step()).await.unwrap();
    for count in [1, 60] {
        for key in 0..count {
            rig.add(&key.to_string(), 1).await;
        }
        rig.db.statements().reset();
        assert_eq!(soon(relay.step()).await.unwrap().published, count);
        let statements = rig.db.statements();
        let counts =
            (statements.count("outbox_first"), statements.count("outbox_delete"), statements.total());
        assert_eq!(counts, (1, 2, 3));
    }
    rig.db.statements().reset();
    for _ in 0..10 {
        assert_eq!(soon(relay.step()).await.unwrap().read, 0);
    }
    assert_eq!(rig.db.statements().total(), 10, "an idle relay only reads");
}
