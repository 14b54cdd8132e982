//! Who may do what: every operation of the document by everybody.

use commerce_api_domain::{MismatchKind, Role};
use serde_json::{Value, json};

use crate::document::{document, operations};
use crate::support::{Call, Callback, Mode, Reply, Shop, User, order_of};

/// What there is to ask for.
pub struct World {
    pub shop: Shop,
    pub admin: User,
    customer: User,
    brand: i64,
    product: i64,
    coupon: i64,
    order: String,
    payment: String,
    /// Payments by card: one that is paid, and one that was sent.
    captured: String,
    sent: String,
    /// A difference between the gateway's report and the books.
    finding: String,
}

impl World {
    pub async fn open() -> Self {
        let shop = Shop::open().await;
        let admin = shop.admin().await;
        let customer = shop.customer("customer", 100_000).await;
        shop.customer("other", 100_000).await;
        shop.charge(&admin, 100_000).await;
        let brand = shop.brand(&admin, "Boseong").await;
        let product = shop.product(&admin, brand, "TEA-1", 1_000, 100).await;
        let coupon = shop.coupon(&admin, "WELCOME", None).await;
        let placed = shop.order(&customer, product, 1).await.expect(201);
        let (order, payment) = (placed.text("id"), placed["payment"]["id"].as_str().unwrap().to_owned());
        let payer = shop.customer("payer", 0).await;
        let [captured, sent] =
            [shop.order_by_card(&payer, product, 1).await, shop.order_by_card(&payer, product, 1).await];
        shop.capture(&captured.text("id")).await;
        shop.send_to_gateway(&sent.text("id")).await;
        let [captured, sent] =
            [captured, sent].map(|order| order["payment"]["id"].as_str().unwrap().to_owned());
        let finding = shop.finding("2027-01-14", "k1", MismatchKind::MissingHere).await;
        Self { shop, admin, customer, brand, product, coupon, order, payment, captured, sent, finding }
    }

    /// A request of the operation that is good in everything but perhaps the caller.
    pub async fn request(&self, method: &str, path: &str, operation: &str, who: &str) -> Call {
        let id = match path.split('/').nth(3).unwrap() {
            "brands" => self.brand.to_string(),
            "products" | "rankings" => self.product.to_string(),
            "coupons" => self.coupon.to_string(),
            "orders" => self.order.clone(),
            "payments" => self.payment.clone(),
            "admin" if path.contains("/reconciliations/") => self.finding.clone(),
            "admin" if operation == "refundPayment" => self.captured.clone(),
            "admin" if path.contains("/payments/") => self.sent.clone(),
            _ => self.customer.id.to_string(),
        };
        let call =
            self.shop.call(method, &path.replace("{id}", &id).replace("{name}", "gateway-query")).new_key();
        if operation == "paymentCallback" {
            return Callback::of(&self.sent, 1_000).signed_by(call);
        }
        match self.body(operation, who) {
            Some(body) if matches!(method, "PUT" | "PATCH") => {
                let product = self.shop.get(&format!("/api/v1/products/{}", self.product)).send().await;
                call.if_match(product.header("etag")).json(&body)
            }
            Some(body) => call.json(&body),
            None => call,
        }
    }

    pub fn body(&self, operation: &str, who: &str) -> Option<Value> {
        Some(match operation {
            "signUp" => json!({
                "loginId": format!("new-{who}"), "email": format!("new-{who}@example.com"),
                "password": "correct horse",
            }),
            "logIn" => json!({"loginId": "customer", "password": "correct horse"}),
            "chargeMyPoints" | "chargePointsOfUser" => json!({"amount": 10}),
            "addBrand" => json!({"name": "Hadong"}),
            "addProduct" => json!({
                "code": "TEA-2", "name": "Tea", "brandId": self.brand, "price": 5, "stock": 0,
            }),
            "replaceProduct" => json!({
                "name": "Tea", "description": "", "brandId": self.brand, "price": 1_000, "status": "ON_SALE",
            }),
            "changeProduct" => json!({"price": 1_000}),
            "moveStock" => json!({"kind": "RECEIPT", "quantity": 5}),
            "addCoupon" => json!({
                "code": "OTHER", "name": "Other", "kind": "RATE", "rateBasisPoints": 500,
                "validFrom": "2027-01-15T07:00:00Z", "validUntil": "2027-01-16T08:00:00Z",
            }),
            "placeOrder" => order_of(self.product, 1),
            "resolvePayment" => json!({
                "outcome": "CAPTURED", "transactionKey": "20270115:TR:000001", "reason": "seen at the desk",
            }),
            "reconcileDay" => json!({"date": "20270114"}),
            "resolveReconciliationFinding" => json!({"reason": "the gateway mended its books"}),
            "switchBreaker" => json!({"action": "RESET", "reason": "the gateway is back"}),
            "refundPayment" => json!({"reason": "the tea was stale"}),
            "makeDemoBuyers" => json!({"count": 1}),
            _ => return None,
        })
    }
}

