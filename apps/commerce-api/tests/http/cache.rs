//! Products through the cache, as everybody sees them. The clock stands still, so nothing here is read again for its age.

use std::time::Duration;

use commerce_api_application::Caller;
use commerce_api_application::ports::{LIVE_MAX, ProductPatch};
use commerce_api_domain::{ProductId, Role, UserId};
use futures::poll;
use serde_json::json;

use crate::rankings::{publish, shop_with};
use crate::support::{Shop, order_of};

const PATH: &str = "/api/v1/products/1";

#[tokio::test]
async fn an_order_and_its_cancel_are_seen_in_the_stock_at_once() {
    let (shop, _) = shop_with(1).await;
    let shopper = shop.customer("shopper", 100_000).await;
    for left in (1..5).rev() {
        let order = shop.order(&shopper, 1, 1).await.expect(201);
        assert_eq!(shop.stock(1).await, left);
        if left == 1 {
            let cancel = shop.post(&format!("{}/cancel", order.header("location"))).by(&shopper).new_key();
            cancel.send().await.expect(200);
            assert_eq!(shop.stock(1).await, 2);
        }
    }
    let refused = shop.post("/api/v1/orders").by(&shopper).new_key().json(&order_of(1, 3)).send().await;
    refused.refused(409, "OUT_OF_STOCK");
    assert_eq!(shop.stock(1).await, 2);
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_its_tag_leads_to_the_next() {
    let (shop, admin) = shop_with(1).await;
    let mut tag = shop.get(PATH).send().await.expect(200).header("etag").to_owned();
    for number in 1..=3 {
        let body = json!({"name": format!("Tea {number}"), "price": number * 1_000});
        let change = shop.call("PATCH", PATH).by(&admin).json(&body);
        let changed = change.if_match(&tag).send().await.expect(200);
        let stale = shop.call("PATCH", PATH).by(&admin).json(&body).if_match(&tag).send().await;
        stale.refused(412, "PRECONDITION_FAILED");
        let shown = shop.get(PATH).send().await.expect(200);
        assert_eq!((shown.text("name"), &shown["price"]), (format!("Tea {number}"), &json!(number * 1_000)));
        assert_eq!(shown.header("etag"), changed.header("etag"));
        assert_ne!(shown.header("etag"), tag);
        shown.header("etag").clone_into(&mut tag);
    }
}

#[tokio::test]
async fn stock_that_is_moved_by_hand_is_seen_at_once() {
    let (shop, admin) = shop_with(1).await;
    assert_eq!(shop.stock(1).await, 5);
    let movement = shop.post(&format!("{PATH}/stock-movements")).by(&admin).new_key();
    movement.json(&json!({"kind": "RECEIPT", "quantity": 7})).send().await.expect(201);
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn a_product_that_comes_after_it_was_asked_for_is_there() {
    let (shop, admin) = shop_with(1).await;
    shop.get("/api/v1/products/2").send().await.refused(404, "PRODUCT_NOT_FOUND");
    assert_eq!(shop.product(&admin, 1, "TEA-2", 1_000, 3).await, 2);
    assert_eq!(shop.stock(2).await, 3);
}

#[tokio::test]
async fn counts_are_as_old_as_is_said_and_no_older() {
    let (shop, _) = shop_with(1).await;
    let shopper = shop.customer("shopper", 0).await;
    let counts = async |shop: &Shop| {
        let shown = shop.get(PATH).send().await.expect(200);
        (shown["likeCount"].as_i64().unwrap(), shown["viewCount"].as_i64().unwrap())
    };
    assert_eq!(counts(&shop).await, (0, 0));
    shop.call("PUT", &format!("{PATH}/like")).by(&shopper).send().await.expect(200);
    // From the cache, and counted all the same.
    shop.get(PATH).by(&shopper).send().await.expect(200);
    shop.views.flush().await.unwrap();
    shop.catalogue.recount_likes(None).await.unwrap();
    assert_eq!(counts(&shop).await, (0, 0), "read a moment ago");
    shop.clock.advance(LIVE_MAX);
    assert_eq!(counts(&shop).await, (1, 1));
}

#[tokio::test]
async fn ranks_of_yesterday_are_not_shown() {
    let (shop, _) = shop_with(2).await;
    publish(&shop, "D20270115", vec![("ALL", 1, 1, 70)]).await;
    assert_eq!(shop.get(PATH).send().await.expect(200)["ranks"]["all"]["rank"], 1);
    // Midnight in Seoul, where today has no board yet.
    shop.clock.advance(Duration::from_hours(7));
    assert!(shop.get(PATH).send().await.expect(200)["ranks"]["all"].is_null());
}

#[tokio::test]
async fn the_best_of_today_warm_the_cache() {
    let (shop, _) = shop_with(3).await;
    publish(&shop, "D20270115", vec![("ALL", 1, 2, 70), ("ALL", 2, 3, 60), ("LIKE", 1, 1, 9)]).await;
    assert_eq!(shop.details.warm(10).await.unwrap(), 2);
    assert_eq!(shop.details.warm(1).await.unwrap(), 1);
    let (alone, _) = shop_with(1).await;
    assert_eq!(alone.details.warm(10).await.unwrap(), 0, "without a collector");
}

#[tokio::test]
async fn a_change_whose_caller_goes_away_is_seen() {
    let (shop, _) = shop_with(1).await;
    let product = ProductId(1);
    let shown = async || shop.details.of(product).await.unwrap().unwrap().view;
    assert_eq!(shown().await.version, 1);
    let admin = Caller { user: UserId(1), role: Role::Admin, traceparent: None };
    let patch = ProductPatch { name: Some("Changed".to_owned()), ..ProductPatch::default() };
    let mut change = Box::pin(shop.products.update_product(&admin, product, 1, patch));
    assert!(poll!(&mut change).is_pending());
    drop(change);
    let seen = async {
        while shown().await.version == 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), seen).await.unwrap();
    assert_eq!(shown().await.name, "Changed");
}
