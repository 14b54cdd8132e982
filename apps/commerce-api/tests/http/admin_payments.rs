//! Payments, as those who run the shop see and settle them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Reply, STUCK_AFTER, Shop, User};

struct Till {
    shop: Shop,
    admin: User,
    shopper: User,
    product: i64,
}

impl Till {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let admin = shop.admin().await;
        let brand = shop.brand(&admin, "Boseong").await;
        let product = shop.product(&admin, brand, "TEA-1", 5_000, 10).await;
        let shopper = shop.customer("shopper", 1_000).await;
        Self { shop, admin, shopper, product }
    }

    /// Order and payment of an order by card.
    async fn order(&self) -> (String, String) {
        let placed = self.shop.order_by_card(&self.shopper, self.product, 1).await;
        (placed.text("id"), placed["payment"]["id"].as_str().unwrap().to_owned())
    }

    async fn sent(&self) -> (String, String) {
        let (order, payment) = self.order().await;
        self.shop.send_to_gateway(&order).await;
        (order, payment)
    }

    async fn open_ids(&self, query: &str) -> Value {
        let path = format!("/api/v1/admin/payments{query}");
        self.shop.get(&path).by(&self.admin).send().await.expect(200).items("id").into()
    }

    async fn by_hand(&self, payment: &str, what: &str, body: Value) -> Reply {
        let path = format!("/api/v1/admin/payments/{payment}/{what}");
        self.shop.post(&path).by(&self.admin).new_key().json(&body).send().await
    }

    async fn status(&self, order: &str) -> String {
        let path = format!("/api/v1/orders/{order}");
        self.shop.get(&path).by(&self.shopper).send().await.expect(200).text("status")
    }
}

#[tokio::test]
async fn open_payments_are_listed_by_state_and_by_how_long_they_take() {
    let till = Till::open().await;
    let (_, first) = till.order().await;
    till.shop.clock.advance(Duration::from_secs(1));
    let (_, second) = till.sent().await;
    let (done, _) = till.order().await;
    till.shop.capture(&done).await;
    assert_eq!(till.open_ids("").await, json!([first, second]));
    assert_eq!(till.open_ids("?state=PENDING").await, json!([first]));
    assert_eq!(till.open_ids("?state=REQUESTING").await, json!([second]));
    assert_eq!(till.open_ids("?state=UNKNOWN").await, json!([]));
    assert_eq!(till.open_ids("?state=STUCK").await, json!([]));
    till.shop.clock.advance(STUCK_AFTER);
    assert_eq!(till.open_ids("?state=STUCK").await, json!([first]));
    till.shop.clock.advance(Duration::from_secs(2));
    assert_eq!(till.open_ids("?state=STUCK").await, json!([first, second]));
    let page = till.shop.get("/api/v1/admin/payments?limit=1").by(&till.admin).send().await.expect(200);
    assert_eq!(page.items("id"), [json!(first)]);
    assert_eq!(till.open_ids(&format!("?limit=1&cursor={}", page.text("nextCursor"))).await, json!([second]));
    let refused = till.shop.get("/api/v1/admin/payments?state=LOST").by(&till.admin).send().await;
    refused.refused(400, "INVALID_PARAMETER");
}

#[tokio::test]
async fn an_open_payment_shows_what_an_operator_needs_and_no_card() {
    let till = Till::open().await;
    till.sent().await;
    let open = till.shop.get("/api/v1/admin/payments").by(&till.admin).send().await.expect(200);
    assert!(!open.json.to_string().contains("9814"), "{}", open.json);
    insta::assert_json_snapshot!("open_payments", open.json);
}

#[tokio::test]
async fn what_is_found_out_at_the_gateways_desk_settles_a_payment() {
    let till = Till::open().await;
    let (order, payment) = till.sent().await;
    let body = json!({
        "outcome": "CAPTURED", "transactionKey": "20270115:TR:9577c5", "reason": "seen on their screen",
    });
    let path = format!("/api/v1/admin/payments/{payment}/resolve");
    let resolve = async || till.shop.post(&path).by(&till.admin).key("resolve-1").json(&body).send().await;
    let resolved = resolve().await.expect(200);
    assert_eq!((resolved.text("status"), resolved.text("id")), ("PAID".to_owned(), order.clone()));
    assert_eq!(resolved.header("location"), format!("/api/v1/orders/{order}"));
    let again = resolve().await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &resolved.body));

    let (order, payment) = till.sent().await;
    let taken = till.by_hand(&payment, "resolve", body.clone()).await.refused(409, "TRANSACTION_KEY_TAKEN");
    assert_eq!(taken["errors"][0]["pointer"], "/transactionKey");
    let failed = json!({"outcome": "FAILED", "reason": "they never got it"});
    let failed = till.by_hand(&payment, "resolve", failed).await.expect(200);
    assert_eq!(failed.text("status"), "PAYMENT_FAILED");
    assert_eq!(
        (till.status(&order).await, till.shop.stock(till.product).await),
        ("PAYMENT_FAILED".into(), 9)
    );
}

