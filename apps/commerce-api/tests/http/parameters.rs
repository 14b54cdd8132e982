//! Path and query parameters that are wrong.

use crate::support::Shop;

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_was_expected() {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let limit = "expected a whole number from 1 to 100";
    let id = "expected a whole number from 1 to 9223372036854775807";
    let search = "expected 2 to 50 characters on one line, none of them a control or format character";
    let sorts = "expected one of `LATEST`, `PRICE_ASC`, `PRICE_DESC`, `LIKES_DESC`, `NAME`";
    let cases = [
        ("/api/v1/products?limit=0", "/limit", limit),
        ("/api/v1/products?limit=101", "/limit", limit),
        ("/api/v1/products?limit=1000000000000000000000", "/limit", limit),
        ("/api/v1/products?limit=many", "/limit", limit),
        ("/api/v1/products?limit=", "/limit", limit),
        ("/api/v1/products?sort=BEST", "/sort", sorts),
        ("/api/v1/products?search=t", "/search", search),
        ("/api/v1/products?search=", "/search", search),
        ("/api/v1/products?search=a%0Ab", "/search", search),
        ("/api/v1/products?search=te%FFa", "/search", "expected percent-encoded UTF-8"),
        ("/api/v1/products?brandId=0", "/brandId", id),
        ("/api/v1/products?brandId=tea", "/brandId", id),
        ("/api/v1/products/0", "/id", id),
        ("/api/v1/products/-1", "/id", id),
        ("/api/v1/products/9223372036854775808", "/id", id),
        ("/api/v1/products/tea", "/id", id),
        ("/api/v1/products/%FF", "/id", "expected percent-encoded UTF-8"),
        ("/api/v1/orders/tea", "/id", "expected a UUID"),
        ("/api/v1/orders/1", "/id", "expected a UUID"),
        ("/api/v1/payments/0190163d-8694-739b-aea5-966c26f8ad9/history", "/id", "expected a UUID"),
        ("/api/v1/admin/orders?userId=0", "/userId", id),
    ];
    for (path, pointer, detail) in cases {
        let reply = shop.get(path).by(&admin).send().await.refused(400, "INVALID_PARAMETER");
        assert_eq!(
            (&reply["errors"][0]["pointer"], &reply["errors"][0]["detail"]),
            (&pointer.into(), &detail.into()),
            "{path}"
        );
    }
    let lost = shop.get("/api/v1/admin/orders?status=LOST").by(&admin).send().await;
    assert_eq!(lost.refused(400, "INVALID_PARAMETER")["errors"][0]["pointer"], "/status");
    let long = format!("/api/v1/products?search={}", "t".repeat(51));
    shop.get(&long).send().await.refused(400, "INVALID_PARAMETER");
    let unknown = shop.get("/api/v1/products?page=1").send().await.refused(400, "UNKNOWN_PARAMETER");
    let detail = unknown["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("there is no such parameter; expected one of `search`"), "{detail}");
}
