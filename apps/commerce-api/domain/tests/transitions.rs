//! Every reachable (order, payment) state × every command: what follows, in one table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use commerce_api_domain::*;
use support::*;

/// The commands, in the order of the table's columns.
const COMMANDS: [&str; 13] = [
    "SEND",
    "NOT_SENT",
    "ACCEPTED",
    "ACCEPTED other",
    "UNKNOWN",
    "CAPTURED",
    "CAPTURED other",
    "DECLINED",
    "NOT_RECORDED again",
    "NOT_RECORDED failed",
    "REFUND_SETTLED",
    "CANCEL",
    "EXPIRE",
];

/// One row a state: how it is reached, and what each command leads to. `=` is a no-op answered as success, `!` an
/// error that names both states, `+` a duplicate capture that changes neither, anything else the order and payment after
/// it.
const TABLE: &[(&str, &[&str], [&str; 13])] = &[
    (
        "PAYMENT_PENDING/PENDING",
        &[],
        [
            "PAYMENT_PENDING/REQUESTING",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "!",
            "CANCELED/VOIDED",
            "EXPIRED/VOIDED",
        ],
    ),
    (
        "PAYMENT_PENDING/PENDING",
        &["SEND", "NOT_SENT"],
        [
            "PAYMENT_PENDING/REQUESTING",
            "=",
            "PAYMENT_PENDING/PROCESSING",
            "PAYMENT_PENDING/PROCESSING",
            "!",
            "PAID/SUCCESS",
            "PAID/SUCCESS",
            "PAYMENT_FAILED/FAILED",
            "!",
            "!",
            "!",
            "CANCELED/VOIDED",
            "EXPIRED/VOIDED",
        ],
    ),
    (
        "PAYMENT_PENDING/REQUESTING",
        &["SEND"],
        [
            "!",
            "PAYMENT_PENDING/PENDING",
            "PAYMENT_PENDING/PROCESSING",
            "PAYMENT_PENDING/PROCESSING",
            "PAYMENT_PENDING/UNKNOWN",
            "PAID/SUCCESS",
            "PAID/SUCCESS",
            "PAYMENT_FAILED/FAILED",
            "PAYMENT_PENDING/PENDING",
            "PAYMENT_FAILED/FAILED",
            "!",
            "CANCELED/REQUESTING",
            "EXPIRED/REQUESTING",
        ],
    ),
    (
        "PAYMENT_PENDING/PROCESSING",
        &["SEND", "ACCEPTED"],
        [
            "!",
            "!",
            "=",
            "!",
            "=",
            "PAID/SUCCESS",
            "PAID/SUCCESS",
            "PAYMENT_FAILED/FAILED",
            "!",
            "!",
            "!",
            "CANCELED/PROCESSING",
            "EXPIRED/PROCESSING",
        ],
    ),
    (
        "PAYMENT_PENDING/UNKNOWN",
        &["SEND", "UNKNOWN"],
        [
            "!",
            "!",
            "PAYMENT_PENDING/PROCESSING",
            "PAYMENT_PENDING/PROCESSING",
            "=",
            "PAID/SUCCESS",
            "PAID/SUCCESS",
            "PAYMENT_FAILED/FAILED",
            "PAYMENT_PENDING/PENDING",
            "PAYMENT_FAILED/FAILED",
            "!",
            "CANCELED/UNKNOWN",
            "EXPIRED/UNKNOWN",
        ],
    ),
    (
        "PAID/SUCCESS",
        &["SEND", "CAPTURED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "!", "CANCEL_PENDING/REFUND_PENDING", "="],
    ),
    (
        "PAYMENT_FAILED/FAILED",
        &["SEND", "DECLINED"],
        [
            "!",
            "!",
            "=",
            "!",
            "=",
            "PAYMENT_FAILED/REFUND_PENDING",
            "PAYMENT_FAILED/REFUND_PENDING",
            "=",
            "!",
            "!",
            "!",
            "!",
            "=",
        ],
    ),
    (
        "PAYMENT_FAILED/REFUND_PENDING",
        &["SEND", "DECLINED", "CAPTURED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "PAYMENT_FAILED/REFUNDED", "!", "="],
    ),
    (
        "PAYMENT_FAILED/REFUNDED",
        &["SEND", "DECLINED", "CAPTURED", "REFUND_SETTLED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "=", "!", "="],
    ),
    (
        "CANCEL_PENDING/REFUND_PENDING",
        &["SEND", "CAPTURED", "CANCEL"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "CANCELED/REFUNDED", "=", "="],
    ),
    (
        "CANCELED/REFUNDED",
        &["SEND", "CAPTURED", "CANCEL", "REFUND_SETTLED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "=", "=", "="],
    ),
    (
        "CANCELED/VOIDED",
        &["CANCEL"],
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "!",
            "!",
            "!",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/REQUESTING",
        &["SEND", "CANCEL"],
        [
            "!",
            "CANCELED/VOIDED",
            "CANCELED/PROCESSING",
            "CANCELED/PROCESSING",
            "CANCELED/UNKNOWN",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "CANCELED/FAILED",
            "=",
            "CANCELED/FAILED",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/PROCESSING",
        &["SEND", "ACCEPTED", "CANCEL"],
        [
            "!",
            "!",
            "=",
            "!",
            "=",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "CANCELED/FAILED",
            "!",
            "!",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/UNKNOWN",
        &["SEND", "UNKNOWN", "CANCEL"],
        [
            "!",
            "!",
            "CANCELED/PROCESSING",
            "CANCELED/PROCESSING",
            "=",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "CANCELED/FAILED",
            "=",
            "CANCELED/FAILED",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/VOIDED",
        &["SEND", "CANCEL", "NOT_SENT"],
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "=",
            "!",
            "!",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/FAILED",
        &["SEND", "UNKNOWN", "CANCEL", "NOT_RECORDED failed"],
        [
            "!",
            "!",
            "!",
            "!",
            "=",
            "CANCELED/REFUND_PENDING",
            "CANCELED/REFUND_PENDING",
            "=",
            "!",
            "!",
            "!",
            "=",
            "=",
        ],
    ),
    (
        "CANCELED/REFUND_PENDING",
        &["SEND", "CANCEL", "CAPTURED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "CANCELED/REFUNDED", "=", "="],
    ),
    (
        "EXPIRED/VOIDED",
        &["EXPIRE"],
        [
            "!",
            "!",
            "!",
            "!",
            "!",
            "EXPIRED/REFUND_PENDING",
            "EXPIRED/REFUND_PENDING",
            "!",
            "!",
            "!",
            "!",
            "!",
            "=",
        ],
    ),
    (
        "EXPIRED/REQUESTING",
        &["SEND", "EXPIRE"],
        [
            "!",
            "EXPIRED/VOIDED",
            "EXPIRED/PROCESSING",
            "EXPIRED/PROCESSING",
            "EXPIRED/UNKNOWN",
            "EXPIRED/REFUND_PENDING",
            "EXPIRED/REFUND_PENDING",
            "EXPIRED/FAILED",
            "=",
            "EXPIRED/FAILED",
            "!",
            "!",
            "=",
        ],
    ),
    (
        "EXPIRED/REFUNDED",
        &["SEND", "EXPIRE", "CAPTURED", "REFUND_SETTLED"],
        ["!", "!", "=", "!", "=", "=", "+", "!", "!", "!", "=", "!", "="],
    ),
];

const FENCE: i64 = 7;

fn command(name: &str, order: &Order) -> CommandKind {
    let (id, attempt) = (order.id, order.payment.attempt);
    let payment = |command| CommandKind::Payment { order: id, command };
    match name {
        "SEND" => payment(PaymentCommand::Send),
        "NOT_SENT" => payment(PaymentCommand::NotSent { attempt, fence: FENCE }),
        "ACCEPTED" => payment(PaymentCommand::Accepted { key: "K".into() }),
        "ACCEPTED other" => payment(PaymentCommand::Accepted { key: "OTHER".into() }),
        "UNKNOWN" => payment(PaymentCommand::OutcomeUnknown { attempt }),
        "CAPTURED" => payment(PaymentCommand::Captured { key: "K".into() }),
        "CAPTURED other" => payment(PaymentCommand::Captured { key: "OTHER".into() }),
        "DECLINED" => payment(PaymentCommand::Declined { key: "K".into(), reason: "no".into() }),
        "NOT_RECORDED again" => {
            payment(PaymentCommand::NotRecorded { attempt, fence: FENCE, then: NotRecorded::SendAgain })
        }
        "NOT_RECORDED failed" => {
            payment(PaymentCommand::NotRecorded { attempt, fence: FENCE, then: NotRecorded::Failed })
        }
        "REFUND_SETTLED" => payment(PaymentCommand::RefundSettled),
        "CANCEL" => CommandKind::Cancel { order: id, by: Actor::Customer(USER) },
        "EXPIRE" => CommandKind::Expire { order: id },
        other => panic!("no command {other}"),
    }
}

/// A world in which an order paid by points and card has come into a state through real commands.
fn reach(path: &[&str]) -> (World, OrderId) {
    let mut world = World::new();
    let order = world.place(by_card(vec![line(TEA, 3)], 700)).unwrap();
    world.set.snapshot.fences.insert(order.payment.id, FENCE);
    world.much_later();
    for step in path {
        let kind = command(step, world.order(order.id));
        world.run(kind).unwrap_or_else(|refusal| panic!("{path:?} at {step}: {refusal}"));
    }
    (world, order.id)
}

fn name(order: &Order) -> String {
    format!("{}/{}", order.status.name(), order.payment.status.name())
}

#[test]
fn every_state_and_command_pair_is_decided_as_the_table_says() {
    for (state, path, row) in TABLE {
        for (column, expected) in COMMANDS.iter().zip(row) {
            let (mut world, id) = reach(path);
            assert_eq!(name(world.order(id)), *state, "{path:?}");
            let before = world.set.clone();
            let kind = command(column, world.order(id));
            let result = world.run(kind);
            let label = format!("{state} by {path:?} × {column}");
            match (*expected, result) {
                ("=", Ok(_)) => assert_eq!(world.set, before, "{label}: a no-op changes nothing"),
                ("+", Ok(_)) => {
                    assert_eq!(name(world.order(id)), *state, "{label}");
                    assert_eq!(world.order(id).payment.duplicates.len(), 1, "{label}");
                }
                ("!", Err(refusal)) => {
                    assert_eq!(world.set, before, "{label}: a refusal changes nothing");
                    let current = world.order(id);
                    let text = refusal.to_string();
                    let names =
                        text.contains(current.status.name()) || text.contains(current.payment.status.name());
                    assert!(
                        names || matches!(refusal, Refusal::Payment(IllegalMove::Stale { .. })),
                        "{label}: {text}"
                    );
                }
                (next, Ok(_)) => assert_eq!(name(world.order(id)), next, "{label}"),
                (_, Err(refusal)) => panic!("{label}: expected {expected}, refused: {refusal}"),
            }
            check_books(&world, id, &label);
        }
    }
}

/// What was taken is held exactly while the order is live, and the row is the fold of its events.
fn check_books(world: &World, id: OrderId, label: &str) {
    let order = world.order(id);
    assert!(pair_is_allowed(order.status, order.payment.status), "{label}: {}", name(order));
    let live = order.status.is_live();
    assert_eq!(world.stock(TEA), if live { 7 } else { 10 }, "{label}: stock");
    let earned = if order.status == OrderStatus::Paid { order.points_earned.won() } else { 0 };
    let held = if live { 700 } else { 0 };
    assert_eq!(world.balance(), 100_000 - held + earned, "{label}: balance");
    let history: Vec<_> =
        world.set.payment_events.iter().filter(|event| event.payment == order.payment.id).collect();
    let folded = order.payment.refold(history.iter().copied()).unwrap();
    assert_eq!(folded, order.payment, "{label}: fold");
    let sequences: Vec<i64> =
        world.set.events.iter().filter(|e| e.aggregate == Aggregate::Order(id)).map(|e| e.sequence).collect();
    assert!(sequences.iter().copied().eq(1..=order.event_seq), "{label}: {sequences:?}");
}

#[test]
fn the_table_has_every_pair_that_is_allowed() {
    let mut reached: std::collections::BTreeSet<(OrderStatus, PaymentStatus)> =
        std::collections::BTreeSet::new();
    for (_, path, _) in TABLE {
        for column in COMMANDS {
            let (mut world, id) = reach(path);
            let kind = command(column, world.order(id));
            let _ = world.run(kind);
            let order = world.order(id);
            reached.insert((order.status, order.payment.status));
        }
    }
    for order in OrderStatus::ALL {
        for payment in PaymentStatus::ALL {
            let allowed = pair_is_allowed(order, payment);
            assert_eq!(reached.contains(&(order, payment)), allowed, "{} {}", order.name(), payment.name());
        }
    }
}

#[test]
fn a_conclusion_about_an_attempt_or_fence_that_moved_is_refused() {
    for path in [&["SEND"][..], &["SEND", "UNKNOWN"]] {
        for (attempt, fence) in [(2, FENCE), (0, FENCE), (1, FENCE - 1), (1, FENCE + 1)] {
            let (mut world, id) = reach(path);
            let failed = PaymentCommand::NotRecorded { attempt, fence, then: NotRecorded::Failed };
            for command in [PaymentCommand::NotSent { attempt, fence }, failed] {
                let refusal = world.payment(id, command).unwrap_err();
                assert_eq!(refusal, Refusal::Payment(IllegalMove::Stale { attempt, fence }));
            }
        }
    }
}

#[test]
fn an_order_paid_by_points_takes_no_fact_about_a_card() {
    for column in COMMANDS.iter().filter(|name| !matches!(**name, "CANCEL" | "EXPIRE")) {
        let mut world = World::new();
        let order = world.place(by_points(vec![line(TEA, 3)])).unwrap();
        world.set.snapshot.fences.insert(order.payment.id, FENCE);
        assert!(world.run(command(column, &order)).is_err(), "{column}");
    }
}

#[test]
fn a_capture_beyond_the_one_that_counts_is_noted_once_and_given_back_once() {
    for path in [&["SEND", "CAPTURED"][..], &["SEND", "CAPTURED", "CANCEL"], &["SEND", "EXPIRE", "CAPTURED"]]
    {
        let (mut world, id) = reach(path);
        let before = world.order(id).clone();
        let other = || PaymentCommand::Captured { key: "OTHER".into() };
        let refunded = || PaymentCommand::DuplicateRefunded { key: "OTHER".into() };
        assert!(world.payment(id, refunded()).is_err(), "{path:?}: nothing to give back yet");
        for command in [other(), other(), refunded(), refunded(), other()] {
            world.payment(id, command).unwrap();
        }
        let order = world.order(id);
        assert_eq!(name(order), name(&before), "{path:?}");
        assert_eq!(order.payment.gateway_key.as_deref(), Some("K"), "{path:?}");
        let known = [DuplicateCapture { key: "OTHER".into(), refunded: true }];
        assert_eq!(order.payment.duplicates, known, "{path:?}");
        assert_eq!(order.payment.event_seq, before.payment.event_seq + 2, "{path:?}");
        check_books(&world, id, "a duplicate");
    }
}

#[test]
fn the_decline_of_another_transaction_does_not_end_the_one_that_is_followed() {
    let (mut world, id) = reach(&["SEND", "ACCEPTED"]);
    let before = world.set.clone();
    world.payment(id, PaymentCommand::Declined { key: "OTHER".into(), reason: "no".into() }).unwrap();
    assert_eq!(world.set, before);
}
