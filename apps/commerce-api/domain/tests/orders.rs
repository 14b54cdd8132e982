//! Placing, cancelling and expiring orders; points, stock and coupons.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use commerce_api_domain::*;
use support::*;

fn issue(world: &mut World, user: UserId) -> Result<IssuedCouponId, Refusal> {
    match world.run(CommandKind::IssueCoupon { coupon: TEN_PERCENT, user })? {
        Outcome::CouponIssued(issued, _) => Ok(issued.id),
        other => panic!("not a coupon: {other:?}"),
    }
}

#[test]
fn points_pay_an_order_at_once_and_earn_one_percent() {
    let mut world = World::new();
    let order = world.place(by_points(vec![line(TEA, 2), line(CUP, 1)])).unwrap();
    assert_eq!((order.status, order.payment.status), (OrderStatus::Paid, PaymentStatus::Success));
    assert_eq!((order.total.won(), order.points_earned.won()), (4_550, 45));
    assert_eq!(world.balance(), 100_000 - 4_550 + 45);
    assert_eq!((world.stock(TEA), world.stock(CUP)), (8, 4));
    assert_eq!(world.ledger_kinds(order.id), [(LedgerKind::Use, 4_550), (LedgerKind::Earn, 45)]);
    assert_eq!(world.event_names(), ["OrderCreated", "OrderPaid"]);
}

#[test]
fn a_cancel_gives_back_exactly_what_was_taken() {
    let mut world = World::new();
    let coupon = issue(&mut world, USER).unwrap();
    let request = PlaceOrder { issued_coupon: Some(coupon), ..by_points(vec![line(TEA, 10)]) };
    let order = world.place(request).unwrap();
    assert_eq!((order.discount.won(), order.total.won()), (1_000, 9_000));
    let canceled = world.cancel(order.id).unwrap();
    assert_eq!((canceled.status, canceled.payment.status), (OrderStatus::Canceled, PaymentStatus::Refunded));
    assert_eq!((world.balance(), world.stock(TEA)), (100_000, 10));
    assert_eq!(world.set.snapshot.issued[&coupon].status, IssuedCouponStatus::Usable);
    let kinds = [
        (LedgerKind::Use, 9_000),
        (LedgerKind::Earn, 90),
        (LedgerKind::Refund, 9_000),
        (LedgerKind::Revoke, 90),
    ];
    assert_eq!(world.ledger_kinds(order.id), kinds);
    let events = world.event_names();
    assert_eq!(
        events,
        [
            "CouponIssued",
            "StockDepleted",
            "OrderCreated",
            "CouponUsed",
            "OrderPaid",
            "StockRestored",
            "CouponRestored",
            "OrderCanceled"
        ]
    );
    // A second cancel is answered as done and moves nothing.
    let before = world.set.clone();
    assert_eq!(world.cancel(order.id).unwrap(), canceled);
    assert_eq!(world.set, before);
}

#[test]
fn a_refused_command_changes_nothing() {
    let mut world = World::new();
    let coupon = issue(&mut world, OTHER).unwrap();
    let huge = PlaceOrder { expected_total: Some(won(1)), ..by_points(vec![line(TEA, 1)]) };
    let foreign = PlaceOrder { issued_coupon: Some(coupon), ..by_points(vec![line(TEA, 1)]) };
    let half = PaymentRequest { points: Some(won(1)), card: None };
    let mut no_points = by_points(vec![line(TEA, 1)]);
    no_points.user = UserId(99);
    let before = world.set.clone();
    let refusals = [
        (
            by_points(vec![line(TEA, 1), line(CUP, 6)]),
            Refusal::OutOfStock { product: CUP, available: 5, requested: 6 },
        ),
        (by_points(vec![line(TEA, 1), line(ProductId(99), 1)]), Refusal::ProductNotFound(ProductId(99))),
        (by_points(vec![line(TEA, 1), line(STOPPED, 1)]), Refusal::ProductNotOnSale(STOPPED)),
        (huge, Refusal::PriceChanged { expected: won(1), actual: won(1_000) }),
        (foreign, Refusal::IssuedCouponNotFound),
        (
            PlaceOrder { payment: half, ..by_points(vec![line(TEA, 1)]) },
            Refusal::PaymentMismatch("without a card the points must equal the total"),
        ),
        (by_card(vec![line(TEA, 1)], 1_000), Refusal::PaymentMismatch("nothing is left for the card to pay")),
        (by_card(vec![line(TEA, 1)], 1_001), Refusal::PaymentMismatch("the points part is above the total")),
        (no_points, Refusal::UserNotFound),
    ];
    for (request, refusal) in refusals {
        assert_eq!(world.place(request).unwrap_err(), refusal);
        assert_eq!(world.set, before, "{refusal}");
    }
}

