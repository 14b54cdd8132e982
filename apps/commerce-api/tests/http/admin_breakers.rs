//! Circuit breakers, as operators see and switch them.

use serde_json::json;

use crate::support::{Reply, Shop, User};

async fn switch(shop: &Shop, admin: &User, name: &str, action: &str) -> Reply {
    let body = json!({"action": action, "reason": "the gateway asked for a pause"});
    shop.post(&format!("/api/v1/admin/breakers/{name}")).by(admin).json(&body).send().await
}

#[tokio::test]
async fn breakers_are_listed_with_their_figures_and_switched_with_a_reason() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let list = async || shop.get("/api/v1/admin/breakers").by(&admin).send().await.expect(200);
    let all = list().await;
    assert_eq!(json!(all.items("name")), json!(["gateway-charge", "gateway-query", "gateway-refund"]));
    assert_eq!(
        all["items"][0],
        json!({
            "name": "gateway-charge", "state": "CLOSED", "failureRate": null, "slowCallRate": null,
            "failureRateThreshold": 50, "slowCallRateThreshold": 100, "bufferedCalls": 0, "failedCalls": 0,
            "slowCalls": 0, "notPermittedCalls": 0, "openForMs": null,
        })
    );
    let steps = [
        ("FORCE_OPEN", "FORCED_OPEN"),
        ("FORCE_OPEN", "FORCED_OPEN"),
        ("CLOSE", "CLOSED"),
        ("CLOSE", "CLOSED"),
        ("FORCE_OPEN", "FORCED_OPEN"),
        ("RESET", "CLOSED"),
        ("FORCE_OPEN", "FORCED_OPEN"),
    ];
    for (action, state) in steps {
        let switched = switch(&shop, &admin, "gateway-charge", action).await.expect(200);
        assert_eq!(switched["state"], state, "after {action}");
    }
    assert_eq!(json!(list().await.items("state")), json!(["FORCED_OPEN", "CLOSED", "CLOSED"]));
    let entries = shop.audit_log("BREAKER_SWITCHED").await;
    let detail = json!({"to": "FORCE_OPEN", "from": "CLOSED", "reason": "the gateway asked for a pause"});
    assert_eq!(entries.len(), steps.len(), "each is in the audit log");
    assert_eq!(entries[0], (format!("user:{}", admin.id), "breaker:gateway-charge".to_owned(), detail));
}

#[tokio::test]
async fn a_switch_names_a_breaker_an_action_and_a_reason() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    switch(&shop, &admin, "gateway-lottery", "CLOSE").await.refused(404, "BREAKER_NOT_FOUND");
    let path = "/api/v1/admin/breakers/gateway-charge";
    for (body, pointer) in [
        (json!({"action": "FORCE_OPEN", "reason": " "}), "/reason"),
        (json!({"action": "FORCE_OPEN"}), "/reason"),
        (json!({"action": "EXPLODE", "reason": "why not"}), "/action"),
    ] {
        let refused = shop.post(path).by(&admin).json(&body).send().await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.json);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}: {}", refused.json);
    }
    assert_eq!(shop.audit_log("BREAKER_SWITCHED").await, []);
}
