use std::collections::BTreeSet;
use std::time::Duration;

use commerce_api_application::ports::{
    Answer, CommitError, DeskChanges, Fingerprint, IdempotencyScope, LockRequest, NewLikes, PaymentTraces,
    Storage, StorageError, StoredAnswer, UnitOfWork,
};
use commerce_api_domain::{
    Actor, CommandKind, LedgerKind, Like, OrderStatus, Outcome, PaymentCommand, ProductId, WorkingSet,
};

use super::fixture::{NOW, Shop, won};
use super::{Fault, MemoryError, MemoryState, MemoryStorage, violations};

fn refused(result: Result<(), commerce_api_application::ports::BoxError>) -> MemoryError {
    let error = result.unwrap_err();
    let error = error.downcast_ref::<StorageError>().unwrap();
    let StorageError::Data(source) = error else { panic!("{error:?}") };
    source.downcast_ref::<MemoryError>().unwrap().clone()
}

fn changes<'a>(set: &'a WorkingSet, traces: &'a PaymentTraces) -> DeskChanges<'a> {
    DeskChanges::of(set, traces, NOW)
}

#[tokio::test]
async fn a_unit_that_is_dropped_leaves_no_trace() {
    let shop = Shop::new();
    let before = shop.storage.state();
    let (set, _) = shop.decided(shop.place(1, None, true)).await;
    let mut unit = shop.storage.begin("test").await.unwrap();
    unit.write(&changes(&set, &PaymentTraces::of(&set))).await.unwrap();
    assert_eq!(shop.storage.state(), before, "nobody sees what is staged");
    drop(unit);
    assert_eq!(shop.storage.state(), before);
    shop.save(&set).await.unwrap();
    assert_eq!(shop.storage.orders().len(), 1);
    assert_eq!(shop.storage.checks().len(), 1);
    assert_eq!(shop.storage.outbox().len(), 2);
    assert_eq!(violations(&shop.storage.state()), Vec::<String>::new());
}

#[tokio::test]
async fn units_run_one_after_the_other_in_the_order_they_came() {
    let storage = MemoryStorage::new();
    let first = storage.begin("first").await.unwrap();
    let begin = |name| {
        let storage = storage.clone();
        let mut waiting = Box::pin(async move { storage.begin(name).await.unwrap() });
        // Polled once, so that it stands in the queue.
        let ready = futures::FutureExt::now_or_never(&mut waiting).is_some();
        (waiting, ready)
    };
    let (second, second_ready) = begin("second");
    let (mut third, third_ready) = begin("third");
    assert!(!second_ready && !third_ready);
    drop(first);
    assert!(futures::FutureExt::now_or_never(&mut third).is_none(), "the second is before it");
    let second: Box<dyn UnitOfWork> = second.await;
    drop(second);
    drop(third.await);
}

