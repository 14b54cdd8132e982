//! Bodies that are not what the document says.

use serde_json::{Value, json};

use crate::document::{document, is_signed, operations, path_with};
use crate::support::{Reply, Shop, User, order_of};

const EXPECTED_OBJECT: &str = "expected an object";

#[track_caller]
fn assert_fault(reply: Reply, pointer: &str, detail: &str) {
    let reply = reply.refused(400, "MALFORMED_REQUEST");
    assert_eq!(reply["errors"], json!([{"pointer": pointer, "detail": detail}]));
}

#[tokio::test]
async fn an_array_is_no_object() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 10).await;
    let document = document();
    let mut asked = 0;
    for (method, path, operation) in operations(&document) {
        if is_signed(&operation) {
            continue;
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(schema) = schema.as_str().and_then(|pointer| document.pointer(&pointer[1..])) else {
            continue;
        };
        let fields = schema["properties"].as_object().unwrap().len();
        // As many values as fields are what would be read by position.
        for array in [json!([]), json!([null]), json!(vec![Value::Null; fields]), json!([[]])] {
            let call = shop.call(&method, &path_with(&path, &operation, product)).by(&admin).new_key();
            let reply = call.if_match("\"v1\"").json(&array).send().await;
            assert_fault(reply, "", EXPECTED_OBJECT);
            asked += 1;
        }
    }
    assert_eq!(asked, 4 * 17);
}

async fn stocked() -> (Shop, User, i64) {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let product = shop.product(&admin, brand, "TEA-1", 1_000, 10).await;
    let shopper = shop.customer("shopper", 10_000).await;
    (shop, shopper, product)
}

#[tokio::test]
async fn an_array_inside_of_a_body_is_no_object_either() {
    let (shop, shopper, product) = stocked().await;
    let order =
        async |body: Value| shop.post("/api/v1/orders").by(&shopper).new_key().json(&body).send().await;
    let with = |field: &str, value: Value| {
        let mut body = order_of(product, 1);
        body[field] = value;
        body
    };
    assert_fault(order(with("lines", json!([[product, 1]]))).await, "/lines/0", EXPECTED_OBJECT);
    assert_fault(order(with("payment", json!([null, null]))).await, "/payment", EXPECTED_OBJECT);
    let card = json!({"card": ["KB", "1234-5678-9814-1451"]});
    assert_fault(order(with("payment", card)).await, "/payment/card", EXPECTED_OBJECT);
    assert_fault(order(with("lines", json!({"0": {}}))).await, "/lines", "expected an array");
    assert_fault(order(with("issuedCouponId", json!("x"))).await, "/issuedCouponId", "expected a UUID");
    let quantity = json!([{"productId": product, "quantity": "1"}]);
    let detail = "expected a whole number from 1 to 1000000";
    assert_fault(order(with("lines", quantity)).await, "/lines/0/quantity", detail);
    assert_eq!((shop.stock(product).await, shop.balance(&shopper).await), (10, 10_000));
}

#[tokio::test]
async fn only_plain_json_in_utf8_is_read() {
    let (shop, shopper, product) = stocked().await;
    let call = || shop.post("/api/v1/orders").by(&shopper).new_key();
    call().send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    call().header("content-type", "text/plain").send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let latin = call().header("content-type", "application/json; charset=iso-8859-1");
    latin.send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let zipped = call().header("content-encoding", "gzip").json(&order_of(product, 1));
    zipped.send().await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let plain = call().header("content-encoding", "identity").json(&order_of(product, 1));
    plain.send().await.expect(201);
}

#[tokio::test]
async fn a_name_is_one_line_and_a_description_may_have_many() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let add = async |name: &str, description: &str| {
        let body = json!({"name": name, "description": description});
        shop.post("/api/v1/brands").by(&admin).json(&body).send().await
    };
    for name in ["a\nb", "\u{202E}aet", "te\u{200B}a"] {
        let detail = "expected 1 to 200 characters on one line, none of them a control or format character";
        assert_fault(add(name, "").await, "/name", detail);
    }
    let detail = "expected 0 to 2000 characters, none of them a control or format character but a line break";
    assert_fault(add("Boseong", "\u{202E}").await, "/description", detail);
    assert_eq!(add("Boseong", "one\ntwo").await.expect(201)["description"], "one\ntwo");
}

#[tokio::test]
async fn a_buyer_has_at_most_the_points_that_the_document_says() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let max = &document()["components"]["schemas"]["BuyersRequest"]["properties"]["points"]["maximum"];
    let max = max.as_i64().unwrap();
    let make = async |points: i64| {
        let call = shop.post("/api/v1/demo/buyers").by(&admin);
        call.json(&json!({"count": 1, "points": points})).send().await
    };
    make(max).await.expect(201);
    let refused = make(max + 1).await.refused(422, "TOO_MANY_POINTS");
    assert_eq!((&refused["max"], &refused["errors"][0]["pointer"]), (&json!(max), &json!("/points")));
}
