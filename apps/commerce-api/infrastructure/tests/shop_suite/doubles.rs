//! Gateways without keys, where the network may bring one charge twice: whoever dies, and whatever gets no answer, the
//! second capture is found and given back.

use std::time::Duration;

use commerce_api_application::payments::DispatchOptions;
use commerce_api_application::ports::{GatewayAbilities, TransactionState};
use commerce_api_domain::*;

use crate::dispatch::cut_off;
use crate::gateway::{Meets, key_of};
use crate::shop::*;
use crate::till::*;

const HOUR: Duration = Duration::from_hours(1);

/// Without keys, with a void that closes a reference and without one.
const KEYLESS: [GatewayAbilities; 2] = [
    GatewayAbilities { idempotency: false, ..GatewayAbilities::ALL },
    GatewayAbilities { idempotency: false, void: false, ..GatewayAbilities::ALL },
];

async fn at_every_keyless_till<F: Future<Output = ()>>(test: impl Fn(Till) -> F) {
    for abilities in KEYLESS {
        on_every_storage(|shop| async { test(Till::open(shop, abilities).await).await }).await;
    }
}

/// A charge that was recorded twice, of which the second record is followed.
async fn charged_twice(till: &Till) -> Order {
    till.gateway.only(Meets::RecordedTwice);
    let order = till.place(0).await;
    till.step().await;
    assert_eq!(till.state(&order).await, "PAYMENT_PENDING/PROCESSING");
    order
}

#[tokio::test]
async fn a_dispatcher_that_dies_between_the_capture_and_the_look_leaves_the_look_to_the_next() {
    at_every_keyless_till(|till| async move {
        for polls in 1.. {
            let (order, refunds) = (charged_twice(&till).await, till.gateway.refunds().len());
            till.gateway.capture();
            till.later(Duration::from_secs(1));
            let is_done = cut_off(till.dispatcher.step(), polls).await;
            // What was submitted is decided before what comes after it, whoever hears of it.
            let _ = till.run(CommandKind::Expire { order: order.id }).await;
            till.later(DispatchOptions::default().lease);
            till.work_with(&till.another_dispatcher(), HOUR).await;
            assert_eq!(till.state(&order).await, "PAID/SUCCESS", "after {polls} polls");
            assert_eq!(till.gateway.refunds().len(), refunds + 1, "after {polls} polls");
            till.is_settled().await;
            till.cancel(&order).await;
            till.work_for(HOUR).await;
            if is_done {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_capture_that_comes_after_the_callback_paid_is_found_without_being_told() {
    at_every_keyless_till(|till| async move {
        let order = charged_twice(&till).await;
        till.gateway.decide_one(1, TransactionState::Captured);
        till.called_back("told-1", &till.gateway.transactions()[0]).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        till.work_for(Duration::from_secs(30)).await;
        till.gateway.decide_one(2, TransactionState::Captured);
        till.work_for(HOUR).await;
        assert_eq!(till.payment(&order).await.gateway_key.as_deref(), Some(&*key_of(1)));
        assert_eq!(till.gateway.refunds().len(), 1);
        assert_eq!(till.gateway.refunds()[0].0, key_of(2));
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_capture_beside_one_that_was_declined_is_found_without_being_told() {
    at_every_keyless_till(|till| async move {
        let order = charged_twice(&till).await;
        till.gateway.decide_one(2, TransactionState::Declined("limit exceeded".into()));
        till.called_back("told-2", &till.gateway.transactions()[1]).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/FAILED");
        till.work_for(Duration::from_secs(30)).await;
        till.gateway.decide_one(1, TransactionState::Captured);
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAYMENT_FAILED/REFUNDED");
        assert_eq!(till.gateway.refunds().len(), 1);
        till.gave_everything_back().await;
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn with_keys_a_payment_that_a_callback_ended_is_done() {
    at_a_till(|till| async move {
        let order = till.place(0).await;
        till.step().await;
        till.gateway.capture();
        till.called_back("told", &till.gateway.transactions()[0]).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let calls = till.gateway.calls();
        assert_eq!(till.shop.books().await.checks.len(), 0);
        till.work_for(HOUR).await;
        assert_eq!(till.gateway.calls(), calls, "nobody asks any more");
        till.is_settled().await;
    })
    .await;
}