#[tokio::test]
async fn only_what_the_state_allows_is_done_by_hand() {
    let till = Till::open().await;
    let (order, payment) = till.order().await;
    // Nothing was sent, so nothing was captured.
    let captured = json!({"outcome": "CAPTURED", "transactionKey": "k1", "reason": "wishful thinking"});
    let refused = till.by_hand(&payment, "resolve", captured.clone()).await;
    refused.refused(409, "PAYMENT_STATE_CONFLICT");
    let refunded = json!({"outcome": "REFUNDED", "reason": "by bank transfer"});
    till.by_hand(&payment, "resolve", refunded).await.refused(409, "PAYMENT_STATE_CONFLICT");
    assert_eq!(till.status(&order).await, "PAYMENT_PENDING");
    let bodies = [
        (json!({"outcome": "CAPTURED", "reason": "x"}), "/transactionKey"),
        (json!({"outcome": "FAILED", "transactionKey": "k1", "reason": "x"}), "/transactionKey"),
        (json!({"outcome": "FAILED"}), "/reason"),
        (json!({"outcome": "FAILED", "reason": "  "}), "/reason"),
        (json!({"outcome": "LOST", "reason": "x"}), "/outcome"),
        (json!({"outcome": "CAPTURED", "transactionKey": "a b", "reason": "x"}), "/transactionKey"),
    ];
    for (body, pointer) in bodies {
        let refused = till.by_hand(&payment, "resolve", body).await.refused(400, "MALFORMED_REQUEST");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    let nobody = "0198f2a1-0000-7000-8000-000000000001";
    till.by_hand(nobody, "resolve", captured).await.refused(404, "PAYMENT_NOT_FOUND");
    till.by_hand(nobody, "refund", json!({"reason": "x"})).await.refused(404, "PAYMENT_NOT_FOUND");
    let recheck = till.shop.post(&format!("/api/v1/admin/payments/{nobody}/recheck")).by(&till.admin);
    recheck.send().await.refused(404, "PAYMENT_NOT_FOUND");
    till.shop.charge(&till.admin, 5_000).await;
    let by_points = till.shop.order(&till.admin, till.product, 1).await.expect(201);
    let by_points = by_points["payment"]["id"].as_str().unwrap();
    till.by_hand(by_points, "refund", json!({"reason": "x"})).await.refused(404, "PAYMENT_NOT_FOUND");
}

#[tokio::test]
async fn a_paid_order_is_given_back_by_hand() {
    let till = Till::open().await;
    let (order, payment) = till.order().await;
    till.shop.capture(&order).await;
    let given = till.by_hand(&payment, "refund", json!({"reason": "the tea was stale"})).await.expect(202);
    assert_eq!((given.text("status"), given.header("retry-after")), ("CANCEL_PENDING".to_owned(), "1"));
    assert_eq!(till.shop.stock(till.product).await, 10);
    assert_eq!(till.open_ids("?state=REFUND_PENDING").await, json!([payment]));
    // Once more is the same refund.
    till.by_hand(&payment, "refund", json!({"reason": "once more"})).await.expect(202);
    assert_eq!(till.shop.stock(till.product).await, 10);
    // Given back outside of the gateway's interface.
    let done = json!({"outcome": "REFUNDED", "reason": "by bank transfer"});
    assert_eq!(till.by_hand(&payment, "resolve", done).await.expect(200).text("status"), "CANCELED");
}

#[tokio::test]
async fn a_recheck_makes_a_payment_due_whatever_its_state() {
    let till = Till::open().await;
    let (order, payment) = till.order().await;
    till.shop.capture(&order).await;
    assert_eq!(till.open_ids("").await, json!([]));
    let recheck = till.shop.post(&format!("/api/v1/admin/payments/{payment}/recheck")).by(&till.admin);
    recheck.send().await.expect(204);
    assert_eq!(till.open_ids("").await, json!([payment]));
    assert_eq!(till.status(&order).await, "PAID");
}
