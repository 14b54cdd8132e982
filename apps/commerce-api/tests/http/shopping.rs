//! What a shopper does, from the first visit to the refund.

use std::time::Duration;

use commerce_api_domain::Role;
use serde_json::json;

use crate::support::{Shop, User, order_of};

async fn stocked(shop: &Shop, price: i64, stock: i64) -> (User, i64) {
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", price, stock).await;
    (admin, product)
}

#[tokio::test]
async fn a_shopper_walks_through_the_shop() {
    let shop = Shop::open().await;
    let (admin, product) = stocked(&shop, 6_000, 10).await;
    let coupon = shop.coupon(&admin, "WELCOME", Some(5)).await;

    let account = json!({"loginId": "Shopper", "email": "Shopper@example.com", "password": "correct horse"});
    let signed_up = shop.post("/api/v1/users").json(&account).send().await.expect(201);
    assert_eq!(
        (signed_up.text("loginId"), signed_up.header("location")),
        ("shopper".to_owned(), "/api/v1/users/me")
    );
    let shopper = User { id: signed_up["id"].as_i64().unwrap(), token: shop.session("shopper").await };
    shop.charge(&shopper, 50_000).await;

    let found = shop.get("/api/v1/products?search=tea&sort=PRICE_ASC").send().await.expect(200);
    assert_eq!(found.items("id"), [json!(product)]);
    let like = || shop.call("PUT", &format!("/api/v1/products/{product}/like")).by(&shopper);
    assert_eq!(like().send().await["changed"], true);
    assert_eq!(like().send().await.json, json!({"liked": true, "changed": false}));

    let issued = shop.issue(&shopper, coupon).await;
    let mut order = order_of(product, 2);
    order["issuedCouponId"] = json!(issued);
    order["expectedTotal"] = json!(11_000);
    let placed = shop.post("/api/v1/orders").by(&shopper).new_key().json(&order).send().await.expect(201);
    assert_eq!((placed["status"].as_str(), placed["total"].as_i64()), (Some("PAID"), Some(11_000)));
    assert_eq!(placed["pointsEarned"], 110);
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (8, 50_000 - 11_000 + 110));
    let coupons = shop.get("/api/v1/users/me/coupons").by(&shopper).send().await;
    assert_eq!(
        (coupons.items("status"), coupons.items("orderId")),
        (vec![json!("USED")], vec![placed["id"].clone()])
    );
    let twice = shop.post("/api/v1/orders").by(&shopper).new_key().json(&order).send().await;
    twice.refused(409, "COUPON_ALREADY_USED");

    let seen = shop.get(placed.header("location")).by(&shopper).send().await.expect(200);
    assert_eq!(seen.json, placed.json);
    let history = shop.get("/api/v1/orders").by(&shopper).send().await.expect(200);
    assert_eq!(history["items"], json!([placed.json]));

    let cancel = shop.post(&format!("{}/cancel", placed.header("location"))).by(&shopper).new_key();
    let canceled = cancel.send().await.expect(200);
    assert_eq!(
        (canceled["status"].as_str(), canceled["payment"]["status"].as_str()),
        (Some("CANCELED"), Some("REFUNDED"))
    );
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (10, 50_000));
    let ledger = shop.get("/api/v1/users/me/points").by(&shopper).send().await;
    assert_eq!(json!(ledger.items("kind")), json!(["REVOKE", "REFUND", "EARN", "USE", "CHARGE"]));
    assert_eq!(json!(ledger.items("amount")), json!([-110, 11_000, 110, -11_000, 50_000]));
    let payment = placed["payment"]["id"].as_str().unwrap();
    let events =
        shop.get(&format!("/api/v1/payments/{payment}/history")).by(&shopper).send().await.expect(200);
    assert_eq!(
        json!(events.items("event")),
        json!(["CREATED", "POINTS_PAID", "REFUND_REQUESTED", "REFUNDED"])
    );
    let coupons = shop.get("/api/v1/users/me/coupons").by(&shopper).send().await;
    assert_eq!(coupons.items("status"), [json!("USABLE")]);
    shop.clock.advance(Duration::from_hours(24));
    let session = User { token: shop.session("shopper").await, ..shopper };
    let coupons = shop.get("/api/v1/users/me/coupons").by(&session).send().await;
    assert_eq!(coupons.items("status"), [json!("EXPIRED")]);
}

