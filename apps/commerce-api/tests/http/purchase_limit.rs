//! How many pieces one customer may buy: set by administrators, kept by the order desk.

use serde_json::json;

use crate::support::{Shop, order_of};

#[tokio::test]
async fn a_customer_buys_no_more_than_the_limit_and_is_told_how_many_are_left() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    let body = json!({"code": "TEA-1", "name": "tea", "brandId": brand, "price": 100, "stock": 50, "purchaseLimit": 3});
    let added = shop.post("/api/v1/products").by(&admin).json(&body).send().await.expect(201);
    assert_eq!(added["purchaseLimit"], 3);
    let product = added["id"].as_i64().unwrap();
    let path = format!("/api/v1/products/{product}");
    assert_eq!(shop.get(&path).send().await["purchaseLimit"], 3, "everybody sees it");

    let (shopper, other) = (shop.customer("shopper", 10_000).await, shop.customer("other", 10_000).await);
    let kept = shop.order(&shopper, product, 2).await.expect(201);
    let beyond = shop.order(&shopper, product, 2).await;
    let told = |reply: &crate::support::Reply| {
        ["productId", "limit", "left", "requested"].map(|name| reply[name].as_i64().unwrap())
    };
    let beyond = beyond.refused(422, "PURCHASE_LIMIT_EXCEEDED");
    assert_eq!(told(&beyond), [product, 3, 1, 2]);
    let mut twice = order_of(product, 1);
    twice["lines"] = json!([{"productId": product, "quantity": 1}, {"productId": product, "quantity": 1}]);
    let merged = shop.post("/api/v1/orders").by(&shopper).new_key().json(&twice).send().await;
    assert_eq!(told(&merged), [product, 3, 1, 2], "two lines of a product are one");
    shop.order(&other, product, 3).await.expect(201);
    let waiting = shop.order_by_card(&shopper, product, 1).await;
    shop.order(&shopper, product, 1).await.refused(422, "PURCHASE_LIMIT_EXCEEDED");
    for order in [&waiting, &kept] {
        let cancel = shop.post(&format!("{}/cancel", order.header("location"))).by(&shopper).new_key();
        cancel.send().await.expect(200);
    }
    shop.order(&shopper, product, 3).await.expect(201);

    // Lower, removed, and left alone; orders that are there stay.
    let change = async |version: &str, body| {
        let change = shop.call("PATCH", &path).by(&admin).if_match(version).json(&body);
        change.send().await.expect(200)
    };
    let lower = change("\"v1\"", json!({"purchaseLimit": 1})).await;
    assert_eq!(lower["purchaseLimit"], 1);
    assert_eq!(shop.order(&shopper, product, 1).await["left"], 0);
    assert_eq!(change("\"v2\"", json!({"price": 200})).await["purchaseLimit"], 1);
    assert_eq!(change("\"v3\"", json!({"purchaseLimit": null})).await["purchaseLimit"], json!(null));
    shop.order(&shopper, product, 9).await.expect(201);
    let all = json!({"name": "tea", "description": "", "brandId": brand, "price": 100, "status": "ON_SALE", "purchaseLimit": 2});
    let replace = shop.call("PUT", &path).by(&admin).if_match("\"v4\"").json(&all);
    assert_eq!(replace.send().await.expect(200)["purchaseLimit"], 2);
}

#[tokio::test]
async fn a_limit_is_a_whole_number_from_1() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    for bad in [json!(0), json!(-1), json!(1.5), json!("2"), json!(1_000_001)] {
        let body = json!({"code": "T", "name": "tea", "brandId": brand, "price": 1, "stock": 1, "purchaseLimit": bad});
        let refused = shop.post("/api/v1/products").by(&admin).json(&body).send().await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.json);
        assert_eq!(refused["errors"][0]["pointer"], "/purchaseLimit", "{bad}");
    }
}
