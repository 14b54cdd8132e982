//! The contract of the unit of work, held by every storage.

use std::collections::{BTreeMap, BTreeSet};

use crate::shop::*;
use bytes::Bytes;
use commerce_api_application::desk::outbox_record;
use commerce_api_application::ports::{
    Answer, CommitError, DeskChanges, Fingerprint, IdSource, IdempotencyScope, LockRequest, Locked, NewLikes,
    PaymentTraces, Storage, StorageError, StoredAnswer, UnitOfWork,
};
use commerce_api_domain::*;

fn lock_for(user: UserId, product: ProductId) -> LockRequest {
    LockRequest { users: [user].into(), products: [product].into(), ..LockRequest::default() }
}

/// Decides `kind` on what `request` locks and writes it, without a commit.
async fn decide_and_write(
    shop: &Shop,
    unit: &mut Box<dyn UnitOfWork>,
    request: &LockRequest,
    kind: CommandKind,
) -> Result<WorkingSet, StorageError> {
    let mut set = WorkingSet::new(unit.lock(request).await?.snapshot);
    decide(&shop.command(kind), &mut set, NOW, &Rules::default()).unwrap();
    write(unit, &set).await?;
    Ok(set)
}

async fn write(unit: &mut Box<dyn UnitOfWork>, set: &WorkingSet) -> Result<(), StorageError> {
    write_with(unit, set, &[]).await
}

async fn write_with(
    unit: &mut Box<dyn UnitOfWork>,
    set: &WorkingSet,
    answers: &[(IdempotencyScope, StoredAnswer)],
) -> Result<(), StorageError> {
    let outbox: Vec<_> = set.events.iter().map(|event| outbox_record(event, None)).collect();
    let traces = PaymentTraces::of(set);
    unit.write(&DeskChanges { outbox: &outbox, answers, ..DeskChanges::of(set, &traces, NOW) }).await
}

async fn committed(
    storage: &dyn Storage,
    shop: &Shop,
    request: &LockRequest,
    kind: CommandKind,
) -> WorkingSet {
    let mut unit = storage.begin("test").await.unwrap();
    let set = decide_and_write(shop, &mut unit, request, kind).await.unwrap();
    unit.commit().await.unwrap();
    set
}

async fn locked(storage: &dyn Storage, request: &LockRequest) -> Locked {
    storage.begin("test").await.unwrap().lock(request).await.unwrap()
}

fn only_order(set: &WorkingSet) -> Order {
    set.snapshot.orders[set.created_orders.iter().next().unwrap()].clone()
}

/// A request for all that belongs to `order`, with its parts read as the desk reads them.
async fn lock_order(storage: &dyn Storage, order: &Order) -> LockRequest {
    let parts = storage.order_parts(&BTreeSet::from([order.id])).await.unwrap();
    LockRequest {
        products: order.lines.iter().map(|line| line.product).collect(),
        users: [order.user].into(),
        issued: order.issued_coupon.into_iter().collect(),
        orders: parts,
        ..LockRequest::default()
    }
}

fn refused<T: std::fmt::Debug>(result: &Result<T, StorageError>) {
    assert!(matches!(result, Err(StorageError::Data(_))), "{result:?}");
}

/// A write that has to be refused, at the latest by the commit; and nothing of it may stay.
async fn refused_whole(shop: &Shop, set: &WorkingSet, answers: &[(IdempotencyScope, StoredAnswer)]) {
    let before = shop.books().await;
    let mut unit = shop.storage().begin("test").await.unwrap();
    match write_with(&mut unit, set, answers).await {
        Ok(()) => {
            let error = unit.commit().await.unwrap_err();
            assert!(matches!(error, CommitError::NotCommitted(StorageError::Data(_))), "{error:?}");
        }
        Err(error) => {
            assert!(matches!(error, StorageError::Data(_)), "{error:?}");
            drop(unit);
        }
    }
    assert_eq!(shop.books().await, before);
}

