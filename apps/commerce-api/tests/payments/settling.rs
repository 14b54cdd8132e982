//! How orders by card end, whatever the gateway does on the way.

use pg_simulator::{Capabilities, Chance, Faults, Range};
use serde_json::json;

use crate::support::{APPROVED, OVER_LIMIT, World, faults};
use commerce_api::app::demo;

#[tokio::test]
async fn a_card_order_settles_by_its_callback() {
    // Nobody can ask this gateway, so nothing but the callback can tell.
    let deaf = faults(|faults| faults.query_failing = Chance::ALWAYS);
    let world = World::open(Capabilities::ALL, deaf).await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;
    let order = world.order(&shopper, APPROVED).await;
    let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
    assert_eq!(world.stock(&shopper).await, stock - 1);
    let total = paid["total"].as_i64().unwrap();
    assert_eq!(world.books().await, (total, 0));
    assert_eq!(paid["pointsEarned"], total / 100);
    world.settles().await;
}

#[tokio::test]
async fn a_declined_card_gives_back_what_was_taken_and_nothing_else() {
    let world = World::open(Capabilities::ALL, Faults::default()).await;
    let shopper = world.shopper().await;
    world.post(&shopper, "/api/v1/users/me/points/charges", &json!({"amount": 500}), 201).await;
    let coupon = world.post(&shopper, "/api/v1/coupons/1/issues", &json!({}), 201).await;
    let stock = world.stock(&shopper).await;
    let with = json!({
        "issuedCouponId": coupon["id"],
        "payment": {"points": 200, "card": {"type": "KB", "number": OVER_LIMIT}},
    });
    let order = world.order_with(&shopper, OVER_LIMIT, with).await;
    world.until(&shopper, &order, "PAYMENT_FAILED", "FAILED").await;
    assert_eq!(world.stock(&shopper).await, stock);
    let points = world.get(&shopper, "/api/v1/users/me/points").await;
    assert_eq!(points["balance"], 500);
    let kinds: Vec<_> = points["items"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["REFUND", "USE", "CHARGE"]);
    let coupons = world.get(&shopper, "/api/v1/users/me/coupons").await;
    assert_eq!(coupons["items"][0]["status"], "USABLE");
    assert_eq!(world.books().await, (0, 0));
    world.settles().await;
}

#[tokio::test]
async fn a_callback_that_never_comes_is_not_needed() {
    let silent = faults(|faults| faults.callback_lost = Chance::ALWAYS);
    let world = World::open(Capabilities::ALL, silent).await;
    let shopper = world.shopper().await;
    let order = world.order(&shopper, APPROVED).await;
    world.until(&shopper, &order, "PAID", "SUCCESS").await;
    world.settles().await;
}

#[tokio::test]
async fn a_gateway_that_is_down_is_waited_for() {
    let mut world = World::open(Capabilities::ALL, Faults::default()).await;
    let shopper = world.shopper().await;
    world.stop_gateway().await;
    let order = world.order(&shopper, APPROVED).await;
    let declined = world.order(&shopper, OVER_LIMIT).await;
    let waiting = world.until(&shopper, &order, "PAYMENT_PENDING", "PENDING").await;
    world.start_gateway(Faults::default()).await;
    let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
    assert_eq!(paid["id"], waiting["id"]);
    world.until(&shopper, &declined, "PAYMENT_FAILED", "FAILED").await;
    world.settles().await;
}

#[tokio::test]
async fn an_open_breaker_makes_orders_wait_until_the_gateway_is_back() {
    let mut world = World::open(Capabilities::ALL, Faults::default()).await;
    let shopper = world.shopper().await;
    world.stop_gateway().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(world.order(&shopper, APPROVED).await);
    }
    let open = world.until_breaker("gateway-charge", "OPEN").await;
    assert!(open["failedCalls"].as_i64().unwrap() >= 5, "{open}");
    for order in &orders {
        world.until(&shopper, order, "PAYMENT_PENDING", "PENDING").await;
    }
    let metrics = world.metrics().await;
    for series in [
        "resilience4j_circuitbreaker_state{name=\"gateway-charge\",state=\"open\"}",
        "resilience4j_circuitbreaker_failure_rate{name=\"gateway-query\"}",
        "resilience4j_bulkhead_max_allowed_concurrent_calls{name=\"gateway\"} 64",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series} is not in {metrics}");
    }
    world.start_gateway(Faults::default()).await;
    let mut total = 0;
    for order in &orders {
        total += world.until(&shopper, order, "PAID", "SUCCESS").await["total"].as_i64().unwrap();
    }
    // Two of them closed it.
    world.until_breaker("gateway-charge", "CLOSED").await;
    assert_eq!(world.books().await, (total, 0));
    world.settles().await;
}

#[tokio::test]
async fn lost_answers_are_found_out_by_our_reference() {
    for capabilities in [Capabilities::ALL, Capabilities::NONE] {
        let lossy = faults(|faults| {
            faults.fail_after = Chance::ALWAYS;
            faults.callback_lost = Chance::ALWAYS;
        });
        let world = World::open(capabilities, lossy).await;
        let shopper = world.shopper().await;
        let order = world.order(&shopper, APPROVED).await;
        let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
        assert_eq!(world.books().await, (paid["total"].as_i64().unwrap(), 0));
        let history = world.history(&shopper, &paid).await;
        assert!(history.contains(&"OUTCOME_UNKNOWN".to_owned()), "{history:?}");
        world.settles().await;
    }
}

