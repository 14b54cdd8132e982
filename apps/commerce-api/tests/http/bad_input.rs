//! Bad input: each fault has its status and code, names its place, and is never a 500.

use serde_json::{Value, json};

use crate::document::{document, is_signed, operations, path_with};
use crate::support::{Reply, Shop, User, order_of};

struct Counter {
    shop: Shop,
    admin: User,
    customer: User,
    product: i64,
}

impl Counter {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let admin = shop.admin().await;
        let customer = shop.customer("customer", 100_000).await;
        let brand = shop.brand(&admin, "Boseong").await;
        let product = shop.product(&admin, brand, "TEA-1", 1_000, 100).await;
        Self { shop, admin, customer, product }
    }

    async fn order_text(&self, body: &str) -> Reply {
        self.shop.post("/api/v1/orders").by(&self.customer).new_key().text(body).send().await
    }

    async fn order(&self, body: &Value) -> Reply {
        self.order_text(&body.to_string()).await
    }

    async fn admin_post(&self, path: &str, body: &Value) -> Reply {
        self.shop.post(path).by(&self.admin).new_key().json(body).send().await
    }
}

#[track_caller]
fn assert_points_at(reply: &Reply, pointer: &str) {
    assert_eq!(reply["errors"][0]["pointer"], pointer, "{}", reply.json);
}

