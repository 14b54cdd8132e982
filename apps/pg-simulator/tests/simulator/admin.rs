use serde_json::json;

use crate::support::{CARD, OVER_LIMIT, World};

#[tokio::test]
async fn the_script_is_shown_replaced_and_set_back() {
    let world = World::start().await;
    let start = world.client.get("/admin/faults").await.body;
    assert_eq!(start["failBefore"], json!({"rate": 0.0, "next": 0}));
    let changed = world.client.put("/admin/faults", &json!({"failBefore": {"next": 2}})).await;
    assert_eq!((changed.status, &changed.body["failBefore"]["next"]), (200, &json!(2)));
    world.pay("order-1", CARD).await.refused(500);
    assert_eq!(world.client.get("/admin/faults").await.body["failBefore"]["next"], 1);
    assert_eq!(world.client.put("/admin/faults", &json!({})).await.body, start);
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_script_is_refused_and_changes_nothing() {
    let world = World::start().await;
    world.faults(json!({"failBefore": {"rate": 1}})).await;
    for (changes, expected) in [
        (json!({"failBefore": {"rate": 1.5}}), "failBefore.rate: 1.5; from 0 to 1 is allowed"),
        (json!({"failBefor": {}}), "failBefor: unknown field"),
        (json!([1]), "the script: expected an object"),
    ] {
        let refused = world.client.put("/admin/faults", &changes).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (400, &json!("INVALID_FAULTS")),
            "{}",
            refused.text
        );
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(expected), "{detail}");
    }
    let text =
        world.client.request("PUT", "/admin/faults").header("content-type", "application/json").body("{");
    assert_eq!(world.client.send(text).await.status, 400);
    world.pay("order-1", CARD).await.refused(500);
    world.stop().await;
}

#[tokio::test]
async fn transactions_are_shown_with_their_cards_masked() {
    let world = World::start().await;
    let first = world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-2", OVER_LIMIT).await;
    let all = world.client.get("/admin/transactions").await;
    let keys: Vec<_> =
        all.body["transactions"].as_array().unwrap().iter().map(|one| &one["transactionKey"]).collect();
    assert_eq!(keys, [&json!(second), &json!(first)]);
    assert_eq!(all.body["transactions"][1]["cardNo"], "****-****-****-4444");
    assert!(!all.text.contains("1111"), "{}", all.text);
    let page = world.client.get("/admin/transactions?limit=1").await;
    assert_eq!(page.body["transactions"][0]["transactionKey"], json!(second));
    let next = world.client.get(&format!("/admin/transactions?limit=1&before={}", page.body["next"])).await;
    assert_eq!(next.body["transactions"][0]["transactionKey"], json!(first));
    for query in ["status=SUCCESS", "orderId=order-1"] {
        let found = world.client.get(&format!("/admin/transactions?{query}")).await;
        assert_eq!(found.body["transactions"].as_array().unwrap().len(), 1, "{query}");
        assert_eq!(found.body["transactions"][0]["transactionKey"], json!(first));
    }
    for query in ["status=PAID", "limit=0", "limit=501", "other=1"] {
        assert_eq!(world.client.get(&format!("/admin/transactions?{query}")).await.status, 400, "{query}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_summary_has_the_sums_of_the_books() {
    let world = World::start().await;
    let empty = world.client.get("/admin/summary").await.body;
    let none = json!({"count": 0, "amount": 0, "refunded": 0});
    let transactions = json!({"FAILED": none, "PENDING": none, "SUCCESS": none});
    assert_eq!(empty, json!({"transactions": transactions, "captured": 0, "refunded": 0, "callbacks": {}}));
    let key = world.pay_and_settle("order-1", CARD).await;
    world.pay_and_settle("order-2", CARD).await;
    world.pay_and_settle("order-3", OVER_LIMIT).await;
    let refund = json!({"amount": 2_000, "reason": "changed my mind"});
    world.client.post(&format!("/api/v1/payments/{key}/cancel"), &refund).await.data();
    let summary = world.client.get("/admin/summary").await.body;
    assert_eq!(summary["transactions"]["SUCCESS"], json!({"count": 2, "amount": 10_000, "refunded": 2_000}));
    assert_eq!(summary["transactions"]["FAILED"], json!({"count": 1, "amount": 5_000, "refunded": 0}));
    assert_eq!((&summary["captured"], &summary["refunded"]), (&json!(10_000), &json!(2_000)));
    world.stop().await;
}

#[tokio::test]
async fn the_operators_surface_is_for_this_machine_and_the_token() {
    let world = World::with(|options| options.admin_token = Some("s3cret".to_owned())).await;
    for path in ["/admin/faults", "/admin/transactions", "/admin/summary", "/actuator/prometheus"] {
        let through_a_proxy = || world.client.request("GET", path).header("x-forwarded-for", "10.0.0.9");
        assert_eq!(world.client.send(through_a_proxy()).await.status, 401, "{path}");
        let answer = through_a_proxy().header("authorization", "Bearer s3cret").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    world.stop().await;
}