#[tokio::test]
async fn an_order_is_refused_for_a_reason_that_a_program_can_use() {
    let shop = Shop::open().await;
    let (admin, product) = stocked(&shop, 1_000, 3).await;
    let shopper = shop.customer("shopper", 2_500).await;
    let place = async |body| shop.post("/api/v1/orders").by(&shopper).new_key().json(&body).send().await;

    let refused = place(order_of(product, 4)).await.refused(409, "OUT_OF_STOCK");
    assert_eq!(
        (&refused["productId"], &refused["available"], &refused["requested"]),
        (&json!(product), &json!(3), &json!(4))
    );
    let refused = place(order_of(product, 3)).await.refused(422, "INSUFFICIENT_POINTS");
    assert_eq!((&refused["required"], &refused["balance"]), (&json!(3_000), &json!(2_500)));
    let mut seen = order_of(product, 2);
    seen["expectedTotal"] = json!(1_800);
    assert_eq!(place(seen).await.refused(409, "PRICE_CHANGED")["newTotal"], 2_000);
    let mut split = order_of(product, 2);
    split["payment"] = json!({"points": 1_999});
    place(split).await.refused(422, "PAYMENT_MISMATCH");
    // Both lines are one product.
    let mut merged = order_of(product, 2);
    merged["lines"] = json!([{"productId": product, "quantity": 2}, {"productId": product, "quantity": 2}]);
    assert_eq!(place(merged).await.refused(409, "OUT_OF_STOCK")["requested"], 4);
    let mut many = order_of(product, 1);
    many["lines"] = json!(vec![json!({"productId": product, "quantity": 1_000_000}); 2]);
    place(many).await.refused(422, "QUANTITY_TOO_LARGE");
    let dear = shop.product(&admin, 1, "TEA-2", 9_007_199_254_740_991, 10).await;
    place(order_of(dear, 2)).await.refused(422, "AMOUNT_TOO_LARGE");
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (3, 2_500));
}

#[tokio::test]
async fn a_card_part_waits_for_its_payment() {
    let shop = Shop::open().await;
    let (_, product) = stocked(&shop, 1_000, 3).await;
    let shopper = shop.customer("shopper", 500).await;
    let mut order = order_of(product, 2);
    order["payment"] = json!({"points": 500, "card": {"type": "KB", "number": "1234-5678-9814-1451"}});
    let placed = shop.post("/api/v1/orders").by(&shopper).key("card").json(&order).send().await.expect(202);
    assert_eq!((placed["status"].as_str(), placed.header("retry-after")), (Some("PAYMENT_PENDING"), "1"));
    assert_eq!(placed.header("location"), format!("/api/v1/orders/{}", placed.text("id")));
    assert_eq!(placed["payment"]["card"], json!({"type": "KB", "lastFour": "1451"}));
    assert!(!placed.json.to_string().contains("9814"));
    let again = shop.post("/api/v1/orders").by(&shopper).key("card").json(&order).send().await.expect(202);
    assert_eq!((again.header("retry-after"), &again.body), ("1", &placed.body));
    // The number is a part of the request that the key stands for.
    order["payment"]["card"]["number"] = json!("0000-5678-9814-1451");
    let other = shop.post("/api/v1/orders").by(&shopper).key("card").json(&order).send().await;
    other.refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (1, 0));
    let cancel = shop.post(&format!("{}/cancel", placed.header("location"))).by(&shopper).new_key();
    let canceled = cancel.send().await.expect(200);
    assert_eq!(
        (canceled["status"].as_str(), canceled["payment"]["status"].as_str()),
        (Some("CANCELED"), Some("VOIDED"))
    );
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (3, 500));
}

#[tokio::test]
async fn an_order_whose_points_are_spent_is_not_canceled() {
    let shop = Shop::open().await;
    let (_, product) = stocked(&shop, 10_000, 10).await;
    let cheap = shop.product(&shop.user("admin-2", Role::Admin).await, 1, "TEA-2", 60, 10).await;
    let shopper = shop.customer("shopper", 0).await;
    let mut order = order_of(product, 1);
    order["payment"] = json!({"card": {"type": "KB", "number": "1234-5678-9814-1451"}});
    let placed = shop.post("/api/v1/orders").by(&shopper).new_key().json(&order).send().await.expect(202);
    shop.capture(&placed.text("id")).await;
    let paid = shop.get(placed.header("location")).by(&shopper).send().await.expect(200);
    assert_eq!((paid["status"].as_str(), paid["pointsEarned"].as_i64()), (Some("PAID"), Some(100)));
    shop.order(&shopper, cheap, 1).await.expect(201);
    let cancel = || shop.post(&format!("{}/cancel", placed.header("location"))).by(&shopper);
    assert_eq!(cancel().key("one").send().await.refused(422, "EARNED_POINTS_SPENT")["shortfall"], 60);
    shop.charge(&shopper, 60).await;
    cancel().key("one").send().await.refused(422, "EARNED_POINTS_SPENT");
    let canceled = cancel().key("two").send().await.expect(202);
    assert_eq!((canceled["status"].as_str(), canceled.header("retry-after")), (Some("CANCEL_PENDING"), "1"));
    assert_eq!(canceled.header("location"), placed.header("location"));
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (10, 0));
}

