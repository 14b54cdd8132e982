//! Lists: pages that neither skip nor repeat, sorts, search, caching.

use commerce_api_application::ports::LIVE_MAX;
use serde_json::{Value, json};

use crate::support::{Shop, User};

/// Follows a list to its end.
async fn all(shop: &Shop, user: Option<&User>, list: &str, field: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let separator = if list.contains('?') { '&' } else { '?' };
        let mut call = shop.get(&format!("{list}{separator}limit=2{cursor}"));
        if let Some(user) = user {
            call = call.by(user);
        }
        let page = call.send().await.expect(200);
        let items = page.items(field);
        assert!(items.len() <= 2 && (page["nextCursor"].is_null() || items.len() == 2), "{}", page.json);
        found.extend(items);
        assert!(found.len() < 100, "{list} does not end");
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn teas(shop: &Shop) -> (User, i64) {
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong 보성").await;
    let other = shop.brand(&admin, "Hadong").await;
    // Two prices twice: ties are broken by id.
    for (code, brand, price) in [
        ("Green-tea", brand, 3_000),
        ("black-tea", brand, 1_000),
        ("Oolong", other, 3_000),
        ("White-tea", other, 1_000),
        ("Yellow_tea", brand, 2_000),
    ] {
        shop.product(&admin, brand, code, price, 1).await;
    }
    (admin, brand)
}

#[tokio::test]
async fn products_are_sorted_and_paged() {
    let shop = Shop::open().await;
    let (_, brand) = teas(&shop).await;
    let sorted = [
        ("LATEST", [5, 4, 3, 2, 1]),
        ("PRICE_ASC", [2, 4, 5, 1, 3]),
        ("PRICE_DESC", [3, 1, 5, 4, 2]),
        ("NAME", [2, 1, 3, 4, 5]),
    ];
    for (sort, expected) in sorted {
        let found = all(&shop, None, &format!("/api/v1/products?sort={sort}"), "id").await;
        assert_eq!(json!(found), json!(expected), "{sort}");
    }
    let latest = all(&shop, None, "/api/v1/products", "id").await;
    assert_eq!(json!(latest), json!([5, 4, 3, 2, 1]));
    let of_brand = all(&shop, None, &format!("/api/v1/products?brandId={brand}&sort=NAME"), "id").await;
    assert_eq!(json!(of_brand), json!([2, 1, 5]));
}

#[tokio::test]
async fn products_are_sorted_by_likes_as_last_counted() {
    let shop = Shop::open().await;
    teas(&shop).await;
    let fan = shop.customer("fan", 0).await;
    let other = shop.customer("other", 0).await;
    for (product, user) in [(3, &fan), (3, &other), (1, &fan)] {
        let like = shop.call("PUT", &format!("/api/v1/products/{product}/like"));
        assert_eq!(like.by(user).send().await.expect(200).json, json!({"liked": true, "changed": true}));
    }
    shop.catalogue.recount_likes(None).await.unwrap();
    let found = all(&shop, None, "/api/v1/products?sort=LIKES_DESC", "id").await;
    assert_eq!(json!(found), json!([3, 1, 5, 4, 2]));
    let brand = shop.get("/api/v1/brands/1").send().await.expect(200);
    let link = brand.text("productsLink");
    assert_eq!(json!(all(&shop, None, &link, "id").await), json!([1, 5, 2]));
    assert_eq!(brand["products"]["items"][0]["likeCount"], 1);
}

#[tokio::test]
async fn search_finds_substrings_of_names_and_brands_literally() {
    let shop = Shop::open().await;
    teas(&shop).await;
    let find = async |text: &str| {
        let list = format!("/api/v1/products?sort=NAME&search={text}");
        json!(all(&shop, None, &list, "id").await)
    };
    assert_eq!(find("TEA").await, json!([2, 1, 4, 5]));
    assert_eq!(find("%EB%B3%B4%EC%84%B1").await, json!([2, 1, 5]));
    assert_eq!(find("hadong").await, json!([3, 4]));
    for literal in ["%25%25", "__", "e_t", "'--", "%22%22"] {
        assert_eq!(find(literal).await, json!([]), "{literal}");
    }
    assert_eq!(find("w_te").await, json!([5]));
}

#[tokio::test]
async fn a_customers_lists_are_paged() {
    let shop = Shop::open().await;
    let (admin, _) = teas(&shop).await;
    let shopper = shop.customer("shopper", 100_000).await;
    for product in 1..=5 {
        let like = shop.call("PUT", &format!("/api/v1/products/{product}/like")).by(&shopper);
        like.send().await.expect(200);
        shop.order(&shopper, product, 1).await.expect(201);
        shop.clock.advance(std::time::Duration::from_millis(1));
        let coupon = shop.coupon(&admin, &format!("C-{product}"), None).await;
        shop.issue(&shopper, coupon).await;
    }
    let lines = all(&shop, Some(&shopper), "/api/v1/orders", "lines").await;
    let products: Vec<_> = lines.iter().map(|lines| lines[0]["productId"].clone()).collect();
    assert_eq!(json!(products), json!([5, 4, 3, 2, 1]));
    let liked = all(&shop, Some(&shopper), "/api/v1/users/me/likes", "product").await;
    let liked: Vec<_> = liked.iter().map(|product| product["id"].clone()).collect();
    assert_eq!(json!(liked), json!([5, 4, 3, 2, 1]));
    let coupons = all(&shop, Some(&shopper), "/api/v1/users/me/coupons", "coupon").await;
    let coupons: Vec<_> = coupons.iter().map(|coupon| coupon["id"].clone()).collect();
    assert_eq!(json!(coupons), json!([5, 4, 3, 2, 1]));
    let kinds = all(&shop, Some(&shopper), "/api/v1/users/me/points", "kind").await;
    assert_eq!(kinds.len(), 11);
    assert_eq!(kinds.last(), Some(&json!("CHARGE")));
    let theirs = format!("/api/v1/admin/orders?userId={}&status=PAID", shopper.id);
    assert_eq!(all(&shop, Some(&admin), &theirs, "id").await.len(), 5);
    assert!(all(&shop, Some(&admin), "/api/v1/admin/orders?status=CANCELED", "id").await.is_empty());
    assert_eq!(json!(all(&shop, Some(&admin), "/api/v1/admin/users", "id").await), json!([1, 2]));
    assert_eq!(json!(all(&shop, None, "/api/v1/brands", "id").await), json!([1, 2]));
    assert_eq!(all(&shop, None, "/api/v1/coupons", "id").await.len(), 5);
    let movements = all(&shop, Some(&admin), "/api/v1/products/1/stock-movements", "quantity").await;
    assert_eq!(json!(movements), json!([1]));
}

#[tokio::test]
async fn a_view_counts_once_per_viewer_in_half_an_hour() {
    let shop = Shop::open().await;
    teas(&shop).await;
    let shopper = shop.customer("shopper", 0).await;
    let address = |last| std::net::IpAddr::from([10, 0, 0, last]);
    let path = "/api/v1/products/1";
    for _ in 0..2 {
        shop.get(path).by(&shopper).coming_from(address(1)).send().await.expect(200);
        shop.get(path).coming_from(address(1)).send().await.expect(200);
        shop.get(path).coming_from(address(2)).send().await.expect(200);
        // Nobody saw it.
        shop.call("HEAD", path).coming_from(address(3)).send().await.expect(200);
        // Nothing is known of this one.
        shop.get(path).send().await.expect(200);
    }
    shop.views.flush().await.unwrap();
    shop.clock.advance(LIVE_MAX);
    assert_eq!(shop.get(path).send().await["viewCount"], 3);
    shop.clock.advance(std::time::Duration::from_mins(30));
    shop.get(path).coming_from(address(1)).send().await.expect(200);
    shop.get("/api/v1/products/999").coming_from(address(1)).send().await.expect(404);
    shop.views.flush().await.unwrap();
    shop.clock.advance(LIVE_MAX);
    assert_eq!(shop.get(path).send().await["viewCount"], 4);
}

#[tokio::test]
async fn only_public_reads_may_be_cached() {
    let shop = Shop::open().await;
    let (admin, _) = teas(&shop).await;
    for path in
        ["/api/v1/products", "/api/v1/products/1", "/api/v1/brands", "/api/v1/brands/1", "/api/v1/coupons"]
    {
        let reply = shop.get(path).send().await.expect(200);
        assert_eq!(reply.header("cache-control"), "public, max-age=1", "{path}");
    }
    for path in
        ["/api/v1/users/me", "/api/v1/orders", "/api/v1/admin/users", "/api/v1/products/999", "/nowhere"]
    {
        let reply = shop.get(path).by(&admin).send().await;
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
    }
}
