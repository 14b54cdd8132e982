//! The order desk on every storage: idempotency, faults, races.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::shop::*;
use async_trait::async_trait;
use commerce_api_application::desk::{DeskOptions, DeskReply, OrderDesk, Submission, SubmitError};
use commerce_api_application::ports::{AccountStore as _, OrderParts, Storage, StorageError, UnitOfWork};
use commerce_api_domain::*;
use commerce_api_infrastructure::memory::Fault;
use commerce_api_infrastructure::runtime::RandomIds;
use commerce_api_infrastructure::sql::SqlAccounts;
use commerce_database::{Database, Template};

/// Submits all at once, each from a task of its own.
pub async fn all_at_once(
    desks: &[OrderDesk],
    submissions: Vec<Submission>,
) -> Vec<Result<DeskReply, SubmitError>> {
    let tasks: Vec<_> = submissions
        .into_iter()
        .enumerate()
        .map(|(index, submission)| {
            let desk = desks[index % desks.len()].clone();
            tokio::spawn(async move { desk.submit(submission).await })
        })
        .collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}

fn is_done(reply: &Result<DeskReply, SubmitError>) -> bool {
    matches!(reply, Ok(DeskReply::Decided { decision, .. }) if decision.is_ok())
}

#[tokio::test]
async fn buyers_at_once_buy_exactly_what_there_is() {
    on_every_storage(|shop| async move {
        let product = shop.product(1_000, 30).await;
        let mut submissions = Vec::new();
        for _ in 0..300 {
            let user = shop.user(1_000).await;
            submissions.push(keyed(user, "k", 1, by_points(user, product, 1)));
        }
        let replies = all_at_once(&[shop.desk()], submissions).await;
        let sold = replies.iter().filter(|reply| is_done(reply)).count();
        let out_of_stock = |reply: &&Result<DeskReply, SubmitError>| {
            matches!(reply, Ok(DeskReply::Decided { decision, .. })
                if matches!(**decision, Err(Refusal::OutOfStock { .. })))
        };
        assert_eq!((sold, replies.iter().filter(out_of_stock).count()), (30, 270));
        let books = shop.books().await;
        assert_eq!((books.stocks[&product.0], books.orders.len(), books.answers), (0, 30, 300));
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn two_desks_on_one_database_sell_exactly_what_there_is() {
    on_every_storage(|shop| async move {
        let product = shop.product(1_000, 30).await;
        let nodes = [
            shop.desk(),
            shop.desk_on(shop.second_node().await, DeskOptions { batch_max: 16, ..DeskOptions::default() }),
        ];
        let mut submissions = Vec::new();
        for _ in 0..300 {
            let user = shop.user(1_000).await;
            submissions.push(keyed(user, "k", 1, by_points(user, product, 1)));
        }
        let replies = all_at_once(&nodes, submissions).await;
        assert!(replies.iter().all(Result::is_ok), "every buyer got an answer");
        assert_eq!(replies.iter().filter(|reply| is_done(reply)).count(), 30);
        assert_eq!(shop.books().await.stocks[&product.0], 0);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn one_key_at_once_on_two_nodes_is_one_order_and_one_answer() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(100_000).await, shop.product(1_000, 100).await);
        let nodes = [shop.desk(), shop.desk_on(shop.second_node().await, DeskOptions::default())];
        let submissions = (0..100).map(|_| keyed(user, "once", 1, by_points(user, product, 1))).collect();
        let mut answers = BTreeSet::new();
        let mut decided = 0;
        for reply in all_at_once(&nodes, submissions).await {
            match reply.unwrap() {
                DeskReply::Decided { answer, .. } => {
                    decided += 1;
                    answers.insert(answer.unwrap().body);
                }
                DeskReply::Replayed(answer) => {
                    answers.insert(answer.body);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((decided, answers.len()), (1, 1));
        let books = shop.books().await;
        assert_eq!((books.orders.len(), books.stocks[&product.0], books.answers), (1, 99, 1));
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_key_for_another_body_is_refused_and_another_users_key_is_another_key() {
    on_every_storage(|shop| async move {
        let (user, other) = (shop.user(10_000).await, shop.user(10_000).await);
        let product = shop.product(1_000, 10).await;
        let desk = shop.desk();
        let submit = async |user, fingerprint| {
            desk.submit(keyed(user, "k", fingerprint, by_points(user, product, 1))).await.unwrap()
        };
        let DeskReply::Decided { answer, .. } = submit(user, 1).await else { panic!("first") };
        assert_eq!(submit(user, 2).await, DeskReply::KeyReused);
        assert_eq!(submit(user, 1).await, DeskReply::Replayed(answer.clone().unwrap()), "to the byte");
        let DeskReply::Decided { answer: theirs, .. } = submit(other, 1).await else { panic!("no leak") };
        assert_ne!(theirs, answer);
        assert_eq!(shop.books().await.orders.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_replayed_even_when_it_would_be_accepted_now() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(10_000).await, shop.product(1_000, 0).await);
        let desk = shop.desk();
        let first = desk.submit(keyed(user, "k", 1, by_points(user, product, 1))).await.unwrap();
        let DeskReply::Decided { decision, answer } = first else { panic!("first") };
        assert!(matches!(*decision, Err(Refusal::OutOfStock { .. })));
        let receipt =
            CommandKind::MoveStock { product, kind: MovementKind::Receipt, quantity: 5, reason: None };
        shop.run(&desk, receipt).await.unwrap();
        let again = desk.submit(keyed(user, "k", 1, by_points(user, product, 1))).await.unwrap();
        assert_eq!(again, DeskReply::Replayed(answer.unwrap()));
        assert!(is_done(&desk.submit(keyed(user, "new", 1, by_points(user, product, 1))).await));
    })
    .await;
}

#[tokio::test]
async fn one_coupon_in_two_hundred_orders_at_once_is_used_once() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(1_000_000).await, shop.product(2_000, 1_000).await);
        let coupon = shop.coupon(None).await;
        let desk = shop.desk();
        let issued = match shop.run(&desk, CommandKind::IssueCoupon { coupon, user }).await.unwrap() {
            Outcome::CouponIssued(issued, _) => issued.id,
            other => panic!("{other:?}"),
        };
        let order = || {
            let CommandKind::Place(place) = by_points(user, product, 1) else { unreachable!() };
            CommandKind::Place(PlaceOrder { issued_coupon: Some(issued), ..place })
        };
        let submissions = (0..200).map(|key| keyed(user, &key.to_string(), 1, order())).collect();
        let replies = all_at_once(&[desk], submissions).await;
        assert_eq!(replies.iter().filter(|reply| is_done(reply)).count(), 1);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn first_come_issues_stop_at_the_limit_and_at_one_a_customer() {
    on_every_storage(|shop| async move {
        let coupon = shop.coupon(Some(10)).await;
        let mut submissions = Vec::new();
        for _ in 0..50 {
            let user = shop.user(0).await;
            for key in ["a", "b", "c"] {
                submissions.push(keyed(user, key, 1, CommandKind::IssueCoupon { coupon, user }));
            }
        }
        let replies = all_at_once(
            &[shop.desk(), shop.desk_on(shop.second_node().await, DeskOptions::default())],
            submissions,
        )
        .await;
        assert_eq!(replies.iter().filter(|reply| is_done(reply)).count(), 10);
        assert_eq!(shop.books().await.issued, 10);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn points_never_fall_below_zero_at_once() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(5_500).await, shop.product(1_000, 1_000).await);
        let submissions =
            (0..100).map(|key| keyed(user, &key.to_string(), 1, by_points(user, product, 1))).collect();
        let replies = all_at_once(&[shop.desk()], submissions).await;
        // Five orders, and what they earned (50 points) does not reach a sixth.
        assert_eq!(replies.iter().filter(|reply| is_done(reply)).count(), 5);
        assert_eq!(shop.books().await.balances[&user.0], 550);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn cancels_at_once_give_back_once() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
        let desk = shop.desk();
        let order = order_of(shop.run(&desk, by_points(user, product, 3)).await.unwrap()).id;
        let cancel = || CommandKind::Cancel { order, by: Actor::Customer(user) };
        let submissions = (0..50).map(|key| keyed(user, &key.to_string(), 1, cancel())).collect();
        let nodes = [desk, shop.desk_on(shop.second_node().await, DeskOptions::default())];
        let replies = all_at_once(&nodes, submissions).await;
        assert!(replies.iter().all(is_done), "a cancel that repeats is answered as done");
        let books = shop.books().await;
        assert_eq!((books.balances[&user.0], books.stocks[&product.0]), (10_000, 10));
        assert_eq!(books.ledger.len(), 4, "USE, EARN, REFUND, REVOKE: {:?}", books.ledger);
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_card_order_waits_expires_and_is_audited_all_the_way() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
        let desk = shop.desk();
        let order = order_of(shop.run(&desk, by_card(user, product, 4, 1_500)).await.unwrap());
        let books = shop.books().await;
        assert_eq!(books.orders[&order.id.0], ("PAYMENT_PENDING".to_owned(), "PENDING".to_owned()));
        assert_eq!(books.checks, BTreeSet::from([order.payment.id.0]));
        assert_eq!(shop.run(&desk, CommandKind::Expire { order: order.id }).await, Err(Refusal::NotDue));
        shop.clock.advance(std::time::Duration::from_mins(15));
        shop.run(&desk, CommandKind::Expire { order: order.id }).await.unwrap();
        let books = shop.books().await;
        assert_eq!(books.orders[&order.id.0], ("EXPIRED".to_owned(), "VOIDED".to_owned()));
        assert_eq!((books.balances[&user.0], books.stocks[&product.0], books.checks.len()), (10_000, 10, 0));
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn the_payment_commands_go_through_the_desk_too() {
    on_every_storage(|shop| async move {
        let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
        let desk = shop.desk();
        let order = order_of(shop.run(&desk, by_card(user, product, 4, 1_500)).await.unwrap()).id;
        shop.set_fences(3).await;
        let step =
            async |command| shop.run(&desk, CommandKind::Payment { order, command }).await.map(order_of);
        step(PaymentCommand::Send).await.unwrap();
        let stale = PaymentCommand::NotSent { attempt: 1, fence: 2 };
        assert_eq!(
            step(stale).await.unwrap_err(),
            Refusal::Payment(IllegalMove::Stale { attempt: 1, fence: 2 })
        );
        step(PaymentCommand::NotSent { attempt: 1, fence: 3 }).await.unwrap();
        step(PaymentCommand::Send).await.unwrap();
        step(PaymentCommand::OutcomeUnknown { attempt: 2 }).await.unwrap();
        step(PaymentCommand::Captured { key: "T1".into() }).await.unwrap();
        assert!(shop.books().await.checks.is_empty());
        let cancel = CommandKind::Cancel { order, by: Actor::Customer(user) };
        let canceled = order_of(shop.run(&desk, cancel).await.unwrap());
        assert_eq!(canceled.status, OrderStatus::CancelPending);
        let books = shop.books().await;
        assert_eq!((books.checks.len(), books.refunds), (1, 1));
        assert_eq!(shop.violations().await, [""; 0]);
        let refunded = step(PaymentCommand::RefundSettled).await.unwrap();
        assert_eq!(
            (refunded.status, refunded.payment.status),
            (OrderStatus::Canceled, PaymentStatus::Refunded)
        );
        let books = shop.books().await;
        assert_eq!((books.balances[&user.0], books.stocks[&product.0], books.checks.len()), (10_000, 10, 0));
        assert_eq!(shop.violations().await, [""; 0]);
    })
    .await;
}

/// The ledger is read by id, so its ids must ascend in the order in which the balance moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_read_by_id_is_in_the_order_in_which_the_balance_moved() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    let user = shop.user(0).await;
    // All in one millisecond of the clock, and in several batches.
    let ids = Arc::new(RandomIds::new(shop.clock.clone()));
    let small = DeskOptions { batch_max: 7, ..DeskOptions::default() };
    let desk = shop.desk_with(shop.storage(), ids, small);
    let charge = || CommandKind::ChargePoints { user, amount: won(1) };
    let submissions = (0..60).map(|key| keyed(user, &key.to_string(), 1, charge())).collect();
    let replies = all_at_once(&[desk], submissions).await;
    assert!(replies.iter().all(is_done));
    let page = SqlAccounts::new(database.clone()).ledger(user, None, 60).await.unwrap().unwrap();
    let balances: Vec<i64> = page.entries.iter().map(|entry| entry.balance_after.won()).collect();
    assert_eq!(balances, (1..=60).rev().collect::<Vec<_>>());
    assert_eq!(page.balance, won(60));
}

/// Faults at every step of a unit of work; an order placed through them is placed once, with its answer.
#[tokio::test(start_paused = true)]
async fn a_fault_at_any_step_neither_loses_nor_doubles_an_order() {
    let faults = [
        Fault::BeginBusy,
        Fault::LockBusy,
        Fault::WriteBusy,
        Fault::CommitRefused,
        Fault::CommitAnswerLost { applied: true },
        Fault::CommitAnswerLost { applied: false },
    ];
    for first in faults {
        for second in faults {
            let shop = Shop::memory();
            let Backend::Memory(memory) = &shop.backend else { unreachable!() };
            let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
            let desk = shop.desk();
            memory.faults().push(first);
            memory.faults().push(second);
            let reply = desk.submit(keyed(user, "k", 1, by_points(user, product, 1))).await.unwrap();
            let answer = match reply {
                DeskReply::Decided { answer, .. } => answer.unwrap(),
                DeskReply::Confirmed(answer) => answer,
                other => panic!("{first:?}, {second:?}: {other:?}"),
            };
            let again = desk.submit(keyed(user, "k", 1, by_points(user, product, 1))).await.unwrap();
            assert_eq!(again, DeskReply::Replayed(answer), "{first:?}, {second:?}");
            let books = shop.books().await;
            assert_eq!(
                (books.orders.len(), books.stocks[&product.0], books.answers),
                (1, 9, 1),
                "{first:?}, {second:?}"
            );
            assert_eq!(shop.violations().await, [""; 0]);
        }
    }
}

/// A database that goes away when a commit's answer is lost, and comes back when a test says so.
struct GoesAway {
    storage: Arc<dyn Storage>,
    begun: AtomicUsize,
    away: AtomicBool,
}

#[async_trait]
impl Storage for GoesAway {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        self.storage.order_parts(orders).await
    }

    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        if self.begun.fetch_add(1, Ordering::SeqCst) > 0 && self.away.load(Ordering::SeqCst) {
            return Err(StorageError::Unavailable("away".into()));
        }
        self.storage.begin(name).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_told_and_the_same_key_finds_it() {
    for applied in [true, false] {
        let shop = Shop::memory();
        let Backend::Memory(memory) = &shop.backend else { unreachable!() };
        let (user, product) = (shop.user(10_000).await, shop.product(1_000, 10).await);
        let storage = Arc::new(GoesAway {
            storage: shop.storage(),
            begun: AtomicUsize::new(0),
            away: AtomicBool::new(true),
        });
        let desk = shop.desk_on(storage.clone(), DeskOptions::default());
        memory.faults().push(Fault::CommitAnswerLost { applied });
        let submission = || keyed(user, "k", 1, by_points(user, product, 1));
        assert_eq!(desk.submit(submission()).await, Err(SubmitError::OutcomeUnknown));
        assert_eq!(shop.books().await.orders.len(), usize::from(applied));
        storage.away.store(false, Ordering::SeqCst);
        let again = desk.submit(submission()).await.unwrap();
        assert_eq!(matches!(again, DeskReply::Replayed(_)), applied);
        assert_eq!(shop.books().await.orders.len(), 1);
        assert_eq!(shop.violations().await, [""; 0]);
    }
}

/// Every statement of a batch fails in turn: nothing of the batch is visible, and the next try is whole.
#[tokio::test]
async fn a_statement_that_fails_takes_the_whole_command_with_it() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    let (user, product) = (shop.user(1_000_000).await, shop.product(5_000, 100).await);
    let coupon = shop.coupon(None).await;
    let desk = shop.desk();
    let issued = match shop.run(&desk, CommandKind::IssueCoupon { coupon, user }).await.unwrap() {
        Outcome::CouponIssued(issued, _) => issued.id,
        other => panic!("{other:?}"),
    };
    let order = |card| {
        let kind = if card { by_card(user, product, 2, 700) } else { by_points(user, product, 2) };
        let CommandKind::Place(place) = kind else { unreachable!() };
        CommandKind::Place(PlaceOrder { issued_coupon: Some(issued), ..place })
    };
    let inserted =
        ["orders", "order_lines", "payments", "payment_events", "point_ledger", "outbox", "idempotency_keys"];
    let place: Vec<_> = inserted.map(|table| ("INSERT", table)).into_iter().collect();
    let updated = [("UPDATE", "products"), ("UPDATE", "users"), ("UPDATE", "issued_coupons")];
    let cancel = [("UPDATE", "orders"), ("UPDATE", "payments"), ("DELETE", "payment_checks")];
    for card in [false, true] {
        let checks = card.then_some(("INSERT", "payment_checks"));
        for (operation, table) in place.iter().copied().chain(updated).chain(checks) {
            let label = format!("place, card {card}, {operation} {table}");
            fails_whole(&shop, database, &desk, (operation, table), user, order(card), &label).await;
        }
        let placed = order_of(shop.run(&desk, order(card)).await.unwrap()).id;
        let kept = [
            ("INSERT", "point_ledger"),
            ("INSERT", "payment_events"),
            ("INSERT", "outbox"),
            ("INSERT", "idempotency_keys"),
        ];
        for (operation, table) in kept.into_iter().chain(updated).chain(cancel) {
            if table == "payment_checks" && !card {
                continue;
            }
            let label = format!("cancel, card {card}, {operation} {table}");
            let kind = CommandKind::Cancel { order: placed, by: Actor::Customer(user) };
            fails_whole(&shop, database, &desk, (operation, table), user, kind, &label).await;
        }
        let canceled =
            shop.run(&desk, CommandKind::Cancel { order: placed, by: Actor::Customer(user) }).await;
        assert!(canceled.is_ok());
        assert_eq!(shop.violations().await, [""; 0]);
    }
}

async fn fails_whole(
    shop: &Shop,
    database: &Database,
    desk: &OrderDesk,
    (operation, table): (&'static str, &str),
    user: UserId,
    kind: CommandKind,
    label: &str,
) {
    let before = shop.books().await;
    let trigger = Template::new(
        "CREATE TRIGGER broken BEFORE {operation} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END",
    )
    .fragment("operation", operation)
    .identifier("table", table);
    execute(database, trigger, []).await;
    let reply = desk.submit(keyed(user, label, 1, kind)).await;
    execute(database, "DROP TRIGGER broken", []).await;
    assert_eq!(reply, Err(SubmitError::Failed), "{label}");
    assert_eq!(shop.books().await, before, "{label}: something of it is visible");
}

/// One statement a table: a batch of one and a batch of hundreds run the same number of statements.
#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_batch() {
    let shop = Shop::sqlite().await;
    let Backend::Sql { database, .. } = &shop.backend else { unreachable!() };
    let mut counts = Vec::new();
    for size in [1, 200] {
        let mut submissions = Vec::new();
        for _ in 0..size {
            let (user, product) = (shop.user(100_000).await, shop.product(1_000, 10).await);
            let more = shop.product(2_000, 10).await;
            let CommandKind::Place(place) = by_points(user, product, 1) else { unreachable!() };
            let place = PlaceOrder { lines: vec![line(product, 1), line(more, 2)], ..place };
            submissions.push(Arc::new(keyed(user, "k", 1, CommandKind::Place(place))));
        }
        database.statements().reset();
        // One worker takes all of them as one batch, or as a first one and the rest.
        let desk = shop.desk();
        let waiting: Vec<_> = submissions.iter().map(|s| desk.submit(Submission::clone(s))).collect();
        let replies = futures::future::join_all(waiting).await;
        assert!(replies.iter().all(is_done));
        counts.push(database.statements().count("order_desk"));
    }
    assert_eq!(counts[0], counts[1], "statements of a batch of 1 and of 200");
}
