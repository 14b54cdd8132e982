//! Callbacks as a gateway sends them that makes mistakes, or that somebody imitates.

use pg_simulator::{Capabilities, Chance, Range};

use crate::support::{APPROVED, World, faults};

async fn pays_once(change: impl FnOnce(&mut pg_simulator::Faults)) {
    let world = World::open(Capabilities::ALL, faults(change)).await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;
    let mut total = 0;
    for _ in 0..3 {
        let order = world.order(&shopper, APPROVED).await;
        let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
        total += paid["total"].as_i64().unwrap();
        let history = world.history(&shopper, &paid).await;
        let captured = history.iter().filter(|event| *event == "CAPTURED").count();
        assert_eq!(captured, 1, "{history:?}");
    }
    assert_eq!((world.stock(&shopper).await, world.books().await), (stock - 3, (total, 0)));
    world.settles().await;
}

#[tokio::test]
async fn a_callback_that_comes_ten_times_pays_once() {
    pays_once(|faults| {
        faults.callback_duplicated = Chance::ALWAYS;
        faults.callback_copies = 9;
    })
    .await;
}

#[tokio::test]
async fn a_callback_before_the_answer_pays_once() {
    pays_once(|faults| faults.callback_early = Chance::ALWAYS).await;
}

#[tokio::test]
async fn a_callback_that_is_replayed_pays_once() {
    pays_once(|faults| faults.callback_replayed = Chance::ALWAYS).await;
}

#[tokio::test]
async fn callbacks_that_overtake_each_other_pay_once() {
    pays_once(|faults| {
        faults.callback_reordered = Chance::ALWAYS;
        faults.callback_reorder_ms = 100;
    })
    .await;
}

#[tokio::test]
async fn a_callback_of_another_amount_pays_nothing_and_the_gateway_is_asked() {
    pays_once(|faults| faults.callback_wrong_amount = Chance::ALWAYS).await;
}

#[tokio::test]
async fn a_forged_success_pays_nothing() {
    let forged = faults(|faults| {
        faults.callback_forged = Chance::ALWAYS;
        faults.declines =
            vec![pg_simulator::Decline { reason: "한도초과".to_owned(), rate: 1.0, next: 0 }];
        faults.decision_ms = Range { min: 50, max: 50 };
    });
    let world = World::open(Capabilities::ALL, forged).await;
    let shopper = world.shopper().await;
    let order = world.order(&shopper, APPROVED).await;
    let failed = world.until(&shopper, &order, "PAYMENT_FAILED", "FAILED").await;
    let history = world.history(&shopper, &failed).await;
    assert!(!history.iter().any(|event| event.starts_with("CAPTURED")), "{history:?}");
    world.settles().await;
}