#[tokio::test]
async fn unique_keys_and_checks_are_held() {
    let shop = Shop::new();
    let (issue, _) =
        shop.decided(CommandKind::IssueCoupon { coupon: super::fixture::COUPON, user: shop.user }).await;
    shop.save(&issue).await.unwrap();
    // The same rows again: ids first, then the pair.
    assert_eq!(refused(shop.save(&issue).await), MemoryError::Taken("issued coupon"));
    let order = shop.order(1, None, false).await;
    let (cancel, _) =
        shop.decided(CommandKind::Cancel { order: order.id, by: Actor::Customer(shop.user) }).await;

    let mut twice = cancel.clone();
    let mut refund = twice.ledger.iter().find(|row| row.kind == LedgerKind::Refund).unwrap().clone();
    refund.id.0 = uuid::Uuid::from_u128(77);
    twice.ledger.push(refund);
    assert_eq!(refused(shop.save(&twice).await), MemoryError::Taken("ledger row of the order"));

    let mut event = cancel.clone();
    event.payment_events[0].seq = 1;
    assert_eq!(refused(shop.save(&event).await), MemoryError::Taken("payment event"));

    let mut oversold = cancel.clone();
    oversold.snapshot.products.values_mut().for_each(|product| product.stock = -1);
    assert_eq!(refused(shop.save(&oversold).await), MemoryError::Check("stock >= 0"));

    let mut above = issue;
    above.snapshot.coupons.values_mut().for_each(|coupon| coupon.issued_count = 2);
    assert_eq!(refused(shop.save(&above).await), MemoryError::Check("issued_count <= issue_limit"));

    shop.save(&cancel).await.unwrap();
    assert_eq!(refused(shop.save(&cancel).await), MemoryError::Moved("order"));
    assert_eq!(violations(&shop.storage.state()), Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_key_belongs_to_one_payment() {
    let shop = Shop::new();
    let (first, second) = (shop.order(1, None, true).await, shop.order(1, None, true).await);
    let accepted = || PaymentCommand::Accepted { key: "TX-1".into() };
    let payment = |order, command| CommandKind::Payment { order, command };
    shop.run(payment(first.id, PaymentCommand::Send)).await;
    shop.run(payment(second.id, PaymentCommand::Send)).await;
    shop.run(payment(first.id, accepted())).await;
    let (taken, _) = shop.decided(payment(second.id, accepted())).await;
    assert_eq!(refused(shop.save(&taken).await), MemoryError::Taken("gateway key"));
    shop.run(payment(first.id, PaymentCommand::Captured { key: "TX-1".into() })).await;
    assert_eq!(shop.storage.orders()[&first.id].status, OrderStatus::Paid);
}

#[tokio::test]
async fn a_refund_is_settled_once_the_payment_is() {
    let shop = Shop::new();
    let order = shop.order(2, None, true).await;
    let payment = |command| CommandKind::Payment { order: order.id, command };
    shop.run(payment(PaymentCommand::Send)).await;
    assert_eq!(shop.storage.checks()[&order.payment.id].fence, 0);
    assert_eq!(shop.storage.claim_check(order.payment.id), Some(1));
    shop.run(payment(PaymentCommand::Captured { key: "TX-1".into() })).await;
    assert!(shop.storage.checks().is_empty());
    shop.run(CommandKind::Cancel { order: order.id, by: Actor::Customer(shop.user) }).await;
    assert_eq!(shop.storage.checks().len(), 1);
    assert!(shop.storage.refunds().values().all(|refund| refund.settled_at.is_none()));
    shop.run(payment(PaymentCommand::RefundSettled)).await;
    assert!(shop.storage.checks().is_empty());
    assert_eq!(shop.storage.refunds().len(), 1);
    assert!(shop.storage.refunds().values().all(|refund| refund.settled_at == Some(NOW)));
    assert_eq!(violations(&shop.storage.state()), Vec::<String>::new());
}

#[tokio::test]
async fn charges_of_the_day_are_summed_for_those_who_charge() {
    let shop = Shop::new();
    let charge = || CommandKind::ChargePoints { user: shop.user, amount: won(700) };
    shop.run(charge()).await;
    shop.run(charge()).await;
    let lock = async |charging: bool, since| {
        let request = LockRequest {
            users: BTreeSet::from([shop.user]),
            charging_users: if charging { BTreeSet::from([shop.user]) } else { BTreeSet::new() },
            charges_since: since,
            ..LockRequest::default()
        };
        let locked = shop.storage.begin("test").await.unwrap().lock(&request).await.unwrap();
        locked.snapshot.users[&shop.user].charged_today
    };
    assert_eq!(lock(true, NOW).await, won(1_400));
    assert_eq!(lock(true, NOW.plus(Duration::from_micros(1))).await, won(0));
    assert_eq!(lock(true, commerce_api_domain::Timestamp::default()).await, won(101_400));
    assert_eq!(lock(false, NOW).await, won(0));
}

#[tokio::test]
async fn an_answer_is_found_under_its_key_and_only_once() {
    let shop = Shop::new();
    let scope = IdempotencyScope { user: shop.user, route: "orders", key: "k".into() };
    let stored = StoredAnswer {
        fingerprint: Fingerprint([7; 32]),
        answer: Answer { status: 201, location: None, body: "{}".into() },
    };
    let set = WorkingSet::default();
    let traces = PaymentTraces::default();
    let answers = [(scope.clone(), stored.clone())];
    let write = async || {
        let mut unit = shop.storage.begin("test").await.unwrap();
        unit.write(&DeskChanges { answers: &answers, ..changes(&set, &traces) }).await?;
        unit.commit().await.unwrap();
        Ok::<(), StorageError>(())
    };
    write().await.unwrap();
    assert!(matches!(write().await, Err(StorageError::Data(_))));
    let request = LockRequest { keys: BTreeSet::from([scope.clone()]), ..LockRequest::default() };
    let locked = shop.storage.begin("test").await.unwrap().lock(&request).await.unwrap();
    assert_eq!(locked.answers.get(&scope), Some(&stored));
    assert_eq!(shop.storage.answers().len(), 1);
}

#[tokio::test]
async fn likes_are_read_and_written_by_pair() {
    let shop = Shop::new();
    let like = Like { user: shop.user, product: shop.product, active: true, event_seq: 1, changed_at: NOW };
    let mut unit = shop.storage.begin("likes").await.unwrap();
    let keys = BTreeSet::from([(shop.product, shop.user), (ProductId(99), shop.user)]);
    let locked = unit.lock_likes(&keys).await.unwrap();
    assert_eq!((locked.likes.len(), locked.products), (0, BTreeSet::from([shop.product])));
    unit.write_likes(&NewLikes { likes: std::slice::from_ref(&like), outbox: &[] }).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = shop.storage.begin("likes").await.unwrap();
    let locked = unit.lock_likes(&keys).await.unwrap();
    assert_eq!(locked.likes.values().collect::<Vec<_>>(), [&like]);
    assert_eq!(shop.storage.likes(), [like]);
}

/// What each fault leaves behind, and how it shows.
#[tokio::test]
async fn faults_happen_once_to_their_own_operation() {
    let shop = Shop::new();
    let (set, _) = shop.decided(shop.place(1, None, false)).await;
    let before = shop.storage.state();
    let faults = [
        (Fault::BeginBusy, "transient"),
        (Fault::BeginUnavailable, "unavailable"),
        (Fault::LockBusy, "transient"),
        (Fault::WriteBusy, "transient"),
        (Fault::WriteData, "data"),
        (Fault::CommitRefused, "transient"),
        (Fault::CommitAnswerLost { applied: false }, "unknown"),
    ];
    for (fault, expected) in faults {
        shop.storage.faults().push(fault);
        assert_eq!(attempt(&shop.storage, &set).await, expected, "{fault:?}");
        assert_eq!(shop.storage.faults().pending(), 0, "{fault:?}");
        assert_eq!(shop.storage.state(), before, "{fault:?}");
    }
    shop.storage.faults().push(Fault::CommitAnswerLost { applied: true });
    assert_eq!(attempt(&shop.storage, &set).await, "unknown");
    assert_eq!(shop.storage.orders().len(), 1);
    assert_eq!(violations(&shop.storage.state()), Vec::<String>::new());
}

async fn attempt(storage: &MemoryStorage, set: &WorkingSet) -> &'static str {
    let class = |error: &StorageError| match error {
        StorageError::Transient(_) => "transient",
        StorageError::Unavailable(_) => "unavailable",
        StorageError::Data(_) => "data",
    };
    let traces = PaymentTraces::of(set);
    let run = async {
        let mut unit = storage.begin("test").await?;
        unit.lock(&LockRequest::default()).await?;
        unit.write(&changes(set, &traces)).await?;
        Ok::<_, StorageError>(unit.commit().await)
    };
    match run.await {
        Err(error) | Ok(Err(CommitError::NotCommitted(error))) => class(&error),
        Ok(Err(CommitError::Unknown(_))) => "unknown",
        Ok(Ok(())) => "committed",
    }
}

#[tokio::test]
async fn a_unit_whose_write_failed_cannot_commit() {
    let shop = Shop::new();
    let before = shop.storage.state();
    let (set, _) = shop.decided(shop.place(1, None, false)).await;
    let mut broken = set.clone();
    broken.ledger.push(broken.ledger[0].clone());
    let mut unit = shop.storage.begin("test").await.unwrap();
    let traces = PaymentTraces::of(&set);
    assert!(unit.write(&changes(&broken, &traces)).await.is_err());
    assert!(matches!(unit.commit().await, Err(CommitError::NotCommitted(StorageError::Data(_)))));
    assert_eq!(shop.storage.state(), before);
}

#[tokio::test]
async fn a_poisoned_account_refuses_its_writes_only() {
    let shop = Shop::new();
    let other = shop.storage.add_user(won(0));
    shop.storage.faults().poison(shop.user);
    let (set, _) = shop.decided(CommandKind::ChargePoints { user: shop.user, amount: won(1) }).await;
    assert_eq!(refused(shop.save(&set).await), MemoryError::Poisoned(shop.user));
    let Outcome::PointsCharged(_) = shop.run(CommandKind::ChargePoints { user: other, amount: won(1) }).await
    else {
        unreachable!()
    };
    shop.storage.faults().clear();
    shop.save(&set).await.unwrap();
}

#[tokio::test]
async fn parts_of_orders_are_read_without_a_unit() {
    let shop = Shop::new();
    let order = shop.order(1, None, false).await;
    let _open = shop.storage.begin("test").await.unwrap();
    let unknown = commerce_api_domain::OrderId(uuid::Uuid::from_u128(5));
    let parts = shop.storage.order_parts(&BTreeSet::from([order.id, unknown])).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[&order.id].user, &parts[&order.id].lines), (order.user, &order.lines));
    assert_ne!(shop.storage.state(), MemoryState::default());
}
