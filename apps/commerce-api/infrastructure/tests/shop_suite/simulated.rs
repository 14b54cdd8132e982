//! What the simulation found, each as a test of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::desk::{DeskOptions, LikeDesk, LikeReply};
use commerce_api_application::payments::{DispatchOptions, PaymentDispatcher};
use commerce_api_application::ports::{
    Charge, ChargeError, Clock as _, GatewayAbilities, GatewayError, GatewayTransaction, IdSource as _,
    PaymentGateway, TransactionState, TransactionSummary,
};
use commerce_api_domain::*;
use commerce_api_infrastructure::memory::{Fault, MemoryStorage};
use commerce_api_infrastructure::runtime::{ManualClock, SequenceIds};
use tokio::sync::{Semaphore, watch};

use crate::gateway::{Meets, ScriptedGateway, key_of};
use crate::shop::*;
use crate::till::*;

#[tokio::test]
async fn a_second_capture_is_found_although_a_refund_is_due() {
    for refund in [true, false] {
        let abilities = GatewayAbilities { idempotency: false, refund, ..GatewayAbilities::ALL };
        on_every_storage(|shop| async {
            let till = Till::open(shop, abilities).await;
            till.gateway.next(&[Meets::RecordedTwice]);
            let order = till.place(0).await;
            till.step().await;
            till.cancel(&order).await;
            till.gateway.capture();
            till.called_back("evt-1", &till.gateway.transactions()[0]).await;
            assert_eq!(till.state(&order).await, "CANCELED/REFUND_PENDING");
            till.work_for(Duration::from_hours(1)).await;
            assert_eq!(till.payment(&order).await.duplicates.len(), 1, "the other capture is known");
            if refund {
                assert_eq!(till.gateway.refunds().len(), 2);
                till.is_settled().await;
            } else {
                assert_eq!(till.open_payments().await, [order.payment.id]);
                till.is_sound().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_second_capture_is_found_although_the_followed_charge_is_declined() {
    for refund in [true, false] {
        let abilities = GatewayAbilities { refund, ..GatewayAbilities::NONE };
        on_every_storage(|shop| async {
            let till = Till::open(shop, abilities).await;
            till.gateway.next(&[Meets::RecordedTwice]);
            let order = till.place(0).await;
            till.step().await;
            assert_eq!(till.payment(&order).await.gateway_key.as_deref(), Some(&*key_of(2)));
            till.gateway.decide_one(1, TransactionState::Captured);
            till.gateway.decide_one(2, TransactionState::Declined("limit exceeded".into()));
            till.work_for(Duration::from_hours(1)).await;
            let expected = if refund { "PAYMENT_FAILED/REFUNDED" } else { "PAYMENT_FAILED/REFUND_PENDING" };
            assert_eq!(till.state(&order).await, expected);
            if refund {
                till.is_settled().await;
            } else {
                assert_eq!(till.open_payments().await, [order.payment.id]);
                till.is_sound().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_batch_of_likes_that_runs_again_tells_nothing_twice() {
    let storage = MemoryStorage::new();
    let (user, product) = (storage.add_user(won(0)), storage.add_product("tea", won(100), 1));
    let (ids, clock) = (SequenceIds::new(1), Arc::new(ManualClock::new(NOW)));
    let desk = LikeDesk::start(Arc::new(storage.clone()), clock, DeskOptions::default());
    storage.faults().push(Fault::CommitAnswerLost { applied: true });
    let set = |active| desk.submit(LikeChange { ids: ids.seed(), user, product, active });
    // All of them wait before the desk's worker runs, so they are one batch.
    let replies = tokio::join!(set(true), set(false), set(true));
    assert_eq!(replies.0, Ok(LikeReply::Set { changed: false }), "answered by the second run");
    assert!(replies.1.is_ok() && replies.2.is_ok());
    assert!(storage.likes()[0].active);
    assert_eq!(storage.outbox().len(), 1, "the customer likes it: one event");
}

#[tokio::test]
async fn a_charge_that_was_not_found_once_is_looked_for_after_its_order_closed() {
    at_every_till(|till| async move {
        till.gateway.next(&[Meets::AnswerLost]);
        let order = till.place(0).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
        // The gateway's copy was old, so it would be sent again; then the customer cancels.
        till.later(Duration::from_secs(5));
        let (checks, now) = (&till.payments.checks, till.shop.clock.now());
        let claimed = checks.claim(till.shop.ids.uuid(), now, Duration::from_secs(1), 1).await.unwrap();
        let (fence, then) = (claimed[0].fence, NotRecorded::SendAgain);
        let command = PaymentCommand::NotRecorded { attempt: 1, fence, then };
        till.run(CommandKind::Payment { order: order.id, command }).await.unwrap();
        till.cancel(&order).await;
        assert_eq!(till.state(&order).await, "CANCELED/VOIDED");
        till.gateway.capture();
        till.work_for(Duration::from_hours(1)).await;
        if till.gateway.abilities.refund {
            assert_eq!(till.state(&order).await, "CANCELED/REFUNDED");
            till.is_settled().await;
        } else {
            assert_eq!(till.open_payments().await, [order.payment.id]);
        }
    })
    .await;
}

/// A gateway whose answer to a question waits until it is let go.
struct Hesitant {
    inner: Arc<ScriptedGateway>,
    asked: AtomicUsize,
    answers: Semaphore,
}

#[async_trait]
impl PaymentGateway for Hesitant {
    fn abilities(&self) -> GatewayAbilities {
        self.inner.abilities()
    }

    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        self.inner.charge(charge).await
    }

    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        self.inner.find(key).await
    }

    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        self.inner.find_by_reference(payment).await
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        self.inner.refund(key, amount, refund_key).await
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.inner.void(payment).await
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let reached = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), reached).await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_visit_takes_its_turn_at_the_database_while_its_dispatcher_waits_behind_it() {
    on_every_storage(|shop| async {
        let till = Till::open(shop, GatewayAbilities::ALL).await;
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        till.work_for(Duration::from_mins(1)).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let gateway = Arc::new(Hesitant {
            inner: till.gateway.clone(),
            asked: AtomicUsize::new(0),
            answers: Semaphore::new(0),
        });
        let dispatcher = PaymentDispatcher::new(
            till.desk.clone(),
            till.payments.checks.clone(),
            gateway.clone(),
            Arc::new(cipher()),
            &*till.shop.ids,
            till.shop.clock.clone(),
            DispatchOptions { poll_every: Duration::from_millis(5), ..DispatchOptions::default() },
        );
        // The visit of a doubted payment ends with a write of its own.
        till.payments.checks.hasten(order.payment.id, till.shop.clock.now(), None).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(async move { dispatcher.run(stopped).await });
        eventually("the gateway is asked", async || gateway.asked.load(Ordering::SeqCst) == 1).await;
        // Somebody writes, so the visit waits for its turn, and then the dispatcher, which looks for more to visit.
        let unit = till.shop.storage().begin("test").await.unwrap();
        gateway.answers.add_permits(1);
        for _ in 0..200 {
            till.desk.payments_due().raise();
            tokio::time::sleep(Duration::from_millis(1)).await; // tidy: sleep lets both queue up; the outcome does not rest on it
        }
        drop(unit);
        let checks = async || till.shop.books().await.checks.is_empty();
        eventually("the visit is done, and nobody waits for ever", checks).await;
        stop.send(true).unwrap();
        worker.await.unwrap();
        till.is_settled().await;
    })
    .await;
}
