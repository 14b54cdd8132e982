use serde_json::{Value, json};

use crate::support::{CARD, OVER_LIMIT, World};

/// What the texts of a fixed seed differ in: the day of the key, and the receiver's port.
fn plain(text: &str, key: &str) -> String {
    text.replace(key, "KEY")
}

#[tokio::test]
async fn a_payment_is_answered_as_pending_byte_for_byte() {
    let world = World::start().await;
    let answer = world.pay("order-1", CARD).await;
    let key = answer.key();
    let expected = r#"{"meta":{"result":"SUCCESS","errorCode":null,"message":null},"data":{"transactionKey":"KEY","status":"PENDING","reason":null}}"#;
    assert_eq!(plain(&answer.text, &key), expected);
    let (day, random) = key.split_once(":TR:").unwrap();
    assert!(day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()), "{key}");
    assert!(random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    world.stop().await;
}

#[tokio::test]
async fn a_transaction_is_shown_byte_for_byte_and_called_back_with_the_same_fields() {
    let world = World::start().await;
    let cases = [
        ("order-1", CARD, r#""status":"SUCCESS","reason":"approved""#),
        ("order-2", OVER_LIMIT, r#""status":"FAILED","reason":"limit exceeded""#),
        ("order-3", "1111-2222-3333-0005", r#""status":"FAILED","reason":"invalid card""#),
    ];
    for (before, (order, card, outcome)) in cases.into_iter().enumerate() {
        let key = world.pay_and_settle(order, card).await;
        let found = world.client.get(&format!("/api/v1/payments/{key}")).await;
        let data = format!(
            r#"{{"transactionKey":"KEY","orderId":"{order}","cardType":"SAMSUNG","cardNo":"{card}","amount":5000,{outcome}}}"#
        );
        let envelope = r#"{"meta":{"result":"SUCCESS","errorCode":null,"message":null},"data":DATA}"#;
        assert_eq!(plain(&found.text, &key), envelope.replace("DATA", &data));
        let callbacks = world.receiver.wait_for(before + 1).await;
        let callback = std::str::from_utf8(&callbacks[before].raw).unwrap();
        assert_eq!(plain(callback, &key), data);
    }
    world.stop().await;
}

#[tokio::test]
async fn the_transactions_of_an_order_are_listed_newest_first() {
    let world = World::start().await;
    let first = world.pay_and_settle("order-1", CARD).await;
    let second = world.pay_and_settle("order-1", OVER_LIMIT).await;
    let listed = world.client.get("/api/v1/payments?orderId=order-1").await;
    let expected = format!(
        r#"{{"meta":{{"result":"SUCCESS","errorCode":null,"message":null}},"data":{{"orderId":"order-1","transactions":[{{"transactionKey":"{second}","status":"FAILED","reason":"limit exceeded"}},{{"transactionKey":"{first}","status":"SUCCESS","reason":"approved"}}]}}}}"#
    );
    assert_eq!(listed.text, expected);
    world.stop().await;
}

#[tokio::test]
async fn errors_carry_the_envelope_with_their_status() {
    let world = World::start().await;
    let client = &world.client;
    let not_found = client.get("/api/v1/payments?orderId=order-1").await;
    let expected = r#"{"meta":{"result":"FAIL","errorCode":"Not Found","message":"there is no transaction of this order"},"data":null}"#;
    assert_eq!((not_found.status, not_found.text.as_str()), (404, expected));
    let not_found = client.get("/api/v1/payments/20260302:TR:ffffff").await;
    assert_eq!(not_found.refused(404), "there is no transaction of this key");
    assert!(client.get("/api/v1/payments").await.refused(400).contains("`orderId`"));
    assert!(client.get("/api/v1/other").await.refused(404).contains("no such call"));
    assert_eq!(client.get("/api/v1/references/order-1/void").await.status, 405);
    let huge = json!({"orderId": "o".repeat(20_000)});
    assert!(client.post("/api/v1/payments", &huge).await.refused(400).contains("16384 bytes"));
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_its_place_and_without_its_values() {
    let world = World::start().await;
    let cases = [
        ("orderId", json!("12345"), "`orderId` must have from 6"),
        ("orderId", json!(7), "`orderId` must be a string"),
        ("cardType", json!("VISA"), "`cardType` must be one of `SAMSUNG`, `KB`, `HYUNDAI`"),
        ("cardNo", json!("1111222233334444"), "`cardNo` must have the form dddd-dddd-dddd-dddd"),
        ("cardNo", json!(1_111_222_233_334_444_i64), "`cardNo` must be a string"),
        ("amount", json!(0), "`amount` must be"),
        ("amount", json!(-5_000), "`amount` must be"),
        ("amount", json!(1.5), "`amount` must be i64"),
        ("amount", json!("5000"), "`amount` must be i64"),
        ("callbackUrl", json!("http://10.0.0.1:8080/a"), "`callbackUrl` must be"),
        ("callbackUrl", Value::Null, "`callbackUrl` must be a string"),
    ];
    for (field, value, expected) in cases {
        let mut body = world.payment("order-1", CARD);
        body[field] = value.clone();
        let message = world.client.post("/api/v1/payments", &body).await.refused(400);
        assert!(message.starts_with(expected), "{field} {value}: {message}");
        assert!(!message.contains("1111"), "{message}");
    }
    let lacking = world.client.post("/api/v1/payments", &json!({"orderId": "order-1"})).await;
    assert_eq!(lacking.refused(400), "the body lacks `cardType`");
    let text = world.client.request("POST", "/api/v1/payments").body("{\"orderId\":");
    assert_eq!(world.client.send(text).await.refused(400), "`orderId` is not valid JSON");
    let more = world
        .client
        .request("POST", "/api/v1/payments")
        .body(format!("{} 1", world.payment("order-1", CARD)));
    assert!(world.client.send(more).await.refused(400).contains("more after"));
    assert_eq!(world.client.get("/api/v1/payments?orderId=order-1").await.status, 404);
    world.stop().await;
}

#[tokio::test]
async fn only_the_merchant_may_call() {
    let world = World::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (method, path) in
        [("GET", "/api/v1/payments?orderId=order-1"), ("POST", "/api/v1/references/order-1/void")]
    {
        let url = format!("{}{path}", world.client.base);
        let request = || http.request(method.parse().unwrap(), &url);
        assert!(world.client.send(request()).await.refused(400).contains("X-USER-ID is missing"));
        let other = request().header("X-USER-ID", "135136");
        assert!(world.client.send(other).await.refused(400).contains("names no merchant"));
    }
    world.stop().await;
}

#[tokio::test]
async fn callbacks_go_to_other_machines_only_where_it_was_told() {
    let world = World::with(|options| options.callback_hosts = vec!["shop.invalid".to_owned()]).await;
    let mut body = world.payment("order-1", CARD);
    body["callbackUrl"] = json!("http://shop.invalid/callback");
    assert_eq!(world.client.post("/api/v1/payments", &body).await.status, 200);
    body["callbackUrl"] = json!("http://other.invalid/callback");
    assert_eq!(world.client.post("/api/v1/payments", &body).await.status, 400);
    world.stop().await;
}

#[tokio::test]
async fn the_actuator_tells_that_it_is_up_and_what_it_counted() {
    let world = World::start().await;
    world.pay_and_settle("order-1", CARD).await;
    let client = &world.client;
    let health = client.get("/actuator/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("UP")));
    assert_eq!(health.body["components"]["db"]["status"], "UP");
    assert_eq!(client.get("/actuator/info").await.body["app"]["name"], "pg-simulator");
    let text = client.request("GET", "/actuator/prometheus").send().await.unwrap().text().await.unwrap();
    for metric in ["simulator_calls_total{", "simulator_decisions_total{status=\"SUCCESS\"}"] {
        assert!(text.contains(metric), "{metric}");
    }
    world.stop().await;
}
