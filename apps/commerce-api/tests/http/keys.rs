//! Idempotency keys.

use serde_json::json;

use crate::support::{Shop, order_of};

#[tokio::test]
async fn a_repetition_gets_the_same_bytes_and_is_done_once() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 10).await;
    let shopper = shop.customer("shopper", 5_000).await;
    let order = async |body| shop.post("/api/v1/orders").by(&shopper).key("order-1").json(&body).send().await;
    let first = order(order_of(product, 2)).await.expect(201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let again = order(order_of(product, 2)).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    for name in ["location", "content-type"] {
        assert_eq!(again.header(name), first.header(name));
    }
    // Written otherwise it means the same.
    let spelled_out = json!({
        "payment": {"points": null, "card": null}, "lines": [{"quantity": 2, "productId": product}],
        "expectedTotal": null,
    });
    assert_eq!(order(spelled_out).await.expect(201).body, first.body);
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (8, 5_000 - 2_000 + 20));
    order(order_of(product, 3)).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(shop.stock(product).await, 8);
}

#[tokio::test]
async fn a_refusal_is_repeated_too() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 1).await;
    let shopper = shop.customer("shopper", 5_000).await;
    let order = async || {
        shop.post("/api/v1/orders").by(&shopper).key("order-1").json(&order_of(product, 2)).send().await
    };
    let first = order().await.refused(409, "OUT_OF_STOCK");
    assert_eq!(first["instance"], "/api/v1/orders");
    assert_eq!(first["traceId"], first.header("traceparent")[3..35]);
    let receipt = json!({"kind": "RECEIPT", "quantity": 5});
    let path = format!("/api/v1/products/{product}/stock-movements");
    shop.post(&path).by(&admin).new_key().json(&receipt).send().await.expect(201);
    // There is enough now, but this key was answered.
    let again = order().await.refused(409, "OUT_OF_STOCK");
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body));
    shop.order(&shopper, product, 2).await.expect(201);
}

#[tokio::test]
async fn a_key_counts_for_one_user_and_one_route() {
    let shop = Shop::open().await;
    let one = shop.customer("one", 0).await;
    let two = shop.customer("two", 0).await;
    let charge = async |user| {
        let call = shop.post("/api/v1/users/me/points/charges").by(user).key("same");
        call.json(&json!({"amount": 100})).send().await.expect(201)
    };
    let replayed = async |user| charge(user).await.header("idempotent-replayed") == "true";
    assert_eq!([replayed(&one).await, replayed(&two).await, replayed(&one).await], [false, false, true]);
    assert_eq!((shop.balance(&one).await, shop.balance(&two).await), (100, 100));
    let admin = shop.admin().await;
    let coupon = shop.coupon(&admin, "WELCOME", None).await;
    let other = shop.coupon(&admin, "WELCOME-2", None).await;
    let issue = async |coupon| {
        shop.post(&format!("/api/v1/coupons/{coupon}/issues")).by(&one).key("same").send().await
    };
    issue(coupon).await.expect(201);
    // What the path names is a part of the request.
    issue(other).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_request_that_was_not_decided_leaves_the_key_free() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 10).await;
    let shopper = shop.customer("shopper", 5_000).await;
    let order = || shop.post("/api/v1/orders").key("order-1");
    order().json(&order_of(product, 1)).send().await.refused(401, "AUTHENTICATION_REQUIRED");
    order().by(&shopper).json(&order_of(product, 0)).send().await.refused(400, "MALFORMED_REQUEST");
    order().by(&shopper).text(&" ".repeat(70_000)).send().await.refused(413, "PAYLOAD_TOO_LARGE");
    let placed = order().by(&shopper).json(&order_of(product, 1)).send().await.expect(201);
    assert!(!placed.headers.contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn twins_at_once_get_the_same_answer() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 10).await;
    let shopper = shop.customer("shopper", 5_000).await;
    let order = || shop.post("/api/v1/orders").by(&shopper).key("twin").json(&order_of(product, 1)).send();
    let (one, two, three) = tokio::join!(order(), order(), order());
    let replies = [one.expect(201), two.expect(201), three.expect(201)];
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    let fresh = replies.iter().filter(|reply| !reply.headers.contains_key("idempotent-replayed"));
    assert_eq!((fresh.count(), shop.stock(product).await), (1, 9));
}
