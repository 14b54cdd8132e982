//! The operator's routes beside the shop's.

use std::net::IpAddr;

use commerce_api_domain::Role;

use crate::support::{Call, Shop};

const PATHS: [&str; 5] =
    ["/actuator", "/actuator/info", "/actuator/metrics", "/actuator/prometheus", "/actuator/circuitbreakers"];

/// From another machine.
fn call(shop: &Shop, path: &str) -> Call {
    shop.get(path).coming_from(IpAddr::from([10, 0, 0, 1]))
}

#[tokio::test]
async fn details_are_for_administrators_and_refusals_say_whom_they_refuse() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let customer = shop.user("shopper", Role::Customer).await;
    for path in PATHS {
        let anonymous = call(&shop, path).send().await.refused(401, "AUTHENTICATION_REQUIRED");
        assert_eq!(anonymous.header("www-authenticate"), "Bearer");
        call(&shop, path).token("nonsense").send().await.refused(401, "AUTHENTICATION_REQUIRED");
        call(&shop, path).by(&customer).send().await.refused(403, "ACCESS_DENIED");
        call(&shop, path).by(&admin).send().await.expect(200);
        shop.get(path).coming_from(IpAddr::from([127, 0, 0, 1])).send().await.expect(200);
    }
}

#[tokio::test]
async fn the_status_is_for_everybody_and_traced() {
    let shop = Shop::open().await;
    let health = call(&shop, "/actuator/health")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let health = health.send().await.expect(200);
    assert_eq!((&health["status"], &health["components"]), (&"UP".into(), &serde_json::Value::Null));
    assert!(health.header("traceparent").starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_eq!(health.header("cache-control"), "no-store");
    // A bad token shuts nobody out of what needs none.
    call(&shop, "/actuator/health").token("nonsense").send().await.expect(200);
    call(&shop, "/actuator/env").send().await.refused(404, "ROUTE_NOT_FOUND");
    let posted = shop.post("/actuator/health").send().await.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(posted.header("allow"), "GET,HEAD");
}