#[tokio::test]
async fn what_was_written_is_read_back_the_same() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let request = lock_for(user, product);
        for kind in [by_points(user, product, 2), by_card(user, product, 3, 500)] {
            let set = committed(&*storage, &shop, &request, kind).await;
            let order = only_order(&set);
            let again = locked(&*storage, &lock_order(&*storage, &order).await).await.snapshot;
            assert_eq!(again.orders[&order.id], order);
            assert_eq!(again.products, set.snapshot.products);
            assert_eq!(again.users, set.snapshot.users);
        }
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_unit_that_is_dropped_leaves_no_trace() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let before = shop.books().await;
        let mut unit = storage.begin("test").await.unwrap();
        let request = lock_for(user, product);
        decide_and_write(&shop, &mut unit, &request, by_card(user, product, 1, 100)).await.unwrap();
        drop(unit);
        assert_eq!(shop.books().await, before);
        // And the next unit is not in its way.
        committed(&*storage, &shop, &request, by_points(user, product, 1)).await;
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_absent() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let order = OrderId(shop.ids.uuid());
        assert!(storage.order_parts(&BTreeSet::from([order])).await.unwrap().is_empty());
        let request = LockRequest {
            products: [ProductId(99)].into(),
            users: [UserId(99)].into(),
            charging_users: [UserId(99)].into(),
            coupons: [CouponId(99)].into(),
            issued: [IssuedCouponId(shop.ids.uuid())].into(),
            issued_pairs: [(UserId(99), CouponId(99))].into(),
            keys: [scope(UserId(99), "k")].into(),
            ..LockRequest::default()
        };
        let found = locked(&*storage, &request).await;
        assert_eq!((found.snapshot, found.answers.len()), (Snapshot::default(), 0));
    })
    .await;
}