#[tokio::test]
async fn a_wrong_value_of_an_order_is_pointed_at() {
    let counter = Counter::open().await;
    let line = |quantity: Value| json!({"lines": [{"productId": 1, "quantity": quantity}], "payment": {}});
    let many =
        |count: usize| json!({"lines": vec![json!({"productId": 1, "quantity": 1}); count], "payment": {}});
    let paid = |payment: Value| json!({"lines": [{"productId": 1, "quantity": 1}], "payment": payment});
    let card = |number: &str| paid(json!({"card": {"type": "SAMSUNG", "number": number}}));
    let cases = [
        (line(json!(0)), "/lines/0/quantity"),
        (line(json!(-1)), "/lines/0/quantity"),
        (line(json!(1_000_001)), "/lines/0/quantity"),
        (line(json!(9_223_372_036_854_775_808_u64)), "/lines/0/quantity"),
        (line(json!(1.5)), "/lines/0/quantity"),
        (line(json!("1")), "/lines/0/quantity"),
        (line(json!(null)), "/lines/0/quantity"),
        (many(0), "/lines"),
        (many(101), "/lines"),
        (json!({"lines": {}, "payment": {}}), "/lines"),
        (json!({"payment": {}}), "/lines"),
        (json!({"lines": [{"productId": 0, "quantity": 1}], "payment": {}}), "/lines/0/productId"),
        (json!({"lines": [{"productId": 1, "quantity": 1}]}), "/payment"),
        (paid(json!({"points": -1})), "/payment/points"),
        (paid(json!({"points": 9_007_199_254_740_992_i64})), "/payment/points"),
        (paid(json!({"card": {"type": "VISA", "number": "1234-5678-9814-1451"}})), "/payment/card/type"),
        (card("1234567898141451"), "/payment/card/number"),
        (card("1234-5678-9814-145x"), "/payment/card/number"),
        (
            json!({"lines": [{"productId": 1, "quantity": 1}], "payment": {}, "issuedCouponId": "x"}),
            "/issuedCouponId",
        ),
    ];
    for (body, pointer) in cases {
        let reply = counter.order(&body).await.refused(400, "MALFORMED_REQUEST");
        assert_points_at(&reply, pointer);
        assert!(!reply.json.to_string().contains("1234"), "{}", reply.json);
    }
    // At the limit all is well.
    counter.order(&many(100)).await.expect(201);
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_everywhere() {
    let counter = Counter::open().await;
    let server_owned = ["status", "total", "userId", "role", "balance", "id", "version", "likeCount"];
    for (method, path, operation) in operations(&document()) {
        if !operation["requestBody"].is_object() || is_signed(&operation) {
            continue;
        }
        for field in server_owned {
            // The version is that of a product never changed: what is refused changes nothing.
            let call = counter.shop.call(&method, &path_with(&path, &operation, counter.product));
            let call = call.by(&counter.admin).new_key().if_match("\"v1\"");
            let reply = call.json(&json!({field: "ADMIN", "unknown": 1})).send().await;
            assert_eq!(reply.status.as_u16(), 400, "{method} {path} {field}: {}", reply.json);
            let known = reply.code() == "MALFORMED_REQUEST";
            assert!(known || reply.code() == "UNKNOWN_FIELD", "{method} {path} {field}: {}", reply.json);
        }
    }
    let mut order = order_of(counter.product, 1);
    order["total"] = json!(1);
    let reply = counter.order(&order).await.refused(400, "UNKNOWN_FIELD");
    assert_points_at(&reply, "/total");
    order = order_of(counter.product, 1);
    order["lines"][0]["price"] = json!(1);
    let reply = counter.order(&order).await.refused(400, "UNKNOWN_FIELD");
    assert_points_at(&reply, "/lines/0/price");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let counter = Counter::open().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!("{{\"lines\": {}1{}}}", "[".repeat(40), "]".repeat(40));
    for body in ["", "  ", "{", "null", "[]", "\"x\"", "{} {}", "{\"lines\": NaN}", "\u{0}", &deep, &nested] {
        counter.order_text(body).await.refused(400, "MALFORMED_REQUEST");
    }
    let order = order_of(counter.product, 1).to_string();
    let twice = format!("{},\"payment\":{{}}}}", &order[..order.len() - 1]);
    counter.order_text(&twice).await.refused(400, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn the_size_of_a_body_is_bounded() {
    let counter = Counter::open().await;
    let order = order_of(counter.product, 1).to_string();
    let padded = |bytes: usize| format!("{order}{}", " ".repeat(bytes - order.len()));
    counter.order_text(&padded(64 * 1024)).await.expect(201);
    counter.order_text(&padded(64 * 1024 + 1)).await.refused(413, "PAYLOAD_TOO_LARGE");
    counter.order_text(&padded(10 * 1024 * 1024)).await.refused(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_key_is_required_and_has_a_form() {
    let counter = Counter::open().await;
    let call = || {
        let call = counter.shop.post("/api/v1/orders").by(&counter.customer);
        call.json(&order_of(counter.product, 1))
    };
    call().send().await.refused(400, "IDEMPOTENCY_KEY_REQUIRED");
    call().key(&"k".repeat(256)).send().await.refused(400, "IDEMPOTENCY_KEY_INVALID");
    call().key("a b").send().await.refused(400, "IDEMPOTENCY_KEY_INVALID");
    call().key(&"k".repeat(255)).send().await.expect(201);
    let keyed = |operation: &Value| {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key")
    };
    let mut asked = 0;
    for (method, path, operation) in operations(&document()).into_iter().filter(|(.., op)| keyed(op)) {
        let call = counter.shop.call(&method, &path_with(&path, &operation, 1)).by(&counter.admin);
        call.json(&json!({"amount": 1})).send().await.refused(400, "IDEMPOTENCY_KEY_REQUIRED");
        asked += 1;
    }
    assert_eq!(asked, 8);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let counter = Counter::open().await;
    counter.shop.product(&counter.admin, 1, "TEA-2", 5, 0).await;
    let page = counter.shop.get("/api/v1/products?limit=1&sort=NAME").send().await.expect(200);
    let cursor = page.text("nextCursor");
    counter.shop.get(&format!("/api/v1/products?sort=NAME&cursor={cursor}")).send().await.expect(200);
    let lists = [
        "/api/v1/products?sort=PRICE_ASC&cursor=",
        "/api/v1/brands?cursor=",
        "/api/v1/coupons?cursor=",
        "/api/v1/orders?cursor=",
        "/api/v1/users/me/points?cursor=",
        "/api/v1/users/me/likes?cursor=",
        "/api/v1/users/me/coupons?cursor=",
        "/api/v1/admin/orders?cursor=",
        "/api/v1/admin/payments?cursor=",
        "/api/v1/admin/users?cursor=",
        "/api/v1/products/1/stock-movements?cursor=",
    ];
    for list in lists {
        for cursor in [cursor.as_str(), "nonsense", "bnVsbA"] {
            let call = counter.shop.get(&format!("{list}{cursor}")).by(&counter.admin);
            call.send().await.refused(400, "INVALID_CURSOR");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_by_name() {
    let counter = Counter::open().await;
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    let cases = [
        ("GET", "/api/v1/products/999".to_owned(), "PRODUCT_NOT_FOUND"),
        ("GET", "/api/v1/products/999/stock-movements".to_owned(), "PRODUCT_NOT_FOUND"),
        ("PUT", "/api/v1/products/999/like".to_owned(), "PRODUCT_NOT_FOUND"),
        ("DELETE", "/api/v1/products/999/like".to_owned(), "PRODUCT_NOT_FOUND"),
        ("GET", "/api/v1/brands/999".to_owned(), "BRAND_NOT_FOUND"),
        ("POST", "/api/v1/coupons/999/issues".to_owned(), "COUPON_NOT_FOUND"),
        ("GET", format!("/api/v1/orders/{id}"), "ORDER_NOT_FOUND"),
        ("POST", format!("/api/v1/orders/{id}/cancel"), "ORDER_NOT_FOUND"),
        ("GET", format!("/api/v1/payments/{id}"), "PAYMENT_NOT_FOUND"),
        ("GET", format!("/api/v1/payments/{id}/history"), "PAYMENT_NOT_FOUND"),
        ("GET", "/api/v1/nowhere".to_owned(), "ROUTE_NOT_FOUND"),
    ];
    for (method, path, code) in cases {
        let call = counter.shop.call(method, &path).by(&counter.admin).new_key();
        let reply = call.send().await.refused(404, code);
        assert!(!reply.header("traceparent").is_empty());
    }
    let movement = json!({"kind": "RECEIPT", "quantity": 1});
    let moved = counter.admin_post("/api/v1/products/999/stock-movements", &movement).await;
    moved.refused(404, "PRODUCT_NOT_FOUND");
    // In an order the product is a part of what is asked for.
    let reply = counter.order(&order_of(999, 1)).await.refused(422, "PRODUCT_NOT_FOUND");
    assert_eq!(reply["productId"], 999);
    let reply = counter.shop.call("PATCH", "/api/v1/orders").send().await.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "GET,POST");
}

#[tokio::test]
async fn a_product_is_changed_only_on_the_version_that_was_seen() {
    let counter = Counter::open().await;
    let call = |method: &str| {
        counter.shop.call(method, &format!("/api/v1/products/{}", counter.product)).by(&counter.admin)
    };
    let patch = json!({"price": 2_000});
    call("PATCH").json(&patch).send().await.refused(428, "PRECONDITION_REQUIRED");
    call("PATCH").json(&patch).if_match("v1").send().await.refused(400, "INVALID_IF_MATCH");
    call("PATCH").json(&patch).if_match("\"v9\"").send().await.refused(412, "PRECONDITION_FAILED");
    let changed = call("PATCH").json(&patch).if_match("\"v1\"").send().await.expect(200);
    assert_eq!((changed["price"].as_i64(), changed.header("etag")), (Some(2_000), "\"v2\""));
    call("PATCH").json(&patch).if_match("\"v1\"").send().await.refused(412, "PRECONDITION_FAILED");
    call("PATCH").json(&json!({})).if_match("\"v2\"").send().await.refused(400, "MALFORMED_REQUEST");
    let brandless = call("PATCH").json(&json!({"brandId": 999})).if_match("\"v2\"").send().await;
    brandless.refused(422, "BRAND_NOT_FOUND");
    let replaced = call("PUT").if_match("\"v2\"").json(&json!({
        "name": "Green tea", "description": "New", "brandId": 1, "price": 3_000, "status": "STOPPED",
    }));
    let replaced = replaced.send().await.expect(200);
    assert_eq!((replaced["name"].as_str(), replaced["stock"].as_i64()), (Some("Green tea"), Some(100)));
    let stopped = counter.order(&order_of(counter.product, 1)).await.refused(409, "PRODUCT_NOT_ON_SALE");
    assert_eq!(stopped["productId"], counter.product);
}

#[tokio::test]
async fn what_administrators_send_is_checked_too() {
    let counter = Counter::open().await;
    let product = json!({"code": "TEA-9", "name": "Tea", "brandId": 1, "price": 5, "stock": 0});
    let with = |field: &str, value: Value| {
        let mut body = product.clone();
        body[field] = value;
        body
    };
    let cases = [
        (with("price", json!(-1)), "/price"),
        (with("price", json!(9_007_199_254_740_992_i64)), "/price"),
        (with("stock", json!(-1)), "/stock"),
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("description", json!("x".repeat(2_001))), "/description"),
        (with("code", json!("a b")), "/code"),
        (with("brandId", json!(0)), "/brandId"),
        (with("status", json!("GONE")), "/status"),
    ];
    for (body, pointer) in cases {
        let reply = counter.admin_post("/api/v1/products", &body).await.refused(400, "MALFORMED_REQUEST");
        assert_points_at(&reply, pointer);
    }
    let added = counter.admin_post("/api/v1/products", &with("brandId", json!(999))).await;
    added.refused(422, "BRAND_NOT_FOUND");
    let added = counter.admin_post("/api/v1/products", &with("code", json!("TEA-1"))).await;
    added.refused(409, "PRODUCT_CODE_TAKEN");
    let added = counter.admin_post("/api/v1/brands", &json!({"name": "Boseong"})).await;
    added.refused(409, "BRAND_NAME_TAKEN");
    let path = format!("/api/v1/products/{}/stock-movements", counter.product);
    let moves = [
        (json!({"kind": "ADJUSTMENT", "quantity": -101}), 409, "STOCK_TOO_LOW"),
        (json!({"kind": "RECEIPT", "quantity": 0}), 422, "MOVEMENT_INVALID"),
        (json!({"kind": "RECEIPT", "quantity": i64::MAX}), 422, "STOCK_TOO_LARGE"),
        (json!({"kind": "ADJUSTMENT", "quantity": i64::MIN}), 409, "STOCK_TOO_LOW"),
        (json!({"kind": "THEFT", "quantity": 1}), 400, "MALFORMED_REQUEST"),
    ];
    for (body, status, code) in moves {
        counter.admin_post(&path, &body).await.refused(status, code);
    }
    for count in [json!(0), json!(10_001), json!("all")] {
        let made = counter.admin_post("/api/v1/demo/buyers", &json!({"count": count})).await;
        assert_points_at(&made.refused(400, "MALFORMED_REQUEST"), "/count");
    }
}

#[tokio::test]
async fn a_coupon_has_the_fields_of_its_kind() {
    let counter = Counter::open().await;
    let coupon = |fields: &Value| {
        let mut body = json!({
            "code": "C", "name": "C", "kind": "AMOUNT", "amount": 5,
            "validFrom": "2027-01-01T00:00:00Z", "validUntil": "2027-02-01T00:00:00+09:00",
        });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let cases = [
        (json!({"amount": null}), "/amount"),
        (json!({"amount": 0}), "/amount"),
        (json!({"rateBasisPoints": 5}), "/rateBasisPoints"),
        (json!({"cap": 5}), "/cap"),
        (json!({"kind": "RATE"}), "/amount"),
        (json!({"kind": "RATE", "amount": null}), "/rateBasisPoints"),
        (json!({"kind": "RATE", "amount": null, "rateBasisPoints": 0}), "/rateBasisPoints"),
        (json!({"kind": "RATE", "amount": null, "rateBasisPoints": 10_001}), "/rateBasisPoints"),
        (json!({"kind": "GIFT"}), "/kind"),
        (json!({"validUntil": "2027-01-01T00:00:00Z"}), "/validUntil"),
        (json!({"validUntil": "next year"}), "/validUntil"),
        (json!({"issueLimit": 0}), "/issueLimit"),
    ];
    for (fields, pointer) in cases {
        let reply = counter.admin_post("/api/v1/coupons", &coupon(&fields)).await;
        assert_points_at(&reply.refused(400, "MALFORMED_REQUEST"), pointer);
    }
    counter.admin_post("/api/v1/coupons", &coupon(&json!({}))).await.expect(201);
    counter.admin_post("/api/v1/coupons", &coupon(&json!({}))).await.refused(409, "COUPON_CODE_TAKEN");
}

#[tokio::test]
async fn a_sign_up_is_checked() {
    let shop = Shop::open().await;
    let good = json!({"loginId": "shopper", "email": "shopper@example.com", "password": "correct horse"});
    let cases = [
        ("loginId", json!("ab")),
        ("loginId", json!("has space")),
        ("email", json!("nobody")),
        ("password", json!("short")),
        ("birthDate", json!("1999-02-30")),
        ("gender", json!("?")),
    ];
    for (field, value) in cases {
        let mut body = good.clone();
        body[field] = value;
        let reply = shop.post("/api/v1/users").json(&body).send().await.refused(400, "MALFORMED_REQUEST");
        assert_points_at(&reply, &format!("/{field}"));
        assert!(!reply.json.to_string().contains("short\""), "{}", reply.json);
    }
    shop.post("/api/v1/users").json(&good).send().await.expect(201);
    shop.post("/api/v1/users").json(&good).send().await.refused(409, "LOGIN_ID_TAKEN");
    let mut other = good;
    other["loginId"] = json!("other");
    shop.post("/api/v1/users").json(&other).send().await.refused(409, "EMAIL_TAKEN");
}