#[test]
fn a_product_named_twice_is_one_line_and_counts_whole_against_stock() {
    let mut world = World::new();
    let order = world.place(by_points(vec![line(TEA, 4), line(TEA, 6)])).unwrap();
    assert_eq!(order.lines.len(), 1);
    assert_eq!(order.lines[0].quantity.get(), 10);
    let mut world = World::new();
    let refusal = world.place(by_points(vec![line(TEA, 6), line(TEA, 5)])).unwrap_err();
    assert_eq!(refusal, Refusal::OutOfStock { product: TEA, available: 10, requested: 11 });
}

#[test]
fn a_total_beyond_money_is_refused_not_wrapped() {
    let mut world = World::new();
    let tea = world.set.snapshot.products.get_mut(&TEA).unwrap();
    (tea.price, tea.stock) = (Money::MAX, 10);
    assert_eq!(world.place(by_points(vec![line(TEA, 2)])).unwrap_err(), Refusal::AmountTooLarge);
}

#[test]
fn an_order_that_costs_nothing_is_paid_at_once() {
    let mut world = World::new();
    world.set.snapshot.products.get_mut(&TEA).unwrap().price = Money::ZERO;
    let order = world.place(by_points(vec![line(TEA, 1)])).unwrap();
    assert_eq!((order.status, order.total), (OrderStatus::Paid, Money::ZERO));
    assert_eq!(world.ledger_kinds(order.id), [(LedgerKind::Earn, 0)]);
}

#[test]
fn earned_points_that_are_spent_keep_the_order_from_being_cancelled() {
    let mut world = World::new();
    world.set.snapshot.products.get_mut(&TEA).unwrap().stock = 1_000;
    let first = world.place(by_card(vec![line(TEA, 100)], 0)).unwrap();
    world.payment(first.id, PaymentCommand::Send).unwrap();
    world.payment(first.id, PaymentCommand::Captured { key: "K".into() }).unwrap();
    assert_eq!(world.balance(), 101_000);
    world.place(by_points(vec![line(TEA, 101)])).unwrap();
    assert_eq!(world.balance(), 1_010);
    world.place(by_points(vec![line(TEA, 1)])).unwrap();
    let before = world.set.clone();
    let refusal = world.cancel(first.id).unwrap_err();
    assert_eq!(refusal, Refusal::EarnedPointsSpent { shortfall: won(1_000 - 20) });
    assert_eq!(world.set, before);
}

#[test]
fn the_points_part_comes_back_before_earned_points_are_revoked() {
    let mut world = World::new();
    world.set.snapshot.users.get_mut(&USER).unwrap().balance = won(1_000);
    let order = world.place(by_points(vec![line(TEA, 1)])).unwrap();
    assert_eq!(world.balance(), 10);
    world.set.snapshot.users.get_mut(&USER).unwrap().balance = Money::ZERO;
    world.cancel(order.id).unwrap();
    assert_eq!(world.balance(), 990);
}

#[test]
fn an_unpaid_order_expires_at_its_deadline_and_not_before() {
    let mut world = World::new();
    let order = world.place(by_card(vec![line(TEA, 3)], 500)).unwrap();
    assert_eq!((order.status, world.balance(), world.stock(TEA)), (OrderStatus::PaymentPending, 99_500, 7));
    let expire = CommandKind::Expire { order: order.id };
    assert_eq!(world.run(expire.clone()).unwrap_err(), Refusal::NotDue);
    world.now = order.expires_at.unwrap();
    let expired = support::order(world.run(expire).unwrap());
    assert_eq!((expired.status, expired.payment.status), (OrderStatus::Expired, PaymentStatus::Voided));
    assert_eq!((world.balance(), world.stock(TEA)), (100_000, 10));
    assert_eq!(world.ledger_kinds(order.id), [(LedgerKind::Use, 500), (LedgerKind::Refund, 500)]);
}

