//! Reads of orders and payments on SQL.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;
use commerce_api_application::ports::{
    CatalogueStore, DeskChanges, LockRequest, OrderFilter, OrderQueries, PaymentTraces, Storage, StorageError,
};
use commerce_api_domain::{
    CardBrand, CardDetails, Command, CommandKind, Order, OrderId, OrderLineRequest, OrderStatus, Outcome,
    PaymentCommand, PaymentId, PaymentRequest, PaymentStatus, PlaceOrder, ProductId, Quantity, Rules,
    Timestamp, UserId, WorkingSet, decide,
};
use commerce_api_infrastructure::sql::{SqlOrders, SqlStorage};
use uuid::Uuid;

struct History {
    stores: Stores,
    orders: SqlOrders,
}

impl History {
    /// Two products and two customers with a million points each.
    async fn open() -> Self {
        let stores = Stores::open().await;
        let brand = stores.brand("Acme").await;
        for code in ["A", "B"] {
            stores.product(new_product(code, brand.id, &format!("product {code}"), 100, 1_000), NOW).await;
        }
        for login in ["a", "b"] {
            stores.user(login).await;
        }
        stores.execute("UPDATE users SET balance = 1000000", []).await;
        Self { orders: SqlOrders::new(stores.db.clone()), stores }
    }

    async fn run(&self, kind: CommandKind, order: Option<&Order>, now: Timestamp) -> Order {
        let parts = |order: &Order| commerce_api_application::ports::OrderParts {
            user: order.user,
            issued_coupon: None,
            lines: order.lines.clone(),
        };
        let request = LockRequest {
            products: BTreeSet::from([ProductId(1), ProductId(2)]),
            users: BTreeSet::from([UserId(1), UserId(2)]),
            orders: order.map_or(BTreeMap::new(), |order| BTreeMap::from([(order.id, parts(order))])),
            ..LockRequest::default()
        };
        let mut unit = SqlStorage::new(self.stores.db.clone()).begin("test").await.unwrap();
        let mut set = WorkingSet::new(unit.lock(&request).await.unwrap().snapshot);
        let command = Command { ids: self.stores.seed(), kind };
        let Outcome::Order(order) = decide(&command, &mut set, now, &Rules::default()).unwrap() else {
            unreachable!()
        };
        unit.write(&DeskChanges::of(&set, &PaymentTraces::of(&set), now)).await.unwrap();
        unit.commit().await.unwrap();
        *order
    }

    async fn place(&self, user: i64, pieces: &[i64], card: bool, now: Timestamp) -> Order {
        let line = |(product, pieces): (i64, &i64)| OrderLineRequest {
            product: ProductId(product),
            quantity: Quantity::new(*pieces).unwrap(),
        };
        let card = card.then(|| CardDetails { brand: CardBrand::Samsung, last_four: "0042".into() });
        let place = PlaceOrder {
            user: UserId(user),
            lines: (1..).zip(pieces).map(line).collect(),
            issued_coupon: None,
            payment: PaymentRequest { points: None, card },
            expected_total: None,
        };
        self.run(CommandKind::Place(place), None, now).await
    }
}

#[tokio::test]
async fn an_order_is_read_as_it_was_written() {
    let history = History::open().await;
    let paid = history.place(1, &[2, 3], false, at(1)).await;
    let pending = history.place(2, &[1], true, at(2)).await;
    history.stores.db.statements().reset();
    assert_eq!(history.orders.order(paid.id).await.unwrap(), Some(paid.clone()));
    assert_eq!(history.stores.db.statements().count("order"), 2);
    assert_eq!(paid.lines.len(), 2);
    assert_eq!(history.orders.order(pending.id).await.unwrap(), Some(pending.clone()));
    assert_eq!(history.orders.payment(pending.payment.id).await.unwrap(), Some(pending.payment.clone()));
    let unknown = Uuid::from_u128(9);
    assert_eq!(history.orders.order(OrderId(unknown)).await.unwrap(), None);
    assert_eq!(history.orders.payment(PaymentId(unknown)).await.unwrap(), None);
    assert_eq!(history.orders.payment_history(PaymentId(unknown)).await.unwrap(), []);

    let move_payment = |command| CommandKind::Payment { order: pending.id, command };
    let sent = history.run(move_payment(PaymentCommand::Send), Some(&pending), at(3)).await;
    let declined = PaymentCommand::Declined { key: "TX-1".into(), reason: "한도 초과".into() };
    let failed = history.run(move_payment(declined), Some(&sent), at(4)).await;
    assert_eq!(history.orders.order(pending.id).await.unwrap(), Some(failed.clone()));
    let events = history.orders.payment_history(pending.payment.id).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(pending.payment.refold(&events).unwrap(), failed.payment);
    assert_eq!(failed.payment.status, PaymentStatus::Failed);
}