const EVERYBODY: [&str; 4] = ["nobody", "other", "customer", "admin"];

/// What the policy says of the caller: none where they may.
fn refusal(policy: &str, path: &str, who: &str) -> Option<(u16, &'static str)> {
    match (policy, who) {
        ("CUSTOMER" | "OWNER" | "ADMIN", "nobody") => Some((401, "AUTHENTICATION_REQUIRED")),
        ("ADMIN", "other" | "customer") => Some((403, "ACCESS_DENIED")),
        // Of one resource, which is the customer's: it does not exist for the other one.
        ("OWNER", "other") if path.contains("/orders/{id}") => Some((404, "ORDER_NOT_FOUND")),
        ("OWNER", "other") if path.contains("/payments/{id}") => Some((404, "PAYMENT_NOT_FOUND")),
        _ => None,
    }
}

#[tokio::test]
async fn every_operation_admits_whom_its_policy_says() {
    let world = World::open().await;
    let mut asked = 0;
    for (method, path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        let policy = operation["x-policy"].as_str().unwrap();
        for who in EVERYBODY {
            let mut call = world.request(&method, &path, id, who).await;
            if who != "nobody" {
                // A session of its own: one of the operations ends it.
                call = call.token(&world.shop.session(who).await);
            }
            let reply = call.send().await;
            match refusal(policy, &path, who) {
                Some((status, code)) => drop(reply.refused(status, code)),
                None => assert!(reply.status.is_success(), "{method} {path} by {who}: {reply:?}"),
            }
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

/// The body with one member more, and where; for each object in it, at any depth.
fn with_one_more(body: &Value, at: &str) -> Vec<(String, Value)> {
    let names: Vec<String> = match body {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    if body.is_object() {
        let mut more = body.clone();
        more["unknown"] = json!(1);
        all.push((format!("{at}/unknown"), more));
    }
    for name in names {
        let pointer = format!("/{name}");
        for (place, inner) in with_one_more(body.pointer(&pointer).unwrap(), &format!("{at}{pointer}")) {
            let mut more = body.clone();
            *more.pointer_mut(&pointer).unwrap() = inner;
            all.push((place, more));
        }
    }
    all
}

#[tokio::test]
async fn a_good_body_with_one_member_more_is_refused() {
    let world = World::open().await;
    let mut asked = 0;
    for (method, path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        let Some(mut body) = world.body(id, "admin") else { continue };
        if id == "placeOrder" {
            body["payment"] = json!({"card": {"type": "KB", "number": "1234-5678-9814-1451"}});
        }
        for (pointer, more) in with_one_more(&body, "") {
            let call = world.request(&method, &path, id, "admin").await.by(&world.admin);
            let reply = call.json(&more).send().await.refused(400, "UNKNOWN_FIELD");
            assert_eq!(reply["errors"][0]["pointer"], pointer, "{id}");
            asked += 1;
        }
    }
    assert!(asked >= 14 + 3, "{asked}");
}

#[tokio::test]
async fn a_parameter_that_a_list_does_not_have_is_refused() {
    let world = World::open().await;
    let mut asked = 0;
    for (method, path, operation) in operations(&document()) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|parameter| parameter["in"] == "query") {
            continue;
        }
        let path = format!("{path}?unknown=1");
        let id = operation["operationId"].as_str().unwrap();
        let call = world.request(&method, &path, id, "admin").await.by(&world.admin);
        let reply = call.send().await.refused(400, "UNKNOWN_PARAMETER");
        assert_eq!(reply["errors"][0]["pointer"], "/unknown", "{id}");
        asked += 1;
    }
    assert!(asked >= 10, "{asked}");
}

#[tokio::test]
async fn lists_show_only_what_is_the_callers() {
    let world = World::open().await;
    let other = User { id: 0, token: world.shop.session("other").await };
    let issued = world.shop.issue(&world.customer, world.coupon).await;
    let like = world.shop.call("PUT", &format!("/api/v1/products/{}/like", world.product));
    like.by(&world.customer).send().await.expect(200);
    let lists = ["/api/v1/orders", "/api/v1/users/me/coupons", "/api/v1/users/me/likes"];
    for path in lists {
        let mine = world.shop.get(path).by(&world.customer).send().await.expect(200);
        assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{path}");
        let theirs = world.shop.get(path).by(&other).send().await.expect(200);
        assert_eq!(theirs["items"], json!([]), "{path}");
        // An administrator's own lists are their own, too.
        let admins = world.shop.get(path).by(&world.admin).send().await.expect(200);
        assert_eq!(admins["items"], json!([]), "{path}");
    }
    // Another one's coupon cannot be used either.
    let mut order = order_of(world.product, 10);
    order["issuedCouponId"] = json!(issued);
    let placed = world.shop.post("/api/v1/orders").by(&other).new_key().json(&order).send().await;
    placed.refused(422, "COUPON_NOT_FOUND");
    let filtered = world.shop.get(&format!("/api/v1/orders?userId={}", world.customer.id)).by(&other);
    filtered.send().await.refused(400, "UNKNOWN_PARAMETER");
}

#[tokio::test]
async fn a_bad_token_is_refused_also_where_none_is_needed() {
    let shop = Shop::open().await;
    let user = shop.user("shopper", Role::Customer).await;
    shop.get("/api/v1/products").token("nonsense").send().await.refused(401, "INVALID_TOKEN");
    shop.get("/api/v1/products")
        .header("authorization", "Basic eDp5")
        .send()
        .await
        .refused(401, "INVALID_TOKEN");
    shop.call("DELETE", "/api/v1/sessions/current").by(&user).send().await.expect(204);
    let reply = shop.get("/api/v1/users/me").by(&user).send().await.refused(401, "INVALID_TOKEN");
    assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[tokio::test]
async fn an_unused_session_ends() {
    let shop = Shop::open().await;
    let user = shop.user("shopper", Role::Customer).await;
    shop.clock.advance(std::time::Duration::from_hours(11));
    shop.get("/api/v1/users/me").by(&user).send().await.expect(200);
    // As the scheduler does.
    shop.accounts.flush_touches().await.unwrap();
    shop.clock.advance(std::time::Duration::from_hours(11));
    shop.get("/api/v1/users/me").by(&user).send().await.expect(200);
    shop.clock.advance(std::time::Duration::from_hours(13));
    shop.get("/api/v1/users/me").by(&user).send().await.refused(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_the_same() {
    let shop = Shop::open().await;
    shop.user("shopper", Role::Customer).await;
    let log_in = async |login_id: &str| {
        let body = json!({"loginId": login_id, "password": "wrong horse"});
        shop.post("/api/v1/sessions").json(&body).send().await.refused(401, "BAD_CREDENTIALS")
    };
    let members = |reply: Reply| (reply.text("title"), reply.json["detail"].clone());
    assert_eq!(members(log_in("shopper").await), members(log_in("nobody").await));
}

#[tokio::test]
async fn a_real_shop_makes_no_buyers_and_lets_no_customer_charge() {
    let shop = Shop::open_in(Mode { demo: false, customers_may_charge: false, ..Mode::default() }).await;
    let admin = shop.admin().await;
    let user = shop.user("shopper", Role::Customer).await;
    let buyers = shop.post("/api/v1/demo/buyers").by(&admin).json(&json!({"count": 1}));
    buyers.send().await.refused(403, "NOT_DEMO_MODE");
    let charge = |user: &User| {
        shop.post("/api/v1/users/me/points/charges").by(user).new_key().json(&json!({"amount": 5}))
    };
    charge(&user).send().await.refused(403, "CHARGE_NOT_ALLOWED");
    charge(&admin).send().await.expect(201);
    let path = format!("/api/v1/admin/users/{}/points/charges", user.id);
    shop.post(&path).by(&admin).new_key().json(&json!({"amount": 5})).send().await.expect(201);
    assert_eq!(shop.balance(&user).await, 5);
    let gone = shop.post("/api/v1/admin/users/999/points/charges").by(&admin).new_key();
    gone.json(&json!({"amount": 5})).send().await.refused(404, "USER_NOT_FOUND");
}