#[tokio::test]
async fn an_order_in_another_state_than_was_read_is_refused() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let set = committed(&*storage, &shop, &lock_for(user, product), by_card(user, product, 2, 500)).await;
        let order = only_order(&set);
        // Two nodes read the same order; the first cancels it.
        let request = lock_order(&*storage, &order).await;
        let mut stale = WorkingSet::new(locked(&*storage, &request).await.snapshot);
        let cancel = || CommandKind::Cancel { order: order.id, by: Actor::Customer(user) };
        committed(&*storage, &shop, &request, cancel()).await;
        decide(&shop.command(cancel()), &mut stale, NOW, &Rules::default()).unwrap();
        refused_whole(&shop, &stale, &[]).await;
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_given_back_twice() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let set = committed(&*storage, &shop, &lock_for(user, product), by_points(user, product, 2)).await;
        let order = only_order(&set);
        let request = lock_order(&*storage, &order).await;
        let cancel = CommandKind::Cancel { order: order.id, by: Actor::Customer(user) };
        let canceled = committed(&*storage, &shop, &request, cancel).await;
        // A second REFUND of the same order, with an id of its own and everything else in order.
        let mut twice = WorkingSet::new(locked(&*storage, &request).await.snapshot);
        let refund = canceled.ledger.iter().find(|row| row.kind == LedgerKind::Refund).unwrap();
        twice.ledger.push(LedgerEntry { id: LedgerId(shop.ids.uuid()), ..refund.clone() });
        refused_whole(&shop, &twice, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn balances_and_stock_below_zero_are_refused() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let mut set = WorkingSet::new(locked(&*storage, &lock_for(user, product)).await.snapshot);
        set.snapshot.products.get_mut(&product).unwrap().stock = -1;
        set.dirty_products.insert(product);
        refused_whole(&shop, &set, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_coupon_is_issued_once_a_customer_and_never_beyond_its_limit() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, coupon) = (shop.user(0).await, shop.coupon(Some(2)).await);
        let request = LockRequest {
            users: [user].into(),
            coupons: [coupon].into(),
            issued_pairs: [(user, coupon)].into(),
            ..LockRequest::default()
        };
        // Both are decided on the same reading; the second must not get through.
        let issue = || CommandKind::IssueCoupon { coupon, user };
        let mut stale = WorkingSet::new(locked(&*storage, &request).await.snapshot);
        committed(&*storage, &shop, &request, issue()).await;
        let mut beyond = WorkingSet::new(locked(&*storage, &request).await.snapshot);
        assert!(beyond.snapshot.issued_pairs.contains(&(user, coupon)));
        decide(&shop.command(issue()), &mut stale, NOW, &Rules::default()).unwrap();
        refused_whole(&shop, &stale, &[]).await;
        beyond.snapshot.coupons.get_mut(&coupon).unwrap().issued_count = 3;
        beyond.dirty_coupons.insert(coupon);
        refused_whole(&shop, &beyond, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_coupon_in_another_state_than_was_read_is_refused() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(5_000, 10).await);
        let coupon = shop.coupon(None).await;
        let pair = LockRequest { coupons: [coupon].into(), ..lock_for(user, product) };
        let issue = CommandKind::IssueCoupon { coupon, user };
        let issued = *committed(&*storage, &shop, &pair, issue).await.created_issued.first().unwrap();
        // Two nodes read the same coupon; the first uses it.
        let request = LockRequest { issued: [issued].into(), ..lock_for(user, product) };
        let mut stale = WorkingSet::new(locked(&*storage, &request).await.snapshot);
        let CommandKind::Place(place) = by_points(user, product, 1) else { unreachable!() };
        let order = CommandKind::Place(PlaceOrder { issued_coupon: Some(issued), ..place });
        committed(&*storage, &shop, &request, order.clone()).await;
        decide(&shop.command(order), &mut stale, NOW, &Rules::default()).unwrap();
        refused_whole(&shop, &stale, &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_refund_is_settled_once() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let desk = shop.desk();
        let (user, product) = (shop.user(100_000).await, shop.product(5_000, 10).await);
        let order = order_of(shop.run(&desk, by_card(user, product, 1, 0)).await.unwrap());
        let pay = |command| CommandKind::Payment { order: order.id, command };
        let cancel = CommandKind::Cancel { order: order.id, by: Actor::Customer(user) };
        let captured = pay(PaymentCommand::Captured { key: "T1".into() });
        for kind in [pay(PaymentCommand::Send), captured, cancel, pay(PaymentCommand::RefundSettled)] {
            shop.run(&desk, kind).await.unwrap();
        }
        let refunds_settled = vec![(order.payment.id, "T1".into())];
        let traces = PaymentTraces { refunds_settled, ..PaymentTraces::default() };
        let set = WorkingSet::default();
        let changes = DeskChanges::of(&set, &traces, NOW);
        refused(&storage.begin("test").await.unwrap().write(&changes).await);
    })
    .await;
}

fn scope(user: UserId, key: &str) -> IdempotencyScope {
    IdempotencyScope { user, route: "POST /test", key: key.into() }
}

fn stored(fingerprint: u8, body: &str) -> StoredAnswer {
    let body = Bytes::copy_from_slice(body.as_bytes());
    StoredAnswer {
        fingerprint: Fingerprint([fingerprint; 32]),
        answer: Answer { status: 201, location: Some("/orders/1".into()), body },
    }
}

#[tokio::test]
async fn answers_come_back_to_the_byte_and_a_key_is_taken_once() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, other) = (shop.user(0).await, shop.user(0).await);
        let text = "{\"a\":\"quote \\\" slash \\\\ 한글 é 🍵 \\u0000\"}";
        let mut no_location = stored(2, "");
        no_location.answer.location = None;
        let answers = [(scope(user, "k"), stored(1, text)), (scope(other, "k'\"\\"), no_location)];
        let mut unit = storage.begin("test").await.unwrap();
        write_with(&mut unit, &WorkingSet::default(), &answers).await.unwrap();
        unit.commit().await.unwrap();
        let keys = answers.iter().map(|(scope, _)| scope.clone()).chain([scope(other, "k")]).collect();
        let request = LockRequest { users: [user, other].into(), keys, ..LockRequest::default() };
        let found = locked(&*storage, &request).await.answers;
        assert_eq!(found, BTreeMap::from(answers.clone()));
        refused_whole(&shop, &WorkingSet::default(), &[(scope(user, "k"), stored(9, "other"))]).await;
    })
    .await;
}

