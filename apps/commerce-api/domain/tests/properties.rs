//! Random sequences of commands: the books balance after every one of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use commerce_api_domain::*;
use proptest::prelude::*;
use support::*;

/// How much tea a customer may hold; less than there is.
const TEA_LIMIT: i64 = 4;

#[derive(Debug, Clone)]
enum Step {
    Place { user: bool, tea: i64, cup: i64, points: Option<i64>, card: bool, coupon: bool },
    Cancel(usize),
    Expire(usize),
    Payment(usize, u8),
    Charge(bool, i64),
    Stock(i64),
    Issue(bool),
    Later(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), 1i64..4, 0i64..3, prop::option::of(0i64..4_000), any::<bool>(), any::<bool>())
            .prop_map(|(user, tea, cup, points, card, coupon)| Step::Place { user, tea, cup, points, card, coupon }),
        3 => (0usize..8).prop_map(Step::Cancel),
        2 => (0usize..8).prop_map(Step::Expire),
        6 => ((0usize..8), any::<u8>()).prop_map(|(order, command)| Step::Payment(order, command)),
        1 => (any::<bool>(), 0i64..2_000_000).prop_map(|(user, amount)| Step::Charge(user, amount)),
        1 => (-5i64..6).prop_map(Step::Stock),
        1 => any::<bool>().prop_map(Step::Issue),
        1 => (0u32..2_000).prop_map(Step::Later),
    ]
}

fn user(other: bool) -> UserId {
    if other { OTHER } else { USER }
}

fn payment_command(choice: u8, attempt: i64) -> PaymentCommand {
    let key = if choice & 0x80 == 0 { "K" } else { "L" };
    match choice % 9 {
        0 => PaymentCommand::Send,
        1 => PaymentCommand::NotSent { attempt, fence: 1 },
        2 => PaymentCommand::Accepted { key: key.into() },
        3 => PaymentCommand::OutcomeUnknown { attempt },
        4 => PaymentCommand::Captured { key: key.into() },
        5 => PaymentCommand::Declined { key: key.into(), reason: "no".into() },
        6 => PaymentCommand::NotRecorded { attempt, fence: 1, then: NotRecorded::SendAgain },
        7 => PaymentCommand::DuplicateRefunded { key: key.into() },
        _ => PaymentCommand::RefundSettled,
    }
}

/// The command of a step, if the world is ready for it.
fn kind(world: &World, orders: &[OrderId], step: &Step) -> Option<CommandKind> {
    Some(match step {
        Step::Place { user: other, tea, cup, points, card, coupon } => {
            let mut lines = vec![line(TEA, *tea)];
            if *cup > 0 {
                lines.push(line(CUP, *cup));
            }
            let mine = |issued: &&IssuedCoupon| issued.user == user(*other);
            let issued = world.set.snapshot.issued.values().find(mine).map(|issued| issued.id);
            let details = CardDetails { brand: CardBrand::Kb, last_four: "0000".into() };
            CommandKind::Place(PlaceOrder {
                user: user(*other),
                issued_coupon: issued.filter(|_| *coupon),
                payment: PaymentRequest { points: points.map(won), card: card.then_some(details) },
                ..by_points(lines)
            })
        }
        Step::Cancel(index) => {
            CommandKind::Cancel { order: *orders.get(*index)?, by: Actor::Admin(UserId(9)) }
        }
        Step::Expire(index) => CommandKind::Expire { order: *orders.get(*index)? },
        Step::Payment(index, choice) => {
            let order = *orders.get(*index)?;
            let attempt = world.order(order).payment.attempt;
            CommandKind::Payment { order, command: payment_command(*choice, attempt) }
        }
        Step::Charge(other, amount) => CommandKind::ChargePoints { user: user(*other), amount: won(*amount) },
        Step::Stock(quantity) => CommandKind::MoveStock {
            product: TEA,
            kind: MovementKind::Adjustment,
            quantity: *quantity,
            reason: None,
        },
        Step::Issue(other) => CommandKind::IssueCoupon { coupon: TEN_PERCENT, user: user(*other) },
        Step::Later(_) => return None,
    })
}