#[tokio::test]
async fn an_unsteady_gateway_without_abilities_settles_everything_in_the_end() {
    let unsteady = faults(|faults| {
        faults.fail_before = Chance::rate(0.4);
        faults.decision_ms = Range { min: 5, max: 50 };
        faults.callback_lost = Chance::rate(0.3);
        faults.query_failing = Chance::rate(0.2);
    });
    let world = World::open(Capabilities::NONE, unsteady).await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;
    let mut orders = Vec::new();
    for card in [APPROVED, APPROVED, OVER_LIMIT, APPROVED, APPROVED, OVER_LIMIT, APPROVED, APPROVED] {
        orders.push((card, world.order(&shopper, card).await));
    }
    let (mut paid, mut captured) = (0, 0);
    for (card, order) in orders {
        let end = world.settled(&shopper, &order).await;
        // Sent once, and never again without a key: what the gateway did not record has failed.
        if end["status"] == "PAID" {
            assert_eq!(card, APPROVED);
            (paid, captured) = (paid + 1, captured + end["total"].as_i64().unwrap());
        } else {
            assert_eq!(end["status"], "PAYMENT_FAILED");
        }
    }
    assert_eq!((world.stock(&shopper).await, world.books().await), (stock - paid, (captured, 0)));
    world.settles().await;
}

#[tokio::test]
async fn a_paid_order_that_is_canceled_is_given_back() {
    let unsteady = faults(|faults| faults.refund_fail_after = Chance::next(1));
    let world = World::open(Capabilities::ALL, unsteady).await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;
    let order = world.order(&shopper, APPROVED).await;
    let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
    world.post(&shopper, &format!("{order}/cancel"), &json!({}), 202).await;
    world.until(&shopper, &order, "CANCELED", "REFUNDED").await;
    let total = paid["total"].as_i64().unwrap();
    assert_eq!((world.stock(&shopper).await, world.books().await), (stock, (total, total)));
    world.settles().await;
}

#[tokio::test]
async fn money_that_comes_after_the_cancel_goes_back() {
    let slow = faults(|faults| faults.decision_ms = Range { min: 1_000, max: 1_000 });
    let world = World::open(Capabilities::ALL, slow).await;
    let shopper = world.shopper().await;
    let stock = world.stock(&shopper).await;
    let order = world.order(&shopper, APPROVED).await;
    let waiting = world.until(&shopper, &order, "PAYMENT_PENDING", "PROCESSING").await;
    world.post(&shopper, &format!("{order}/cancel"), &json!({}), 200).await;
    world.until(&shopper, &order, "CANCELED", "REFUNDED").await;
    let total = waiting["total"].as_i64().unwrap();
    assert_eq!((world.stock(&shopper).await, world.books().await), (stock, (total, total)));
    world.settles().await;
}

#[tokio::test]
async fn a_shop_that_stops_in_between_goes_on_where_it_was() {
    let slow = faults(|faults| faults.decision_ms = Range { min: 300, max: 300 });
    let mut world = World::open(Capabilities::ALL, slow).await;
    let shopper = world.shopper().await;
    let order = world.order(&shopper, APPROVED).await;
    world.until(&shopper, &order, "PAYMENT_PENDING", "PROCESSING").await;
    world.stop_shop().await;
    // On another port: the callback goes to the old one.
    world.start_shop().await;
    let shopper = world.shopper().await;
    world.until(&shopper, &order, "PAID", "SUCCESS").await;
    world.settles().await;
}

#[tokio::test]
async fn what_is_stuck_is_listed_and_given_back_by_hand() {
    let world = World::open(Capabilities::NONE, Faults::default()).await;
    let shopper = world.shopper().await;
    let admin = world.log_in(demo::ADMIN).await;
    let order = world.order(&shopper, APPROVED).await;
    let paid = world.until(&shopper, &order, "PAID", "SUCCESS").await;
    // This gateway gives nothing back by itself.
    world.post(&shopper, &format!("{order}/cancel"), &json!({}), 202).await;
    let open = world.get(&admin, "/api/v1/admin/payments?state=REFUND_PENDING").await;
    let payment = open["items"][0]["id"].as_str().unwrap();
    assert_eq!(paid["payment"]["id"], payment);
    let resolve = json!({"outcome": "REFUNDED", "reason": "by bank transfer of today"});
    let path = format!("/api/v1/admin/payments/{payment}/resolve");
    assert_eq!(world.post(&admin, &path, &resolve, 200).await["status"], "CANCELED");
    // Without keys it is looked at until no second capture can come any more, and no longer.
    world.until_that(&admin, "/api/v1/admin/payments", |open| open["items"] == json!([])).await;
    world.settles().await;
}

#[tokio::test]
async fn calls_to_the_gateway_and_open_payments_are_measured() {
    let world = World::open(Capabilities::ALL, Faults::default()).await;
    let shopper = world.shopper().await;
    let order = world.order(&shopper, APPROVED).await;
    world.until(&shopper, &order, "PAID", "SUCCESS").await;
    let metrics = world.metrics().await;
    for series in [
        "commerce_gateway_calls_total{call=\"charge\",result=\"ok\"}",
        "commerce_gateway_call_seconds_count{call=\"charge\"}",
        "commerce_payments_open{state=\"PROCESSING\"}",
        "commerce_outbox_rows",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series} is not in {metrics}");
    }
    assert!(!metrics.contains("9814"));
    world.settles().await;
}

#[tokio::test]
async fn what_happens_to_an_order_is_published() {
    let world = World::open(Capabilities::ALL, Faults::default()).await;
    let shopper = world.shopper().await;
    let before = world.published().await;
    let order = world.order(&shopper, APPROVED).await;
    world.until(&shopper, &order, "PAID", "SUCCESS").await;
    // OrderCreated, PaymentRequested, PaymentSucceeded, OrderPaid.
    world.until_published(before + 4).await;
    world.settles().await;
}