async fn pages(history: &History, filter: OrderFilter, between: impl AsyncFn()) -> Vec<Order> {
    let mut seen: Vec<Order> = Vec::new();
    loop {
        let after = seen.last().map(|order| (order.created_at, order.id));
        let page = history.orders.orders(&OrderFilter { after, limit: 2, ..filter }).await.unwrap();
        let is_last = page.len() < 2;
        seen.extend(page);
        if is_last {
            return seen;
        }
        between().await;
    }
}

#[tokio::test]
async fn history_pages_from_the_newest_with_ties_and_newcomers() {
    let history = History::open().await;
    for index in 0..12 {
        // Three orders a moment.
        history.place(1 + index % 2, &[1, 1], index % 3 == 0, at(index / 3)).await;
    }
    let newest_first = |orders: &[Order]| {
        orders.windows(2).all(|pair| (pair[0].created_at, pair[0].id) > (pair[1].created_at, pair[1].id))
    };
    let everybody = pages(&history, OrderFilter::default(), async || ()).await;
    assert_eq!(everybody.len(), 12);
    assert!(newest_first(&everybody) && everybody.iter().all(|order| order.lines.len() == 2));
    let own = OrderFilter { user: Some(UserId(1)), ..OrderFilter::default() };
    let newcomer = async || {
        history.place(1, &[1], false, at(50)).await;
    };
    let seen = pages(&history, own, newcomer).await;
    assert_eq!(seen.len(), 6, "newcomers are before the first page");
    assert!(newest_first(&seen) && seen.iter().all(|order| order.user == UserId(1)));
    let waiting = OrderFilter { status: Some(OrderStatus::PaymentPending), ..OrderFilter::default() };
    assert_eq!(pages(&history, waiting, async || ()).await.len(), 4);
    let nobody = OrderFilter { user: Some(UserId(9)), ..OrderFilter::default() };
    assert_eq!(pages(&history, nobody, async || ()).await, []);
    history.stores.db.statements().reset();
    history.orders.orders(&OrderFilter { limit: 100, ..OrderFilter::default() }).await.unwrap();
    assert_eq!(history.stores.db.statements().count("orders"), 2);
}

#[tokio::test]
async fn overdue_orders_come_by_deadline_and_only_while_they_wait() {
    let history = History::open().await;
    let mut placed = Vec::new();
    for index in [3, 1, 2] {
        placed.push(history.place(1, &[1], true, at(index)).await);
    }
    history.place(1, &[1], false, at(0)).await;
    let deadline = placed[2].expires_at.unwrap();
    let just_before = Timestamp::from_micros(deadline.as_micros() - 1);
    let position = |index: usize| (placed[index].expires_at.unwrap(), placed[index].id);
    let overdue = async |now, after, limit| history.orders.overdue(now, after, limit).await.unwrap();
    assert_eq!(overdue(just_before, None, 9).await, [position(1)]);
    assert_eq!(overdue(deadline, None, 9).await, [position(1), position(2)]);
    assert_eq!(overdue(deadline, None, 1).await, [position(1)]);
    assert_eq!(overdue(deadline, Some(position(1)), 9).await, [position(2)]);
    assert_eq!(overdue(deadline, Some(position(2)), 9).await, []);
    history.run(CommandKind::Expire { order: placed[1].id }, Some(&placed[1]), deadline).await;
    assert_eq!(overdue(deadline, None, 9).await, [position(2)]);

    // Deadlines that are the same go on by id.
    let mut same = Vec::new();
    for _ in 0..3 {
        let order = history.place(1, &[1], true, at(9)).await;
        same.push((order.expires_at.unwrap(), order.id));
    }
    let now = same[0].0;
    let first = overdue(now, Some(position(0)), 2).await;
    let rest = overdue(now, first.last().copied(), 2).await;
    assert_eq!([first, rest].concat(), same);
}

#[tokio::test]
async fn what_does_not_decode_is_refused_data() {
    let history = History::open().await;
    let order = history.place(1, &[1], false, NOW).await;
    let product = "UPDATE products SET status = 'LOST' WHERE id = 1";
    history.stores.execute(product, []).await;
    assert!(matches!(history.stores.catalogue.product(ProductId(1)).await, Err(StorageError::Data(_))));
    history.stores.execute("UPDATE orders SET status = 'LOST'", []).await;
    assert!(matches!(history.orders.order(order.id).await, Err(StorageError::Data(_))));
    history.stores.execute("UPDATE payments SET status = 'LOST'", []).await;
    history.stores.execute("UPDATE orders SET status = 'PAID'", []).await;
    assert!(matches!(history.orders.order(order.id).await, Err(StorageError::Data(_))));
}
