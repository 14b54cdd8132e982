//! What the gateway says out of order, twice, and from an old copy: in the end its own word counts.

use std::time::Duration;

use commerce_api_application::ports::{GatewayTransaction, TransactionState};
use commerce_api_domain::*;

use crate::till::*;

const HOUR: Duration = Duration::from_hours(1);

/// Every order of `items`.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = items.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for at in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(at, first.clone());
            all.push(longer);
        }
    }
    all
}

fn states() -> Vec<TransactionState> {
    vec![
        TransactionState::Pending,
        TransactionState::Captured,
        TransactionState::Declined("limit exceeded".into()),
    ]
}

/// An order whose charge was recorded, and its transaction.
async fn recorded(till: &Till) -> (Order, GatewayTransaction) {
    let order = till.place(3_000).await;
    till.step().await;
    let transaction = till.gateway.transactions().pop().unwrap();
    (order, transaction)
}

/// Tells all of `told` of `transaction`, each under an id of its own.
async fn tell(till: &Till, order: &Order, transaction: &GatewayTransaction, told: &[TransactionState]) {
    for (number, state) in told.iter().enumerate() {
        let transaction = GatewayTransaction { state: state.clone(), ..transaction.clone() };
        till.called_back(&format!("{}-{number}", order.id), &transaction).await;
        till.is_sound().await;
    }
}

#[tokio::test]
async fn callbacks_in_any_order_end_in_what_the_gateway_captured() {
    at_a_till(|till| async move {
        for told in permutations(&states()) {
            let (order, transaction) = recorded(&till).await;
            till.gateway.capture();
            tell(&till, &order, &transaction, &told).await;
            till.work_for(HOUR).await;
            let state = till.state(&order).await;
            // Who heard of the decline first gave everything back: then the capture goes back too.
            let declined_first = told.iter().position(|state| *state == TransactionState::Captured)
                > told.iter().position(|state| matches!(state, TransactionState::Declined(_)));
            let expected = if declined_first { "PAYMENT_FAILED/REFUNDED" } else { "PAID/SUCCESS" };
            assert_eq!(state, expected, "{told:?}");
            till.is_settled().await;
            if state == "PAID/SUCCESS" {
                till.cancel(&order).await;
                till.work_for(HOUR).await;
            }
            till.gave_everything_back().await;
        }
    })
    .await;
}

#[tokio::test]
async fn callbacks_in_any_order_about_a_closed_order_end_in_one_refund() {
    at_a_till(|till| async move {
        for (number, told) in permutations(&states()).into_iter().enumerate() {
            let (order, transaction) = recorded(&till).await;
            till.cancel(&order).await;
            till.gateway.capture();
            tell(&till, &order, &transaction, &told).await;
            till.work_for(HOUR).await;
            assert_eq!(till.state(&order).await, "CANCELED/REFUNDED", "{told:?}");
            assert_eq!(till.gateway.refunds().len(), number + 1, "{told:?}");
            till.gave_everything_back().await;
            till.is_settled().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_old_copy_that_does_not_show_a_charge_fails_nothing_and_charges_nothing_twice() {
    at_every_till(|till| async move {
        till.gateway.only(crate::gateway::Meets::AnswerLost);
        let order = till.place(3_000).await;
        till.step().await;
        assert_eq!(till.state(&order).await, "PAYMENT_PENDING/UNKNOWN");
        // For a minute its answers are older than the charge.
        till.gateway.answer_from_before();
        till.work_for(Duration::from_mins(1)).await;
        let state = till.state(&order).await;
        assert!(state.starts_with("PAYMENT_PENDING/"), "{state}");
        till.gateway.capture();
        till.gateway.answer_from_now();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        let reference = order.payment.id.to_string();
        let recorded = till.gateway.transactions();
        assert_eq!(recorded.iter().filter(|known| *known.reference == *reference).count(), 1);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn an_old_copy_that_does_not_show_the_capture_takes_back_nothing() {
    at_every_till(|till| async move {
        let (order, transaction) = recorded(&till).await;
        till.gateway.answer_from_before();
        till.gateway.capture();
        till.called_back("told", &GatewayTransaction { state: TransactionState::Captured, ..transaction })
            .await;
        till.work_for(Duration::from_mins(1)).await;
        till.gateway.answer_from_now();
        till.work_for(HOUR).await;
        assert_eq!(till.state(&order).await, "PAID/SUCCESS");
        assert_eq!(till.gateway.refunds().len(), 0);
        till.is_settled().await;
    })
    .await;
}

#[tokio::test]
async fn an_order_that_expires_at_the_tick_of_its_capture_is_paid_or_given_back_whole() {
    Box::pin(at_a_till(|till| async move {
        for first in ["expiry", "capture", "both"] {
            let (order, transaction) = recorded(&till).await;
            till.gateway.capture();
            let captured = GatewayTransaction { state: TransactionState::Captured, ..transaction };
            till.shop.clock.set(order.created_at.plus(Rules::default().sent_deadline));
            let expire = || till.run(CommandKind::Expire { order: order.id });
            let id = format!("told-{}", order.id);
            let capture = || till.called_back(&id, &captured);
            match first {
                "expiry" => {
                    expire().await.unwrap();
                    capture().await;
                }
                "capture" => {
                    capture().await;
                    let _ = expire().await;
                }
                _ => {
                    let _ = tokio::join!(expire(), capture());
                }
            }
            till.is_sound().await;
            till.work_for(HOUR).await;
            let state = till.state(&order).await;
            assert!(["PAID/SUCCESS", "EXPIRED/REFUNDED"].contains(&&*state), "{first}: {state}");
            till.is_settled().await;
            let stock = till.shop.books().await.stocks[&till.product.0];
            assert_eq!(stock, if state == "PAID/SUCCESS" { PIECES - 1 } else { PIECES }, "{first}");
            if state == "PAID/SUCCESS" {
                till.cancel(&order).await;
                till.work_for(HOUR).await;
                till.gave_everything_back().await;
            }
        }
    }))
    .await;
}

/// A cancel at every point between the sending and the capture, beside the capture's callback.
#[tokio::test]
async fn a_cancel_at_every_point_of_a_payment_leaves_it_paid_or_given_back_whole() {
    at_a_till(|till| async move {
        for point in 0..5 {
            let order = till.place(3_000).await;
            if point >= 1 {
                till.step().await;
            }
            if point >= 2 {
                till.gateway.capture();
            }
            if point >= 3 {
                let transaction = till.gateway.transactions().pop().unwrap();
                let id = format!("told-{}", order.id);
                if point == 3 {
                    // At the same moment.
                    tokio::join!(till.cancel(&order), till.called_back(&id, &transaction));
                } else {
                    till.called_back(&id, &transaction).await;
                }
            }
            till.cancel(&order).await;
            till.is_sound().await;
            till.gateway.capture();
            till.work_for(HOUR).await;
            let state = till.state(&order).await;
            assert!(["CANCELED/VOIDED", "CANCELED/REFUNDED"].contains(&&*state), "point {point}: {state}");
            till.gave_everything_back().await;
            till.is_settled().await;
        }
        assert_eq!(till.gateway.holds(), 0);
    })
    .await;
}
