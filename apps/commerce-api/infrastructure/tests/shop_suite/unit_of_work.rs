//! The unit of work on SQL: how many statements a command costs, and rows that are not as they were read.

use std::collections::{BTreeMap, BTreeSet};

use crate::shop::*;
use commerce_api_application::desk::{DeskReply, OrderDesk};
use commerce_api_application::ports::{
    DeskChanges, LockRequest, NewLikes, OrderParts, OutboxRecord, PaymentTraces, Storage, StorageError,
};
use commerce_api_domain::*;
use commerce_api_infrastructure::sql::SqlStorage;
use commerce_database::Database;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

fn database(shop: &Shop) -> &Database {
    match &shop.backend {
        Backend::Sql { database, .. } => database,
        Backend::Memory(_) => unreachable!(),
    }
}

/// Runs one command alone; gives back the statements of its transaction.
async fn cost(shop: &Shop, desk: &OrderDesk, user: Option<UserId>, kind: CommandKind) -> (u64, Outcome) {
    let log = database(shop).statements();
    log.reset();
    let outcome = match user {
        None => shop.run(desk, kind).await.unwrap(),
        Some(user) => {
            let key = format!("{kind:?}").chars().take(200).collect::<String>();
            match desk.submit(keyed(user, &key, 1, kind)).await.unwrap() {
                DeskReply::Decided { decision, .. } => decision.unwrap(),
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(log.transactions("order_desk"), 1, "all of it in one transaction");
    assert_eq!(log.total(), log.count("order_desk") + log.count("order_parts"), "and nothing beside it");
    (log.count("order_desk"), outcome)
}

/// The counts of the table in `unit_of_work/mod.rs`.
#[tokio::test]
async fn a_command_costs_the_statements_that_are_documented() {
    let shop = Shop::sqlite().await;
    let (product, coupon) = (shop.product(10_000, 100).await, shop.coupon(None).await);
    let user = shop.user(1_000_000).await;
    let desk = shop.desk();
    let own = Actor::Customer(user);
    let cancel = |order: &Order| CommandKind::Cancel { order: order.id, by: own };
    let pay = |order: &Order, command| CommandKind::Payment { order: order.id, command };

    let (placed, outcome) = cost(&shop, &desk, Some(user), by_points(user, product, 1)).await;
    let by_points_order = order_of(outcome);
    let (canceled, _) = cost(&shop, &desk, Some(user), cancel(&by_points_order)).await;
    assert_eq!((placed, canceled), (3 + 9, 6 + 8));

    let limited = shop.product(10_000, 100).await;
    shop.limit(limited, 5).await;
    let (placed, outcome) = cost(&shop, &desk, Some(user), by_points(user, limited, 1)).await;
    let (canceled, _) = cost(&shop, &desk, Some(user), cancel(&order_of(outcome))).await;
    assert_eq!((placed, canceled), (4 + 9, 6 + 8));

    let (issued, outcome) = cost(&shop, &desk, Some(user), CommandKind::IssueCoupon { coupon, user }).await;
    let Outcome::CouponIssued(in_hand, _) = outcome else { panic!("no coupon") };
    let CommandKind::Place(place) = by_points(user, product, 1) else { unreachable!() };
    let with_coupon = CommandKind::Place(PlaceOrder { issued_coupon: Some(in_hand.id), ..place });
    let (placed, outcome) = cost(&shop, &desk, Some(user), with_coupon).await;
    let (canceled, _) = cost(&shop, &desk, Some(user), cancel(&order_of(outcome))).await;
    assert_eq!((issued, placed, canceled), (4 + 4, 5 + 10, 8 + 9));

    let (placed, outcome) = cost(&shop, &desk, Some(user), by_card(user, product, 1, 0)).await;
    let by_card_order = order_of(outcome);
    let pay = async |command| cost(&shop, &desk, None, pay(&by_card_order, command)).await.0;
    let sent = pay(PaymentCommand::Send).await;
    let unknown = pay(PaymentCommand::OutcomeUnknown { attempt: 1 }).await;
    let accepted = pay(PaymentCommand::Accepted { key: "k".into() }).await;
    let captured = pay(PaymentCommand::Captured { key: "k".into() }).await;
    assert_eq!((placed, sent, unknown, accepted, captured), (3 + 9, 5 + 3, 5 + 3, 5 + 4, 5 + 7));
    let again = pay(PaymentCommand::Captured { key: "other".into() }).await;
    let (canceled, _) = cost(&shop, &desk, Some(user), cancel(&by_card_order)).await;
    let given_back = pay(PaymentCommand::DuplicateRefunded { key: "other".into() }).await;
    let settled = pay(PaymentCommand::RefundSettled).await;
    assert_eq!((again, canceled, given_back, settled), (5 + 5, 6 + 10, 5 + 4, 5 + 6));

    let (placed, outcome) = cost(&shop, &desk, Some(user), by_card(user, product, 1, 100)).await;
    shop.clock.set(NOW.plus(std::time::Duration::from_hours(1)));
    let (expired, _) = cost(&shop, &desk, None, CommandKind::Expire { order: order_of(outcome).id }).await;
    assert_eq!((placed, expired), (3 + 11, 5 + 9));

    let (charged, _) =
        cost(&shop, &desk, Some(user), CommandKind::ChargePoints { user, amount: won(5) }).await;
    let receipt = CommandKind::MoveStock { product, kind: MovementKind::Receipt, quantity: 5, reason: None };
    let (moved, _) = cost(&shop, &desk, Some(user), receipt).await;
    assert_eq!((charged, moved), (3 + 3, 3 + 3));
}

async fn pending(shop: &Shop) -> (Order, BTreeMap<OrderId, OrderParts>) {
    let product = shop.product(10_000, 10).await;
    let user = shop.user(0).await;
    let order = order_of(shop.run(&shop.desk(), by_card(user, product, 1, 0)).await.unwrap());
    let parts = shop.storage().order_parts(&BTreeSet::from([order.id])).await.unwrap();
    (order, parts)
}

/// Cancels `order` on what was locked, and writes it after `meddle` changed the rows.
async fn written_after(shop: &Shop, meddle: &'static str) -> Result<(), StorageError> {
    let (order, parts) = pending(shop).await;
    let storage = SqlStorage::new(database(shop).clone());
    let request = LockRequest {
        products: order.lines.iter().map(|line| line.product).collect(),
        users: BTreeSet::from([order.user]),
        orders: parts,
        ..LockRequest::default()
    };
    let mut reading = storage.begin("reading").await.unwrap();
    let locked = reading.lock(&request).await?;
    drop(reading);
    execute(database(shop), meddle, []).await;
    let mut set = WorkingSet::new(locked.snapshot);
    let cancel = CommandKind::Cancel { order: order.id, by: Actor::Customer(order.user) };
    decide(&shop.command(cancel), &mut set, NOW, &Rules::default()).unwrap();
    let traces = PaymentTraces::of(&set);
    let mut unit = storage.begin("writing").await.unwrap();
    unit.write(&DeskChanges::of(&set, &traces, NOW)).await?;
    unit.commit().await.unwrap();
    Ok(())
}

#[tokio::test]
async fn a_row_that_moved_since_it_was_read_is_refused() {
    written_after(&Shop::sqlite().await, "UPDATE users SET email = 'other'").await.unwrap();
    for meddle in [
        "UPDATE orders SET status = 'EXPIRED'",
        "UPDATE payments SET status = 'UNKNOWN'",
        "DELETE FROM products",
        "INSERT INTO payment_events SELECT payment_id, 2, event, attempt, NULL, NULL, status, at FROM payment_events",
    ] {
        let shop = Shop::sqlite().await;
        let refused = written_after(&shop, meddle).await;
        assert!(matches!(refused, Err(StorageError::Data(_))), "{meddle}: {refused:?}");
        let orders: Vec<_> = shop.books().await.orders.into_values().collect();
        assert!(
            orders.iter().all(|(order, payment)| order != "CANCELED" && payment != "VOIDED"),
            "{orders:?}"
        );
    }
}

#[tokio::test]
async fn a_value_that_nobody_knows_is_refused_data() {
    for meddle in [
        "UPDATE orders SET status = 'LOST'",
        "UPDATE payments SET method = 'BARTER'",
        "UPDATE payments SET card_brand = NULL",
        "UPDATE products SET status = 'LOST'",
        "UPDATE products SET price = 9007199254740992",
        "UPDATE orders SET issued_coupon_id = x'01'",
    ] {
        let shop = Shop::sqlite().await;
        let (order, parts) = pending(&shop).await;
        execute(database(&shop), meddle, []).await;
        let request = LockRequest {
            products: order.lines.iter().map(|line| line.product).collect(),
            orders: parts,
            ..LockRequest::default()
        };
        let locked = shop.storage().begin("reading").await.unwrap().lock(&request).await;
        assert!(matches!(locked, Err(StorageError::Data(_))), "{meddle}: {locked:?}");
    }
}

#[tokio::test]
async fn what_was_locked_is_what_was_written() {
    let shop = Shop::sqlite().await;
    let (order, parts) = pending(&shop).await;
    assert_eq!(parts[&order.id].lines, order.lines);
    let request = LockRequest { orders: parts, ..LockRequest::default() };
    let locked = shop.storage().begin("reading").await.unwrap().lock(&request).await.unwrap();
    assert_eq!(locked.snapshot.orders[&order.id], order);
    assert_eq!(locked.snapshot.fences, BTreeMap::from([(order.payment.id, 0)]));
}

#[tokio::test]
async fn likes_are_kept_and_events_keep_their_order() {
    let shop = Shop::sqlite().await;
    let (tea, pot) = (shop.product(1, 1).await, shop.product(1, 1).await);
    let user = shop.user(0).await;
    let like = |product, active, event_seq| Like { user, product, active, event_seq, changed_at: NOW };
    let record = |sequence: i64| OutboxRecord {
        event_id: uuid::Uuid::from_u128(u128::try_from(100 - sequence).unwrap()),
        aggregate_type: "PRODUCT_LIKE",
        aggregate_id: "1:1".to_owned(),
        sequence,
        topic: "product.like",
        headers: "{}".to_owned(),
        payload: "{}".to_owned(),
        shard: 3,
        at: NOW,
    };
    let storage = shop.storage();
    for (likes, sequence) in
        [([like(pot, true, 1), like(tea, true, 1)], 1), ([like(tea, false, 2), like(pot, true, 1)], 3)]
    {
        let mut unit = storage.begin("likes").await.unwrap();
        let outbox = [record(sequence), record(sequence + 1)];
        unit.write_likes(&NewLikes { likes: &likes, outbox: &outbox }).await.unwrap();
        unit.commit().await.unwrap();
    }
    database(&shop).statements().reset();
    let mut unit = storage.begin("likes").await.unwrap();
    let keys = BTreeSet::from([(tea, user), (pot, user), (ProductId(99), user)]);
    let locked = unit.lock_likes(&keys).await.unwrap();
    assert_eq!(locked.products, BTreeSet::from([tea, pot]));
    let expected = BTreeMap::from([((tea, user), like(tea, false, 2)), ((pot, user), like(pot, true, 1))]);
    assert_eq!(locked.likes, expected);
    unit.write_likes(&NewLikes { likes: &[], outbox: &[] }).await.unwrap();
    assert_eq!(database(&shop).statements().count("likes"), 2);
    drop(unit);
    let sql = Statement::from_string(DbBackend::Sqlite, "SELECT sequence FROM outbox ORDER BY id");
    let published = database(&shop).reader().query_all_raw(sql).await.unwrap();
    let sequences: Vec<i64> = published.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
}
