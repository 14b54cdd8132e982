//! The shape of every main answer. Times, ids and tokens count, so the answers are the same every run.

use serde_json::json;

use crate::support::{Shop, User, order_of};

struct Stage {
    shop: Shop,
    admin: User,
    shopper: User,
    product: i64,
}

impl Stage {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let admin = shop.admin().await;
        let brand = json!({"name": "Boseong", "description": "Tea since 1939"});
        let brand = shop.post("/api/v1/brands").by(&admin).json(&brand).send().await.expect(201);
        let product = json!({
            "code": "TEA-1", "name": "Green tea", "description": "First flush", "brandId": brand["id"],
            "price": 6_000, "stock": 10,
        });
        let product = shop.post("/api/v1/products").by(&admin).json(&product).send().await.expect(201);
        let shopper = shop.customer("shopper", 50_000).await;
        Self { shop, admin, shopper, product: product["id"].as_i64().unwrap() }
    }
}

#[tokio::test]
async fn accounts_and_sessions() {
    let Stage { shop, admin, shopper, .. } = Stage::open().await;
    insta::assert_json_snapshot!("profile", shop.get("/api/v1/users/me").by(&shopper).send().await.json);
    let log_in = json!({"loginId": "admin", "password": "correct horse"});
    insta::assert_json_snapshot!("session", shop.post("/api/v1/sessions").json(&log_in).send().await.json);
    insta::assert_json_snapshot!("users", shop.get("/api/v1/admin/users").by(&admin).send().await.json);
    let buyers = shop.post("/api/v1/demo/buyers").by(&admin).json(&json!({"count": 2, "points": 5}));
    insta::assert_json_snapshot!("demo_buyers", buyers.send().await.json);
    insta::assert_json_snapshot!(
        "points",
        shop.get("/api/v1/users/me/points").by(&shopper).send().await.json
    );
}

#[tokio::test]
async fn catalogue() {
    let Stage { shop, admin, shopper, product } = Stage::open().await;
    insta::assert_json_snapshot!("products", shop.get("/api/v1/products").send().await.json);
    let path = format!("/api/v1/products/{product}");
    insta::assert_json_snapshot!("product", shop.get(&path).send().await.json);
    insta::assert_json_snapshot!("brand", shop.get("/api/v1/brands/1").send().await.json);
    let movement = json!({"kind": "ADJUSTMENT", "quantity": -1, "reason": "Torn bag"});
    let moved = shop.post(&format!("{path}/stock-movements")).by(&admin).new_key().json(&movement);
    insta::assert_json_snapshot!("stock_movement", moved.send().await.expect(201).json);
    shop.call("PUT", &format!("{path}/like")).by(&shopper).send().await.expect(200);
    insta::assert_json_snapshot!("likes", shop.get("/api/v1/users/me/likes").by(&shopper).send().await.json);
}

#[tokio::test]
async fn coupons() {
    let Stage { shop, admin, shopper, .. } = Stage::open().await;
    let coupon = shop.coupon(&admin, "WELCOME", Some(5)).await;
    let rate = json!({
        "code": "SPRING", "name": "Spring sale", "kind": "RATE", "rateBasisPoints": 1_000, "cap": 3_000,
        "validFrom": "2027-01-01T00:00:00+09:00", "validUntil": "2027-02-01T00:00:00+09:00",
    });
    shop.post("/api/v1/coupons").by(&admin).json(&rate).send().await.expect(201);
    insta::assert_json_snapshot!("coupons", shop.get("/api/v1/coupons").send().await.json);
    let issue = shop.post(&format!("/api/v1/coupons/{coupon}/issues")).by(&shopper).new_key();
    insta::assert_json_snapshot!("issued_coupon", issue.send().await.expect(201).json);
}

#[tokio::test]
async fn orders_and_payments() {
    let Stage { shop, shopper, product, .. } = Stage::open().await;
    let placed = shop.order(&shopper, product, 2).await.expect(201);
    insta::assert_json_snapshot!("order_paid", placed.json);
    let payment = format!("/api/v1/payments/{}", placed["payment"]["id"].as_str().unwrap());
    insta::assert_json_snapshot!("payment", shop.get(&payment).by(&shopper).send().await.json);
    let history = shop.get(&format!("{payment}/history")).by(&shopper).send().await;
    insta::assert_json_snapshot!("payment_history", history.json);
    let mut order = order_of(product, 1);
    order["payment"] = json!({"points": 1_000, "card": {"type": "HYUNDAI", "number": "1234-5678-9814-1451"}});
    let waiting = shop.post("/api/v1/orders").by(&shopper).new_key().json(&order).send().await.expect(202);
    insta::assert_json_snapshot!("order_waiting", waiting.json);
}

#[tokio::test]
async fn problems() {
    let Stage { shop, shopper, product, .. } = Stage::open().await;
    let refused = shop.order(&shopper, product, 11).await.expect(409);
    insta::assert_json_snapshot!("problem_refused", refused.json);
    let bad = shop.order(&shopper, product, 0).await.expect(400);
    insta::assert_json_snapshot!("problem_bad_input", bad.json);
}