#[test]
fn a_decline_gives_points_stock_and_coupon_back_and_nothing_else() {
    let mut world = World::new();
    let coupon = issue(&mut world, USER).unwrap();
    let request = PlaceOrder { issued_coupon: Some(coupon), ..by_card(vec![line(TEA, 10)], 4_000) };
    let order = world.place(request).unwrap();
    assert_eq!((order.payment.points_part.won(), order.payment.card_part.won()), (4_000, 5_000));
    world.payment(order.id, PaymentCommand::Send).unwrap();
    let declined = PaymentCommand::Declined { key: "K".into(), reason: "limit exceeded".into() };
    let failed = world.payment(order.id, declined).unwrap();
    assert_eq!((failed.status, failed.payment.status), (OrderStatus::PaymentFailed, PaymentStatus::Failed));
    assert_eq!((world.balance(), world.stock(TEA)), (100_000, 10));
    assert_eq!(world.set.snapshot.issued[&coupon].status, IssuedCouponStatus::Usable);
}

#[test]
fn a_capture_after_the_order_closed_is_refunded_and_gives_nothing_else() {
    let mut world = World::new();
    let order = world.place(by_card(vec![line(TEA, 1)], 400)).unwrap();
    world.payment(order.id, PaymentCommand::Send).unwrap();
    world.cancel(order.id).unwrap();
    let (ledger, events) = (world.set.ledger.len(), world.set.events.len());
    let late = world.payment(order.id, PaymentCommand::Captured { key: "K".into() }).unwrap();
    assert_eq!((late.status, late.payment.status), (OrderStatus::Canceled, PaymentStatus::RefundPending));
    let done = world.payment(order.id, PaymentCommand::RefundSettled).unwrap();
    assert_eq!((done.status, done.payment.status), (OrderStatus::Canceled, PaymentStatus::Refunded));
    assert_eq!((world.set.ledger.len(), world.set.events.len()), (ledger, events));
    assert_eq!((world.balance(), world.stock(TEA)), (100_000, 10));
}

#[test]
fn another_customers_order_does_not_exist() {
    let mut world = World::new();
    let order = world.place(by_points(vec![line(TEA, 1)])).unwrap();
    let cancel = |by| CommandKind::Cancel { order: order.id, by };
    assert_eq!(world.run(cancel(Actor::Customer(OTHER))).unwrap_err(), Refusal::OrderNotFound);
    assert!(world.run(cancel(Actor::Admin(OTHER))).is_ok());
}

#[test]
fn coupons_are_issued_once_a_customer_and_up_to_the_limit() {
    let mut world = World::new();
    issue(&mut world, USER).unwrap();
    assert_eq!(issue(&mut world, USER).unwrap_err(), Refusal::CouponAlreadyIssued);
    issue(&mut world, OTHER).unwrap();
    let third = UserId(3);
    world
        .set
        .snapshot
        .users
        .insert(third, User { id: third, balance: Money::ZERO, charged_today: Money::ZERO });
    assert_eq!(issue(&mut world, third).unwrap_err(), Refusal::CouponSoldOut);
    assert_eq!(world.set.snapshot.coupons[&TEN_PERCENT].issued_count, 2);
}

#[test]
fn one_coupon_pays_one_live_order() {
    let mut world = World::new();
    let coupon = issue(&mut world, USER).unwrap();
    let request = || PlaceOrder { issued_coupon: Some(coupon), ..by_points(vec![line(TEA, 1)]) };
    let first = world.place(request()).unwrap();
    assert_eq!(world.place(request()).unwrap_err(), Refusal::CouponAlreadyUsed);
    world.cancel(first.id).unwrap();
    assert!(world.place(request()).is_ok());
}

#[test]
fn charges_are_limited_each_and_by_the_day() {
    let mut world = World::new();
    world.rules.charge_max = won(600);
    world.rules.charge_day_max = won(1_000);
    let mut charge = |amount| world.run(CommandKind::ChargePoints { user: USER, amount: won(amount) });
    assert_eq!(charge(0).unwrap_err(), Refusal::ChargeZero);
    assert_eq!(charge(601).unwrap_err(), Refusal::ChargeTooLarge { max: won(600) });
    assert!(charge(600).is_ok());
    assert_eq!(charge(401).unwrap_err(), Refusal::DailyChargeExceeded { max: won(1_000), left: won(400) });
    assert!(charge(400).is_ok());
    assert_eq!(world.balance(), 101_000);
}