#[tokio::test]
async fn charges_of_the_day_are_summed_and_nothing_else() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        // The balance that a user starts with was charged long before today. The ids of today's charges were drawn a few
        // minutes before today began: they waited.
        let (user, product) = (shop.user(50_000).await, shop.product(1_000, 10).await);
        let request = LockRequest {
            charging_users: [user].into(),
            charges_since: Timestamp::from_micros(NOW.as_micros() - 1),
            ..lock_for(user, product)
        };
        let charge = |amount| CommandKind::ChargePoints { user, amount: won(amount) };
        committed(&*storage, &shop, &request, charge(700)).await;
        committed(&*storage, &shop, &request, charge(30)).await;
        committed(&*storage, &shop, &request, by_points(user, product, 1)).await;
        let found = locked(&*storage, &request).await.snapshot.users[&user].clone();
        assert_eq!((found.balance.won(), found.charged_today.won()), (50_000 + 730 - 1_000 + 10, 730));
    })
    .await;
}

#[tokio::test]
async fn likes_are_kept_rows_and_products_are_checked() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (UserId(5), shop.product(1_000, 10).await);
        let keys = BTreeSet::from([(product, user), (ProductId(99), user)]);
        for (round, active) in [true, false, true].into_iter().enumerate() {
            let mut unit = storage.begin("test").await.unwrap();
            let found = unit.lock_likes(&keys).await.unwrap();
            assert_eq!(found.products, BTreeSet::from([product]));
            assert_eq!(found.likes.len(), usize::from(round > 0));
            let change = LikeChange { ids: shop.ids.seed(), user, product, active };
            let (like, event) = decide_like(&change, found.likes.get(&(product, user)), NOW).unwrap();
            assert_eq!(like.event_seq, i64::try_from(round).unwrap() + 1);
            let changes = NewLikes { likes: &[like], outbox: &[outbox_record(&event, None)] };
            unit.write_likes(&changes).await.unwrap();
            unit.commit().await.unwrap();
        }
        let books = shop.books().await;
        assert_eq!(books.likes, BTreeSet::from([(product.0, user.0, true)]));
        assert_eq!(books.outbox.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_unit_of_work_waits_for_the_one_before() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let (here, there) = (shop.storage(), shop.second_node().await);
        let request = lock_for(user, product);
        let mut first = here.begin("test").await.unwrap();
        let set = decide_and_write(&shop, &mut first, &request, by_points(user, product, 7)).await.unwrap();
        let waiting = tokio::spawn({
            let request = request.clone();
            async move { there.begin("test").await.unwrap().lock(&request).await.unwrap() }
        });
        tokio::task::yield_now().await;
        first.commit().await.unwrap();
        let second = waiting.await.unwrap().snapshot;
        assert_eq!(second.products, set.snapshot.products, "it reads what the first committed");
    })
    .await;
}

#[tokio::test]
async fn an_event_of_a_payment_is_written_once() {
    on_every_storage(|shop| async move {
        let storage = shop.storage();
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
        let set = committed(&*storage, &shop, &lock_for(user, product), by_card(user, product, 2, 500)).await;
        let mut again = WorkingSet::new(set.snapshot.clone());
        again.payment_events.push(set.payment_events[0].clone());
        let mut unit = storage.begin("test").await.unwrap();
        let written = write(&mut unit, &again).await;
        drop(unit);
        refused(&written);
    })
    .await;
}
