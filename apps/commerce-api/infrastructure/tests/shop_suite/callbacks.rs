//! Callbacks: what is believed, what is set aside, and what only has the gateway asked.

use std::time::Duration;

use commerce_api_application::desk::Submission;
use commerce_api_application::payments::CallbackOutcome;
use commerce_api_application::ports::{
    GatewayAbilities, GatewayTransaction, InboxEntry, TransactionState, Verdict,
};
use commerce_api_domain::*;
use futures::future::join_all;

use crate::gateway::{Meets, key_of};
use crate::shop::*;
use crate::till::*;

const HOUR: Duration = Duration::from_hours(1);

/// An order whose charge the gateway has captured and not yet told of.
async fn captured(till: &Till) -> (Order, GatewayTransaction) {
    let order = till.place(3_000).await;
    till.step().await;
    till.gateway.capture();
    let transaction = till.gateway.transactions().pop().unwrap();
    (order, transaction)
}

async fn verdict(till: &Till, event_id: &str) -> String {
    till.shop.books().await.callbacks[event_id].clone()
}

#[tokio::test]
async fn a_callback_settles_a_payment_and_ten_more_change_nothing() {
    at_a_till(|till| async move {
        let (order, transaction) = captured(&till).await;
        // The same one ten times at once, and ten of other ids.
        let same = (0..10).map(|_| till.called_back("evt-1", &transaction));
        let outcomes = join_all(same).await;
        let fine = |outcome: &CallbackOutcome| {
            matches!(outcome, CallbackOutcome::Applied | CallbackOutcome::Duplicate)
        };
        assert!(outcomes.iter().all(fine), "{outcomes:?}");
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let books = till.shop.books().await;
        assert_eq!(till.called_back("evt-1", &transaction).await, CallbackOutcome::Duplicate);
        for number in 0..10 {
            let outcome = till.called_back(&format!("other-{number}"), &transaction).await;
            assert_eq!(outcome, CallbackOutcome::Applied, "it tells what is known");
        }
        let after = till.shop.books().await;
        assert_eq!((after.outbox, after.payment_events), (books.outbox, books.payment_events), "one move");
        assert_eq!(after.callbacks.len(), 11);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_may_come_before_the_answer() {
    at_a_till(|till| async move {
        let till = std::sync::Arc::new(till);
        let callbacks = till.callbacks.clone();
        till.gateway.before_answer(Box::new(move |transaction| {
            let callbacks = callbacks.clone();
            Box::pin(async move {
                let transaction = GatewayTransaction { state: TransactionState::Captured, ..transaction };
                callbacks.receive(callback("early", &transaction)).await.unwrap();
            })
        }));
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.gateway.capture();
        till.work_for(HOUR).await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_transaction_that_is_answered_after_the_first_was_paid_is_refunded() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }).await;
        let callbacks = till.callbacks.clone();
        till.gateway.next(&[Meets::RecordedTwice]);
        till.gateway.before_answer(Box::new(move |second| {
            let callbacks = callbacks.clone();
            Box::pin(async move {
                let (key, state) = (key_of(1).into(), TransactionState::Captured);
                let first = GatewayTransaction { key, state, ..second };
                callbacks.receive(callback("early", &first)).await.unwrap();
            })
        }));
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.gateway.capture();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let refunds = till.gateway.refunds();
        assert_eq!(refunds.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [key_of(2)]);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_contradicts_the_settlement_of_its_own_batch_has_the_gateway_asked() {
    at_a_till(|till| async move {
        let (order, transaction) = captured(&till).await;
        let told = |event_id: &str, command| {
            let kind = CommandKind::Payment { order: order.id, command };
            let entry = InboxEntry {
                event_id: event_id.to_owned(),
                headers: "{}".to_owned(),
                body: "{}".to_owned(),
                received_at: NOW,
            };
            till.desk.submit(Submission { callback: Some(entry), ..Submission::internal(kind) })
        };
        let key = transaction.key.clone();
        let paid = told("paid", PaymentCommand::Captured { key: key.clone() });
        let declined = told("declined", PaymentCommand::Declined { key, reason: "no".into() });
        for reply in join_all([paid, declined]).await {
            reply.unwrap();
        }
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(verdict(&till, "declined").await, "CONFLICT");
        assert_eq!(till.shop.books().await.checks.len(), 1, "it is visited, though it is final");
        till.step().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_of_a_pending_transaction_ends_the_doubt_about_a_lost_answer() {
    at_a_till(|till| async move {
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(0).await;
        till.step().await;
        let transaction = till.gateway.transactions().pop().unwrap();
        assert_eq!(till.called_back("evt", &transaction).await, CallbackOutcome::Applied);
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert!(till.shop.books().await.vault.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_decline_by_callback_gives_everything_back() {
    at_a_till(|till| async move {
        let order = till.place(3_000).await;
        till.step().await;
        till.gateway.decline();
        let transaction = till.gateway.transactions().pop().unwrap();
        till.called_back("evt", &transaction).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        assert_eq!(till.payment(&order).await.reason.as_deref(), Some("limit exceeded"));
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_late_success_by_callback_is_refunded_once() {
    at_a_till(|till| async move {
        let order = till.place(3_000).await;
        till.step().await;
        till.cancel(&order).await;
        till.gateway.capture();
        let transaction = till.gateway.transactions().pop().unwrap();
        for number in 0..3 {
            till.called_back(&format!("evt-{number}"), &transaction).await;
        }
        assert_eq!(till.state(&order).await, "CANCELED/REFUND_PENDING");
        till.step().await;
        assert_eq!(till.state(&order).await, "CANCELED/REFUNDED", "at once, not when it was due before");
        assert_eq!(till.gateway.refunds().len(), 1);
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_the_payment_is_set_aside_and_never_paid() {
    at_a_till(|till| async move {
        let (order, transaction) = captured(&till).await;
        let other = till.place(0).await;
        till.step().await;
        let less = GatewayTransaction { amount: transaction.amount - 1, ..transaction.clone() };
        let more = GatewayTransaction { amount: transaction.amount + 1, ..transaction.clone() };
        // The key of the first order, under the reference of the second: as dear, so that the amount fits.
        let reference: std::sync::Arc<str> = other.payment.id.to_string().into();
        let amount = other.payment.card_part.won();
        let foreign = GatewayTransaction { reference, amount, ..transaction.clone() };
        let unknown = GatewayTransaction { reference: order.id.to_string().into(), ..transaction.clone() };
        let nonsense = GatewayTransaction { reference: "not a reference".into(), ..transaction.clone() };
        for (event_id, transaction, expected) in [
            ("less", less, Verdict::WrongAmount),
            ("more", more, Verdict::WrongAmount),
            ("foreign", foreign, Verdict::ForeignKey),
            ("unknown", unknown, Verdict::UnknownReference),
            ("nonsense", nonsense, Verdict::UnknownReference),
        ] {
            let outcome = till.called_back(event_id, &transaction).await;
            assert_eq!(outcome, CallbackOutcome::SetAside(expected), "{event_id}");
            assert_eq!(verdict(&till, event_id).await, expected.name());
            assert_eq!(till.called_back(event_id, &transaction).await, CallbackOutcome::Duplicate);
        }
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert_eq!(till.state(&other).await, "PAYMENT_PENDING/PROCESSING");
        // The gateway was asked instead, and knows better.
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_contradicts_what_is_known_has_the_gateway_asked() {
    at_a_till(|till| async move {
        let (order, transaction) = captured(&till).await;
        till.called_back("paid", &transaction).await;
        let declined =
            GatewayTransaction { state: TransactionState::Declined("no".into()), ..transaction.clone() };
        let outcome = till.called_back("declined", &declined).await;
        assert_eq!(outcome, CallbackOutcome::SetAside(Verdict::Conflict));
        assert_eq!(verdict(&till, "declined").await, "CONFLICT");
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.shop.books().await.checks.len(), 1, "it is visited, though it is final");
        let calls = till.gateway.calls();
        till.step().await;
        assert!(till.gateway.calls() > calls, "the gateway was asked");
        assert_eq!(till.state(&order).await, "PAID/SUCCESS", "and says that it was captured");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_capture_that_only_a_callback_tells_of_is_refunded() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL }).await;
        till.gateway.next(&[Meets::RecordedTwice]);
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        let transactions = till.gateway.transactions();
        for (number, transaction) in transactions.iter().enumerate() {
            let outcome = till.called_back(&format!("evt-{number}"), transaction).await;
            assert_eq!(outcome, CallbackOutcome::Applied);
        }
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.gateway.refunds().len(), 1);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_is_not_signed_is_not_believed_but_has_the_gateway_asked() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities::NONE).await;
        let order = till.place(0).await;
        till.step().await;
        let transaction = till.gateway.transactions().pop().unwrap();
        let forged = GatewayTransaction { state: TransactionState::Captured, ..transaction.clone() };
        assert_eq!(till.called_back("forged", &forged).await, CallbackOutcome::Hint);
        assert_eq!(till.step().await, 1, "asked at once");
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
        assert!(till.shop.books().await.callbacks.is_empty(), "nothing of it is kept");
        let nobodys = GatewayTransaction { reference: order.id.to_string().into(), ..forged.clone() };
        assert_eq!(till.called_back("nobody's", &nobodys).await, CallbackOutcome::Hint);
        till.gateway.capture();
        assert_eq!(till.called_back("true", &forged).await, CallbackOutcome::Hint);
        till.step().await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_late_success_that_an_unsigned_callback_hints_at_is_found_out() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities { refund: true, ..GatewayAbilities::NONE }).await;
        // Recorded only after we gave it up.
        till.gateway.next(&[Meets::RecordedLate(Duration::from_secs(200))]);
        let order = till.place(3_000).await;
        till.work_for(Duration::from_secs(150)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        till.later(Duration::from_mins(1));
        till.gateway.capture();
        let transaction = till.gateway.transactions().pop().unwrap();
        till.called_back("hint", &transaction).await;
        till.work_for(Duration::from_secs(5)).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/REFUNDED");
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_could_not_be_taken_is_taken_when_it_comes_again() {
    let till = Till::open(Shop::memory(), GatewayAbilities::ALL).await;
    let Backend::Memory(memory) = &till.shop.backend else { unreachable!() };
    let (order, transaction) = captured(&till).await;
    for _ in 0..4 {
        memory.faults().push(commerce_api_infrastructure::memory::Fault::CommitRefused);
    }
    assert!(till.callbacks.receive(callback("evt", &transaction)).await.is_err());
    assert!(till.shop.books().await.callbacks.is_empty(), "neither the effect nor the verdict");
    assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
    assert_eq!(till.called_back("evt", &transaction).await, CallbackOutcome::Applied);
    assert_eq!(till.state(&order).await, "PAID/SUCCESS");
}

#[tokio::test]
async fn a_callback_that_is_set_aside_is_known_by_its_id() {
    on_every_storage(|shop| async move {
        let inbox = shop.payments().inbox;
        let entry = InboxEntry {
            event_id: "evt".to_owned(),
            headers: "{\"webhook-id\":\"evt\"}".to_owned(),
            body: "{\"cardNo\":\"****-****-****-1451\",\"한글\":true}".to_owned(),
            received_at: NOW,
        };
        assert_eq!(inbox.verdict("evt").await.unwrap(), None);
        for verdict in [Verdict::UnknownReference, Verdict::WrongAmount] {
            inbox.set_aside(entry.clone(), verdict).await.unwrap();
            assert_eq!(inbox.verdict("evt").await.unwrap(), Some(Some(verdict.name().to_owned())));
        }
        assert_eq!(shop.books().await.callbacks.len(), 1);
    })
    .await;
}