#[test]
fn stock_moves_by_hand_but_never_below_zero() {
    let mut world = World::new();
    let mut move_stock =
        |kind, quantity| world.run(CommandKind::MoveStock { product: TEA, kind, quantity, reason: None });
    assert!(move_stock(MovementKind::Receipt, 5).is_ok());
    assert!(matches!(move_stock(MovementKind::Receipt, -5), Err(Refusal::MovementInvalid(_))));
    assert!(matches!(move_stock(MovementKind::Adjustment, 0), Err(Refusal::MovementInvalid(_))));
    assert_eq!(
        move_stock(MovementKind::Adjustment, -16).unwrap_err(),
        Refusal::StockTooLow { available: 15, requested: 16 }
    );
    assert_eq!(move_stock(MovementKind::Adjustment, i64::MAX).unwrap_err(), Refusal::StockTooLarge);
    assert!(move_stock(MovementKind::Adjustment, -15).is_ok());
    assert_eq!((world.stock(TEA), world.event_names()), (0, vec!["StockDepleted"]));
}

/// A customer may hold `limit` cups and holds none.
fn limited(limit: i64) -> World {
    let mut world = World::new();
    world.set_limit(CUP, Some(limit));
    world
}

const fn beyond(left: i64, requested: i64) -> Refusal {
    Refusal::PurchaseLimitExceeded { product: CUP, limit: 3, left, requested }
}

#[test]
fn a_customer_buys_no_more_than_the_limit_in_one_order_or_in_several() {
    let mut world = limited(3);
    let cups = |pieces| by_points(vec![line(CUP, pieces)]);
    assert_eq!(world.place(cups(4)), Err(beyond(3, 4)));
    assert_eq!(world.place(by_points(vec![line(CUP, 2), line(CUP, 2)])), Err(beyond(3, 4)), "merged");
    world.place(cups(2)).unwrap();
    assert_eq!(world.place(cups(2)), Err(beyond(1, 2)));
    world.place(by_card(vec![line(TEA, 4), line(CUP, 1)], 0)).unwrap();
    assert_eq!(world.place(cups(1)), Err(beyond(0, 1)));
    let other = PlaceOrder { user: OTHER, ..cups(2) };
    world.place(other).unwrap();
    assert_eq!((world.stock(CUP), world.stock(TEA)), (0, 6), "and what has no limit is not counted");
}

#[test]
fn what_ends_gives_the_allowance_back() {
    let cups = |pieces| by_points(vec![line(CUP, pieces)]);
    let mut world = limited(3);
    let paid = world.place(cups(3)).unwrap();
    world.cancel(paid.id).unwrap();
    let declined = world.place(by_card(vec![line(CUP, 3)], 0)).unwrap();
    world.payment(declined.id, PaymentCommand::Send).unwrap();
    assert_eq!(world.place(cups(1)), Err(beyond(0, 1)), "while it waits it counts");
    world.payment(declined.id, PaymentCommand::Declined { key: "K".into(), reason: "no".into() }).unwrap();
    let expired = world.place(by_card(vec![line(CUP, 3)], 0)).unwrap();
    world.much_later();
    world.run(CommandKind::Expire { order: expired.id }).unwrap();
    // Its card part is still to be refunded, but its pieces are back.
    let refunding = world.place(by_card(vec![line(CUP, 3)], 0)).unwrap();
    world.payment(refunding.id, PaymentCommand::Send).unwrap();
    world.payment(refunding.id, PaymentCommand::Captured { key: "L".into() }).unwrap();
    assert_eq!(world.place(cups(1)), Err(beyond(0, 1)));
    assert_eq!(world.cancel(refunding.id).unwrap().status, OrderStatus::CancelPending);
    world.place(cups(3)).unwrap();
}

#[test]
fn a_lower_limit_is_one_of_new_orders() {
    let mut world = limited(5);
    let kept = world.place(by_points(vec![line(CUP, 4)])).unwrap();
    world.set_limit(CUP, Some(3));
    assert_eq!(world.place(by_points(vec![line(CUP, 1)])), Err(beyond(0, 1)));
    assert_eq!(world.set.snapshot.orders[&kept.id].status, OrderStatus::Paid);
    world.cancel(kept.id).unwrap();
    world.place(by_points(vec![line(CUP, 3)])).unwrap();
}

#[test]
fn a_limit_whose_purchases_were_not_read_is_our_own_bug() {
    let mut world = limited(3);
    world.set.snapshot.purchased.clear();
    let refused = world.place(by_points(vec![line(CUP, 1)]));
    assert!(matches!(refused, Err(Refusal::Inconsistent(_))), "{refused:?}");
}