/// Invariants 1 to 4 of the data model, recounted from what was written.
fn check(world: &World, start: &World, orders: &[OrderId]) {
    let set = &world.set;
    for (id, product) in &set.snapshot.products {
        let moved: i64 = set.movements.iter().filter(|row| row.product == *id).map(|row| row.quantity).sum();
        let live = orders.iter().map(|order| world.order(*order)).filter(|order| order.status.is_live());
        let held: i64 = live
            .flat_map(|order| order.lines.iter())
            .filter(|line| line.product == *id)
            .map(|line| line.quantity.get())
            .sum();
        assert!(product.stock >= 0);
        assert_eq!(product.stock + held, start.set.snapshot.products[id].stock + moved, "stock of {id}");
    }
    for (id, account) in &set.snapshot.users {
        let moved: i64 =
            set.ledger.iter().filter(|row| row.user == *id).map(LedgerEntry::signed_amount).sum();
        assert_eq!(
            account.balance.won(),
            start.set.snapshot.users[id].balance.won() + moved,
            "balance of {id}"
        );
    }
    for user in [USER, OTHER] {
        let orders = orders.iter().map(|order| world.order(*order));
        let live = orders.filter(|order| order.user == user && order.status.is_live());
        let lines: Vec<_> =
            live.flat_map(|order| order.lines.iter()).filter(|line| line.product == TEA).collect();
        let held: i64 = lines.iter().map(|line| line.quantity.get()).sum();
        assert!(held <= TEA_LIMIT, "{user:?} holds {held}");
        assert_eq!(set.snapshot.purchased[&(user, TEA)], held);
    }
    let mut used: BTreeMap<IssuedCouponId, usize> = BTreeMap::new();
    for id in orders {
        let order = world.order(*id);
        check_order(world, order);
        if let (true, Some(coupon)) = (order.status.is_live(), order.issued_coupon) {
            *used.entry(coupon).or_default() += 1;
        }
    }
    for issued in set.snapshot.issued.values() {
        let expected = usize::from(issued.status == IssuedCouponStatus::Used);
        assert_eq!(used.get(&issued.id).copied().unwrap_or_default(), expected, "coupon {}", issued.id);
    }
}

fn check_order(world: &World, order: &Order) {
    let ledger: BTreeMap<LedgerKind, i64> = world.ledger_kinds(order.id).into_iter().collect();
    assert_eq!(ledger.len(), world.ledger_kinds(order.id).len(), "one row a kind");
    let points = order.payment.points_part.won();
    let entry = |kind| ledger.get(&kind).copied();
    assert_eq!(entry(LedgerKind::Use).unwrap_or_default(), points);
    assert_eq!(
        entry(LedgerKind::Refund).unwrap_or_default(),
        if order.status.is_live() { 0 } else { points }
    );
    assert_eq!(entry(LedgerKind::Earn), order.paid_at.map(|_| order.points_earned.won()));
    let left_paid = order.paid_at.is_some() && order.status != OrderStatus::Paid;
    assert_eq!(entry(LedgerKind::Revoke), left_paid.then_some(order.points_earned.won()));
    assert_eq!(order.payment.points_part.checked_add(order.payment.card_part).unwrap(), order.total);
    let lines = order.lines.iter().map(|line| line.unit_price.checked_mul(line.quantity.get()).unwrap());
    assert_eq!(Money::sum(lines).unwrap().checked_sub(order.discount).unwrap(), order.total);
    assert!(pair_is_allowed(order.status, order.payment.status));
    let history = world.set.payment_events.iter().filter(|event| event.payment == order.payment.id);
    assert_eq!(order.payment.refold(history).unwrap(), order.payment);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_after_every_command(steps in prop::collection::vec(step(), 1..60)) {
        let start = World::new();
        let mut world = World::new();
        world.set_limit(TEA, Some(TEA_LIMIT));
        let mut orders = Vec::new();
        for step in &steps {
            if let Step::Later(seconds) = step {
                world.now = world.now.plus(std::time::Duration::from_secs(u64::from(*seconds)));
            }
            let Some(kind) = kind(&world, &orders, step) else { continue };
            let before = world.set.clone();
            match world.run(kind) {
                Ok(Outcome::Order(order)) => {
                    world.set.snapshot.fences.insert(order.payment.id, 1);
                    if matches!(step, Step::Place { .. }) {
                        orders.push(order.id);
                    }
                }
                Ok(_) => {}
                Err(refusal) => {
                    prop_assert_eq!(&world.set, &before);
                    prop_assert!(!matches!(refusal, Refusal::Inconsistent(_)), "{}", refusal);
                }
            }
            check(&world, &start, &orders);
        }
    }
}