#[tokio::test]
async fn coupons_are_first_come_first_served() {
    let shop = Shop::open().await;
    let (admin, product) = stocked(&shop, 1_000, 10).await;
    let coupon = shop.coupon(&admin, "FEW", Some(1)).await;
    let one = shop.customer("one", 10_000).await;
    let two = shop.customer("two", 0).await;
    let issue =
        async |user| shop.post(&format!("/api/v1/coupons/{coupon}/issues")).by(user).new_key().send().await;
    let issued = issue(&one).await.expect(201);
    issue(&one).await.refused(409, "COUPON_ALREADY_ISSUED");
    issue(&two).await.refused(409, "COUPON_SOLD_OUT");
    assert_eq!(shop.get("/api/v1/coupons").send().await.items("issuedCount"), [json!(1)]);
    let mut small = order_of(product, 4);
    small["issuedCouponId"] = issued["id"].clone();
    let place = async |body| shop.post("/api/v1/orders").by(&one).new_key().json(body).send().await;
    assert_eq!(place(&small).await.refused(422, "COUPON_MINIMUM_NOT_MET")["minimum"], 5_000);
    shop.clock.advance(Duration::from_hours(24));
    let one = User { token: shop.session("one").await, ..one.clone() };
    small["lines"][0]["quantity"] = json!(6);
    let late = shop.post("/api/v1/orders").by(&one).new_key().json(&small).send().await;
    late.refused(422, "COUPON_NOT_VALID");
    let late = shop.post(&format!("/api/v1/coupons/{coupon}/issues")).by(&admin).new_key().send().await;
    late.refused(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn charges_have_limits() {
    let shop = Shop::open().await;
    let shopper = shop.customer("shopper", 0).await;
    let charge = async |amount: i64| {
        let call = shop.post("/api/v1/users/me/points/charges").by(&shopper).new_key();
        call.json(&json!({"amount": amount})).send().await
    };
    charge(0).await.refused(400, "MALFORMED_REQUEST");
    assert_eq!(charge(1_000_001).await.refused(422, "CHARGE_TOO_LARGE")["max"], 1_000_000);
    for _ in 0..9 {
        charge(1_000_000).await.expect(201);
    }
    charge(600_000).await.expect(201);
    assert_eq!(charge(400_001).await.refused(422, "DAILY_CHARGE_EXCEEDED")["left"], 400_000);
    charge(400_000).await.expect(201);
    assert_eq!(shop.balance(&shopper).await, 10_000_000);
}

#[tokio::test]
async fn demo_buyers_can_buy_at_once() {
    let shop = Shop::open().await;
    let (admin, product) = stocked(&shop, 1_000, 2).await;
    let made = shop.post("/api/v1/demo/buyers").by(&admin).json(&json!({"count": 3, "points": 1_000}));
    let made = made.send().await.expect(201);
    let mut statuses = Vec::new();
    for buyer in made["buyers"].as_array().unwrap() {
        let buyer = User {
            id: buyer["userId"].as_i64().unwrap(),
            token: buyer["token"].as_str().unwrap().to_owned(),
        };
        statuses.push(shop.order(&buyer, product, 1).await.status.as_u16());
    }
    assert_eq!(statuses, [201, 201, 409]);
}

#[tokio::test]
async fn a_trace_goes_from_the_request_to_the_answer() {
    let shop = Shop::open().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let reply = shop.get("/api/v1/products/999").header("traceparent", trace).send().await;
    let reply = reply.refused(404, "PRODUCT_NOT_FOUND");
    assert_eq!(reply["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(reply.header("traceparent").starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
}

#[tokio::test]
async fn an_unknown_path_stays_a_problem_beside_other_routers() {
    let shop = Shop::open().await;
    let other = || axum::Router::new().route("/other", axum::routing::get(async || "other"));
    for router in [shop.router.clone().merge(other()), other().merge(shop.router.clone())] {
        let reply = crate::support::Call::new(router, "GET", "/nowhere").send().await;
        assert!(!reply.refused(404, "ROUTE_NOT_FOUND").header("traceparent").is_empty());
    }
}
