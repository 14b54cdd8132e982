//! What an operator switches on a shop at work, and sessions of one.

use pg_simulator::{Capabilities, Faults};
use serde_json::json;

use crate::support::{APPROVED, World};

const CHARGES: &str = "/api/v1/admin/breakers/gateway-charge";

#[tokio::test]
async fn a_breaker_that_is_forced_open_stops_charges_and_loses_no_order() {
    let world = World::open(Capabilities::ALL, Faults::default()).await;
    let (admin, shopper) = (world.admin().await, world.shopper().await);
    let force = json!({"action": "FORCE_OPEN", "reason": "the gateway is being moved"});
    let forced = world.post(&admin, CHARGES, &force, 200).await;
    assert_eq!((&forced["state"], &forced["openForMs"]), (&json!("FORCED_OPEN"), &json!(null)));
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(world.order(&shopper, APPROVED).await);
    }
    // Each was tried, and nothing left the shop, though the gateway is well.
    let refused = |listed: &serde_json::Value| listed["items"][0]["notPermittedCalls"].as_i64().unwrap();
    world.until_that(&admin, "/api/v1/admin/breakers", |listed| refused(listed) >= 3).await;
    for order in &orders {
        world.until(&shopper, order, "PAYMENT_PENDING", "PENDING").await;
    }
    assert_eq!(world.books().await, (0, 0));
    let close = json!({"action": "CLOSE", "reason": "the gateway was moved"});
    assert_eq!(world.post(&admin, CHARGES, &close, 200).await["state"], "CLOSED");
    let mut total = 0;
    for order in &orders {
        total += world.until(&shopper, order, "PAID", "SUCCESS").await["total"].as_i64().unwrap();
    }
    assert_eq!(world.books().await, (total, 0));
    world.settles().await;
}

#[tokio::test]
async fn a_session_that_was_ended_is_over_at_once_although_sessions_are_cached() {
    let world = World::open(Capabilities::ALL, Faults::default()).await;
    let (leaving, staying) = (world.shopper().await, world.shopper().await);
    for buyer in [&leaving, &staying] {
        assert_eq!(world.status(buyer, "/api/v1/users/me").await, 200);
    }
    assert_eq!(world.log_out(&leaving).await, 204);
    assert_eq!(world.status(&leaving, "/api/v1/users/me").await, 401);
    assert_eq!(world.log_out(&leaving).await, 401);
    assert_eq!(world.status(&staying, "/api/v1/users/me").await, 200, "another session of the same account");
    world.settles().await;
}
