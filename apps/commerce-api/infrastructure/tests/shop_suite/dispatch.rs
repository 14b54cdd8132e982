//! The payment dispatcher against a gateway that fails in every way it can.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use commerce_api_application::payments::DispatchOptions;
use commerce_api_application::ports::{Clock as _, GatewayAbilities, OpenFilter};
use commerce_api_domain::*;
use tokio::sync::watch;

use crate::gateway::{Meets, key_of};
use crate::shop::*;
use crate::till::*;

const HOUR: Duration = Duration::from_hours(1);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test]
async fn a_card_payment_settles_without_a_callback() {
    at_every_till(|till| async move {
        let order = till.place(3_000).await;
        assert_eq!(till.step().await, 1);
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert!(till.shop.books().await.vault.is_empty(), "accepted: the number is needed no longer");
        assert_eq!(till.step().await, 0, "it waits");
        till.gateway.capture();
        till.later(secs(1));
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.payment(&order).await.gateway_key.as_deref(), Some(&*key_of(1)));
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_decline_gives_back_stock_points_and_coupon_once() {
    at_every_till(|till| async move {
        let (user, coupon) = (till.user, till.shop.coupon(None).await);
        let issue = CommandKind::IssueCoupon { coupon, user };
        let Outcome::CouponIssued(issued, _) = till.shop.run(&till.desk, issue).await.unwrap() else {
            panic!("no coupon")
        };
        let CommandKind::Place(place) = by_card(user, till.product, 2, 3_000) else { unreachable!() };
        let kind = CommandKind::Place(PlaceOrder { issued_coupon: Some(issued.id), ..place });
        let order = till.run(kind.clone()).await.unwrap();
        assert_eq!(order.payment.card_part.won(), 20_000 - 1_000 - 3_000);
        till.step().await;
        till.gateway.decline();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        till.gave_everything_back().await;
        till.is_settled().await;
        assert!(till.run(kind).await.is_ok(), "the coupon can be used again");
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_our_reference_and_charged_once() {
    at_every_till(|till| async move {
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
        assert_eq!(till.shop.books().await.vault.len(), 1, "it may have to be sent again");
        assert_eq!(till.shop.books().await.stocks[&till.product.0], PIECES - 1, "nothing is compensated");
        till.gateway.capture();
        till.work_for(secs(5)).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.gateway.charges().len(), 1);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn without_keys_a_charge_that_is_recorded_after_90_seconds_is_paid() {
    for abilities in
        [GatewayAbilities::NONE, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }]
    {
        on_every_storage(|shop| async {
            let till = Till::open(shop, abilities).await;
            till.gateway.next(&[Meets::RecordedLate(secs(90))]);
            let order = till.place(0).await;
            till.work_for(secs(30)).await;
            assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN", "not found is not final");
            till.work_for(secs(59)).await;
            assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
            till.gateway.capture();
            till.work_for(secs(61)).await;
            assert_eq!(till.state(&order).await, "PAID/SUCCESS");
            assert_eq!(till.gateway.charges().len(), 1, "never a second POST");
            till.is_settled().await;
        })
        .await;
    }
}

#[tokio::test]
async fn without_keys_what_is_not_found_for_120_seconds_is_voided_and_failed() {
    for abilities in
        [GatewayAbilities::NONE, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }]
    {
        on_every_storage(|shop| async {
            let till = Till::open(shop, abilities).await;
            till.gateway.next(&[Meets::LostBefore]);
            let order = till.place(3_000).await;
            till.work_for(secs(119)).await;
            assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
            assert!(!till.gateway.is_voided(order.payment.id));
            till.work_for(secs(2)).await;
            assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED", "at the moment, not a wait later");
            assert_eq!(till.gateway.is_voided(order.payment.id), abilities.void);
            assert_eq!(till.gateway.charges().len(), 1);
            till.gave_everything_back().await;
            till.is_settled().await;
        })
        .await;
    }
}

#[tokio::test]
async fn with_keys_a_post_without_a_trace_is_repeated_under_the_same_key() {
    at_a_till(|till| async move {
        till.gateway.next(&[
            Meets::LostBefore,
            Meets::LostBefore,
            Meets::RecordedLate(secs(90)),
            Meets::Answer,
        ]);
        let order = till.place(0).await;
        till.work_for(secs(20)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        till.gateway.capture();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let charges = till.gateway.charges();
        assert_eq!(charges.len(), 4);
        assert!(charges.iter().all(|(_, key)| *key == charges[0].1), "{charges:?}");
        assert_eq!(till.gateway.transactions().len(), 1);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_was_not_sent_waits_and_is_sent_later() {
    at_every_till(|till| async move {
        till.gateway.next(&[Meets::NotSent; 4]);
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PENDING");
        till.work_for(secs(6)).await;
        assert_eq!(till.gateway.charges().len(), 0, "1, 2 and 4 seconds");
        till.work_for(secs(10)).await;
        assert_eq!(till.gateway.charges().len(), 1);
        till.gateway.capture();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_charge_fails_at_once() {
    at_every_till(|till| async move {
        till.gateway.next(&[Meets::Refused]);
        let order = till.place(3_000).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

/// A charge that the gateway has and whose answer nobody hears.
async fn record(till: &Till, order: &Order) {
    let charge = commerce_api_application::ports::Charge {
        payment: order.payment.id,
        attempt: 1,
        brand: CardBrand::Hyundai,
        card: commerce_api_application::ports::CardNumber::new(CARD_NUMBER.to_owned()),
        amount: order.payment.card_part,
    };
    commerce_api_application::ports::PaymentGateway::charge(&*till.gateway, &charge).await.unwrap();
}

/// Brings an order to the state that `name` says, by a gateway that has recorded a charge or will.
async fn brought_to(till: &Till, name: &str) -> Order {
    match name {
        "REQUESTING" => {
            let order = till.place(3_000).await;
            let send = CommandKind::Payment { order: order.id, command: PaymentCommand::Send };
            // Sent by a dispatcher that died before it heard the answer.
            till.run(send).await.unwrap();
            record(till, &order).await;
            order
        }
        "PROCESSING" => {
            let order = till.place(3_000).await;
            till.step().await;
            order
        }
        _ => {
            till.gateway.next(&[Meets::AnswerLost]);
            let order = till.place(3_000).await;
            till.step().await;
            order
        }
    }
}

#[tokio::test]
async fn a_cancel_while_the_outcome_is_open_gives_back_at_once_and_refunds_a_late_capture_once() {
    for state in ["REQUESTING", "PROCESSING", "UNKNOWN"] {
        for abilities in [GatewayAbilities::ALL, GatewayAbilities { refund: true, ..GatewayAbilities::NONE }]
        {
            on_every_storage(|shop| async {
                let till = Till::open(shop, abilities).await;
                let order = brought_to(&till, state).await;
                assert_eq!(till.state(&order).await, format!("PAYMENT_PENDING/{state}"));
                till.cancel(&order).await;
                assert_eq!(till.state(&order).await, format!("CANCELED/{state}"));
                till.gave_everything_back().await;
                assert!(till.shop.books().await.vault.is_empty(), "nobody sends it any more");
                let outbox = till.shop.books().await.outbox.len();
                till.gateway.capture();
                till.work_for(HOUR).await;
                assert_eq!(till.state(&order).await, "CANCELED/REFUNDED", "{state}");
                assert_eq!(till.gateway.refunds().len(), 1);
                assert_eq!(till.shop.books().await.outbox.len(), outbox, "no event of a payment");
                till.gave_everything_back().await;
                till.is_settled().await;
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_cancel_while_nothing_was_recorded_ends_without_money() {
    at_every_till(|till| async move {
        till.gateway.next(&[Meets::LostBefore]);
        let order = till.place(3_000).await;
        till.step().await;
        till.cancel(&order).await;
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "CANCELED/FAILED");
        assert_eq!(till.gateway.charges().len(), 1, "a closed order is not sent again");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn an_order_that_expired_unpaid_is_not_revived_by_a_late_capture() {
    at_a_till(|till| async move {
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(3_000).await;
        till.step().await;
        till.gateway.be_silent(true);
        till.work_for(secs(30 * 60)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN", "held until its deadline");
        till.expire(&order).await;
        till.gave_everything_back().await;
        till.gateway.capture();
        till.gateway.be_silent(false);
        till.work_for(secs(61)).await;
        assert_eq!(till.state(&order).await, "EXPIRED/REFUNDED");
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn after_a_day_away_the_gateway_is_asked_before_anything_is_sent() {
    at_a_till(|till| async move {
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        // Nobody worked: no dispatcher, and no expiry. The gateway has forgotten the key by now.
        till.later(25 * HOUR);
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.gateway.charges().len(), 1);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_refund_that_fails_for_an_hour_is_made_once_it_can_be() {
    at_a_till(|till| async move {
        let order = till.place(3_000).await;
        till.step().await;
        till.gateway.capture();
        till.work_for(secs(5)).await;
        till.gateway.fail_refunds(true);
        till.cancel(&order).await;
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "CANCEL_PENDING/REFUND_PENDING");
        assert_eq!(till.open_payments().await, [order.payment.id], "visible all the time");
        let calls = till.gateway.calls();
        assert!(calls < 150, "it backs off to a visit a minute: {calls} calls in an hour");
        till.gateway.fail_refunds(false);
        till.work_for(secs(61)).await;
        assert_eq!(till.state(&order).await, "CANCELED/REFUNDED");
        assert_eq!(till.gateway.refunds().len(), 1);
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_makes_no_refunds_leaves_the_payment_on_the_list() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities::NONE).await;
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        till.work_for(secs(5)).await;
        till.cancel(&order).await;
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "CANCEL_PENDING/REFUND_PENDING");
        assert_eq!(till.open_payments().await, [order.payment.id]);
        till.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_capture_under_one_reference_is_refunded_once() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }).await;
        till.gateway.next(&[Meets::RecordedTwice]);
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.gateway.refunds().len(), 1);
        assert_eq!(till.payment(&order).await.duplicates.len(), 1);
        till.is_settled().await;
        // And the one that counts, when the order is cancelled.
        till.cancel(&order).await;
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "CANCELED/REFUNDED");
        assert_eq!(till.gateway.refunds().len(), 2);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_capture_that_cannot_be_believed_stands_in_no_others_way() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }).await;
        till.gateway.next(&[Meets::RecordedTwice]);
        let order = till.place(0).await;
        let send = CommandKind::Payment { order: order.id, command: PaymentCommand::Send };
        till.run(send).await.unwrap();
        // Both are found by our reference; the older one is not what was asked for.
        record(&till, &order).await;
        till.gateway.falsify_amount_of(&key_of(1));
        till.gateway.capture();
        till.work_for(secs(5)).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.payment(&order).await.gateway_key.as_deref(), Some(&*key_of(2)));
        till.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn an_earlier_attempt_may_show_after_a_later_one_was_refused() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { idempotency: true, ..GatewayAbilities::NONE }).await;
        till.gateway.next(&[Meets::RecordedLate(secs(60)), Meets::Refused]);
        let order = till.place(0).await;
        till.work_for(secs(59)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/REQUESTING", "not found is not final");
        till.gateway.capture();
        till.work_for(secs(90)).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.is_settled().await;
        till.gateway.next(&[Meets::LostBefore, Meets::Refused, Meets::Refused]);
        let order = till.place(0).await;
        till.work_for(secs(59)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/REQUESTING");
        till.work_for(secs(90)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED", "one more attempt, and no more");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn another_amount_than_was_asked_for_is_never_paid() {
    at_every_till(|till| async move {
        let order = till.place(0).await;
        till.step().await;
        till.gateway.falsify_amounts();
        till.gateway.capture();
        till.work_for(secs(300)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert_eq!(till.open_payments().await, [order.payment.id]);
        till.is_sound().await;
    })
    .await;
}

#[tokio::test]
async fn two_dispatchers_at_once_charge_every_order_once() {
    at_every_till(|till| async move {
        let other = till.another_dispatcher();
        let mut orders = Vec::new();
        for _ in 0..PIECES {
            orders.push(till.place(0).await);
        }
        let (one, two) = tokio::join!(till.dispatcher.step(), other.step());
        assert_eq!(one.unwrap() + two.unwrap(), orders.len());
        till.gateway.capture();
        till.later(secs(1));
        tokio::join!(till.work_for(secs(60)), till.work_with(&other, secs(60)));
        for order in &orders {
            assert_eq!(till.state(order).await, "PAID/SUCCESS");
        }
        assert_eq!(till.gateway.charges().len(), orders.len());
        till.is_settled().await;
    })
    .await;
}

/// Polls `future` at most `polls` times, then drops it where it is; true where it came to its end before.
pub async fn cut_off(future: impl Future, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        let is_done = future.as_mut().poll(context).is_ready();
        if !is_done && left == 0 {
            // Nobody wakes it any more.
            return Poll::Ready(false);
        }
        if is_done { Poll::Ready(true) } else { Poll::Pending }
    })
    .await
}

#[tokio::test]
async fn a_dispatcher_that_dies_at_any_moment_leaves_what_the_next_one_finishes() {
    for abilities in GATEWAYS {
        for meets in [Meets::Answer, Meets::AnswerLost, Meets::LostBefore, Meets::NotSent] {
            on_every_storage(|shop| async {
                let till = Till::open(shop, abilities).await;
                let mut polls = 1;
                loop {
                    till.gateway.only(meets);
                    let order = till.place(0).await;
                    let is_done = cut_off(till.dispatcher.step(), polls).await;
                    // What was submitted is decided before what comes after it, whoever hears of it.
                    assert_eq!(till.run(CommandKind::Expire { order: order.id }).await, Err(Refusal::NotDue));
                    let next = till.another_dispatcher();
                    till.later(DispatchOptions::default().lease);
                    // Sooner or later it is sent, and some time after that it is captured.
                    for _ in 0..6 {
                        till.work_with(&next, secs(10)).await;
                        till.gateway.capture();
                    }
                    till.work_with(&next, HOUR).await;
                    let state = till.state(&order).await;
                    let reference = order.payment.id.to_string();
                    let recorded = till.gateway.transactions();
                    match recorded.iter().filter(|known| *known.reference == *reference).count() {
                        0 => assert_eq!(state, "PAYMENT_FAILED/FAILED", "after {polls} polls"),
                        1 => assert_eq!(state, "PAID/SUCCESS", "after {polls} polls"),
                        more => panic!("charged {more} times, cut off after {polls} polls"),
                    }
                    assert!(state == "PAID/SUCCESS" || !abilities.idempotency, "with keys it is sent again");
                    till.is_settled().await;
                    if state == "PAID/SUCCESS" {
                        till.cancel(&order).await;
                        till.work_with(&next, HOUR).await;
                    }
                    if is_done || !abilities.refund {
                        break;
                    }
                    polls += 1;
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_visit_that_panics_does_not_stop_the_others() {
    at_a_till(|till| async move {
        let poisoned = till.place(0).await;
        let reference = poisoned.payment.id.to_string();
        till.gateway.before_answer(Box::new(move |transaction| {
            let is_poisoned = *transaction.reference == *reference;
            Box::pin(async move { assert!(!is_poisoned, "poisoned") })
        }));
        let order = till.place(0).await;
        assert_eq!(till.step().await, 2);
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert_eq!(till.state(&poisoned).await, "PAYMENT_PENDING/REQUESTING");
        till.gateway.capture();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&poisoned).await, "PAID/SUCCESS", "the gateway had it");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_running_dispatcher_is_woken_by_an_order_and_stops_when_told() {
    on_every_storage(|shop| async {
        let till = Arc::new(Till::open(shop, GatewayAbilities::ALL).await);
        let (stop, stopped) = watch::channel(false);
        let running = till.clone();
        let worker = tokio::spawn(async move { running.dispatcher.run(stopped).await });
        let order = till.place(0).await;
        until(&till, &order, "PAYMENT_PENDING/PROCESSING").await;
        till.gateway.capture();
        till.later(secs(1));
        until(&till, &order, "PAID/SUCCESS").await;
        till.cancel(&order).await;
        until(&till, &order, "CANCELED/REFUNDED").await;
        stop.send(true).unwrap();
        worker.await.unwrap();
        till.is_settled().await;
    })
    .await;
}

/// Waits until the order is in this state.
async fn until(till: &Till, order: &Order, state: &str) {
    let reached = async {
        while till.state(order).await != state {
            tokio::task::yield_now().await;
        }
    };
    let reached = tokio::time::timeout(secs(10), reached).await;
    assert!(reached.is_ok(), "{} and not {state}", till.state(order).await);
}

#[tokio::test]
async fn open_payments_are_counted_by_state() {
    at_a_till(|till| async move {
        till.gateway.next(&[Meets::Answer, Meets::AnswerLost]);
        for _ in 0..2 {
            till.place(0).await;
        }
        till.step().await;
        till.later(secs(1));
        let waiting = till.place(0).await;
        let states = till.payments.checks.by_state().await.unwrap();
        let counted: Vec<_> = states.iter().map(|state| (state.status.name(), state.count)).collect();
        let mut counted = counted;
        counted.sort_unstable();
        assert_eq!(counted, [("PENDING", 1), ("PROCESSING", 1), ("UNKNOWN", 1)]);
        let pending = states.iter().find(|state| state.status == PaymentStatus::Pending).unwrap();
        assert_eq!(pending.oldest_at, Some(waiting.created_at));
        let filter = OpenFilter {
            made_before: till.shop.clock.now(),
            status: Some(PaymentStatus::Unknown),
            limit: 10,
            ..OpenFilter::default()
        };
        assert_eq!(till.payments.checks.open(&filter).await.unwrap().len(), 1);
    })
    .await;
}
