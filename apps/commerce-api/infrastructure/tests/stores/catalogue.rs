//! Brands, products and their pages on SQL.

use crate::support::*;
use commerce_api_application::ports::{
    CatalogueStore, NewBrand, NewProduct, ProductPatch, ProductPosition, ProductQuery, ProductSort,
    ProductUpdate, ProductView, PurchaseLimitChange, StorageError, UpdateRefused,
};
use commerce_api_domain::{BrandId, ProductId, ProductStatus, Quantity};

#[tokio::test]
async fn a_product_is_added_with_its_stock_as_a_receipt() {
    let stores = Stores::open().await;
    let brand = stores.brand("Ångström").await;
    let added = stores.product(new_product("TEA-1", brand.id, "Grüner Tee", 1_200, 7), at(5)).await;
    assert_eq!((added.stock, added.version, added.brand_name.as_str()), (7, 1, "Ångström"));
    assert_eq!((added.like_count, added.view_count, added.created_at), (0, 0, at(5)));
    assert_eq!(stores.catalogue.product(added.id).await.unwrap(), Some(added.clone()));
    let movements = stores.catalogue.movements(added.id, None, 10).await.unwrap();
    assert_eq!(movements.iter().map(|row| (row.quantity, row.stock_after)).collect::<Vec<_>>(), [(7, 7)]);
    let empty = stores.product(new_product("TEA-2", brand.id, "Tee", 1, 0), at(6)).await;
    assert_eq!(stores.catalogue.movements(empty.id, None, 10).await.unwrap(), []);
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 3);
    assert_eq!(stores.catalogue.product(ProductId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn names_and_codes_are_unique_and_a_refusal_leaves_nothing() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    stores.product(new_product("A", brand.id, "tea", 1, 1), NOW).await;
    let again = NewBrand { name: "Acme".into(), description: String::new() };
    let refused = stores.catalogue.add_brand(again, NOW, stores.audit()).await.unwrap_err();
    assert!(matches!(refused, UpdateRefused::Taken("brand name")), "{refused:?}");
    let add = async |code, brand| {
        let product = new_product(code, brand, "tea", 1, 1);
        stores.catalogue.add_product(product, stores.seed(), NOW, stores.audit()).await.unwrap_err()
    };
    assert!(matches!(add("A", brand.id).await, UpdateRefused::Taken("product code")));
    assert!(matches!(add("B", BrandId(77)).await, UpdateRefused::BrandNotFound));
    let (products, movements) = ("SELECT COUNT(*) FROM products", "SELECT COUNT(*) FROM stock_movements");
    assert_eq!((stores.number(products).await, stores.number(movements).await), (1, 1));
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 2);
    assert_eq!(stores.catalogue.brands(None, 10).await.unwrap(), std::slice::from_ref(&brand));
    assert_eq!(stores.catalogue.brand(brand.id).await.unwrap(), Some(brand));
    assert_eq!(stores.catalogue.brand(BrandId(77)).await.unwrap(), None);
}

fn change(stores: &Stores, product: &ProductView, patch: ProductPatch) -> ProductUpdate {
    ProductUpdate {
        id: product.id,
        expected_version: product.version,
        patch,
        ids: stores.seed(),
        at: at(9),
        audit: stores.audit(),
    }
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_seen_and_is_told() {
    let stores = Stores::open().await;
    let (acme, other) = (stores.brand("Acme").await, stores.brand("Other").await);
    let product = stores.product(new_product("A", acme.id, "tea", 100, 5), NOW).await;
    let patch = ProductPatch {
        name: Some("Black TEA".into()),
        brand: Some(other.id),
        price: Some(won(250)),
        status: Some(ProductStatus::Stopped),
        ..ProductPatch::default()
    };
    stores.db.statements().reset();
    let changed = stores.catalogue.update_product(change(&stores, &product, patch)).await.unwrap();
    assert_eq!(stores.db.statements().count("update_product"), 6);
    assert_eq!((changed.version, changed.price, changed.stock), (2, won(250), 5));
    assert_eq!((changed.name.as_str(), changed.brand_name.as_str()), ("Black TEA", "Other"));
    assert_eq!(
        (changed.status, changed.created_at, changed.updated_at),
        (ProductStatus::Stopped, NOW, at(9))
    );
    assert_eq!(stores.number("SELECT event_seq FROM products").await, 1);
    assert_eq!(stores.number("SELECT sequence FROM outbox WHERE aggregate_id = '1'").await, 1);
    let told = "SELECT CAST(payload ->> '$.payload.stock' AS SIGNED) FROM outbox \
                WHERE payload ->> '$.eventType' = 'ProductUpdated'";
    assert_eq!(stores.number(told).await, 5);
    assert_eq!(search(&stores, "black tea").await, ["Black TEA"]);

    let stale = stores.catalogue.update_product(change(&stores, &product, ProductPatch::default())).await;
    assert!(matches!(stale, Err(UpdateRefused::VersionMismatch { actual: 2 })), "{stale:?}");
    let no_brand = ProductPatch { brand: Some(BrandId(77)), ..ProductPatch::default() };
    let refused = stores.catalogue.update_product(change(&stores, &changed, no_brand)).await;
    assert!(matches!(refused, Err(UpdateRefused::BrandNotFound)), "{refused:?}");
    let nothing = ProductView { id: ProductId(77), ..changed.clone() };
    let refused = stores.catalogue.update_product(change(&stores, &nothing, ProductPatch::default())).await;
    assert!(matches!(refused, Err(UpdateRefused::NotFound)), "{refused:?}");
    assert_eq!(stores.catalogue.product(product.id).await.unwrap(), Some(changed));
    assert_eq!(stores.number("SELECT COUNT(*) FROM outbox").await, 1);
    assert_eq!(stores.number("SELECT COUNT(*) FROM audit_log").await, 4);
}

#[tokio::test]
async fn a_purchase_limit_is_set_and_kept_and_removed() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    let product = stores.product(new_product("A", brand.id, "tea", 100, 5), NOW).await;
    let limit = async |seen: &ProductView, purchase_limit| {
        let patch = ProductPatch { purchase_limit, ..ProductPatch::default() };
        stores.catalogue.update_product(change(&stores, seen, patch)).await.unwrap()
    };
    let two = Quantity::new(2).ok();
    let set = limit(&product, PurchaseLimitChange::Set(two)).await;
    let kept = limit(&set, PurchaseLimitChange::Keep).await;
    let gone = limit(&kept, PurchaseLimitChange::Set(None)).await;
    assert_eq!([set, kept, gone].map(|view| view.purchase_limit), [two, two, None]);
    let limited = NewProduct { purchase_limit: two, ..new_product("B", brand.id, "tea", 100, 5) };
    assert_eq!(stores.product(limited, NOW).await.purchase_limit, two);
}

async fn search(stores: &Stores, text: &str) -> Vec<String> {
    let query = ProductQuery {
        search: Some(text.to_owned()),
        sort: ProductSort::Name,
        limit: 100,
        ..ProductQuery::default()
    };
    stores.catalogue.products(&query).await.unwrap().into_iter().map(|product| product.name).collect()
}

#[tokio::test]
async fn a_search_finds_substrings_of_both_names_and_nothing_in_it_is_special() {
    let stores = Stores::open().await;
    let (nordic, seoul) = (stores.brand("Weiße Möwe").await, stores.brand("서울 상점").await);
    let names =
        ["ÄPFEL süß", "녹차 라떼", "100% wool", "snake_case", "it's \"quoted\"", "back\\slash", "100 wool"];
    for (index, name) in names.into_iter().enumerate() {
        let brand = if name.contains('차') { seoul.id } else { nordic.id };
        stores.product(new_product(&format!("P{index}"), brand, name, 1, 0), NOW).await;
    }
    assert_eq!(search(&stores, "äpfel").await, ["ÄPFEL süß"]);
    assert_eq!(search(&stores, "SÜß").await, ["ÄPFEL süß"]);
    assert_eq!(search(&stores, "녹차").await, ["녹차 라떼"]);
    assert_eq!(search(&stores, "서울").await, ["녹차 라떼"], "by the brand's name");
    assert_eq!(search(&stores, "MÖWE").await.len(), 6);
    assert_eq!(search(&stores, "100%").await, ["100% wool"]);
    assert_eq!(search(&stores, "e_c").await, ["snake_case"]);
    assert_eq!(search(&stores, "'s \"Q").await, ["it's \"quoted\""]);
    assert_eq!(search(&stores, "k\\S").await, ["back\\slash"]);
    assert_eq!(search(&stores, "' OR 1=1 --").await, Vec::<String>::new());
    assert_eq!(search(&stores, "%").await, ["100% wool"]);
}

fn position(sort: ProductSort, product: &ProductView) -> ProductPosition {
    match sort {
        ProductSort::Latest => ProductPosition::Number(product.created_at.as_micros(), product.id),
        ProductSort::PriceAsc | ProductSort::PriceDesc => {
            ProductPosition::Number(product.price.won(), product.id)
        }
        ProductSort::LikesDesc => ProductPosition::Number(product.like_count, product.id),
        ProductSort::Name => ProductPosition::Text(product.name.to_lowercase(), product.id),
    }
}

/// Reads page after page of three; `between` runs after the first.
async fn pages(
    stores: &Stores,
    sort: ProductSort,
    brand: Option<BrandId>,
    between: impl AsyncFn(),
) -> Vec<ProductView> {
    let mut seen: Vec<ProductView> = Vec::new();
    loop {
        let after = seen.last().map(|last| position(sort, last));
        let query = ProductQuery { brand, sort, after, limit: 3, ..ProductQuery::default() };
        let page = stores.catalogue.products(&query).await.unwrap();
        let is_first = seen.is_empty();
        let is_last = page.len() < 3;
        seen.extend(page);
        if is_last {
            return seen;
        }
        if is_first {
            between().await;
        }
    }
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_and_keep_ties_in_order() {
    let stores = Stores::open().await;
    let (acme, other) = (stores.brand("Acme").await, stores.brand("Other").await);
    for index in 0_i64..20 {
        let brand = if index % 4 == 0 { other.id } else { acme.id };
        // Few different values, so that pages end in the middle of ties.
        let name = ["pear", "Apple", "fig"][usize::try_from(index % 3).unwrap()];
        let product = new_product(&format!("P{index}"), brand, name, 100 + index % 3, 0);
        let id = stores.product(product, at(index / 5)).await.id;
        stores
            .execute("UPDATE products SET like_count = ? WHERE id = ?", [(index % 2).into(), id.0.into()])
            .await;
    }
    let key = |sort, product: &ProductView| match position(sort, product) {
        ProductPosition::Number(value, id) => (value, String::new(), id),
        ProductPosition::Text(value, id) => (0, value, id),
    };
    let sorts = [
        (ProductSort::Latest, false),
        (ProductSort::PriceAsc, true),
        (ProductSort::PriceDesc, false),
        (ProductSort::LikesDesc, false),
        (ProductSort::Name, true),
    ];
    for (sort, ascends) in sorts {
        for (brand, expected) in [(None, 20), (Some(other.id), 5), (Some(BrandId(77)), 0)] {
            let seen = pages(&stores, sort, brand, async || ()).await;
            assert_eq!(seen.len(), expected, "{sort:?}");
            assert!(seen.iter().all(|product| brand.is_none_or(|brand| product.brand == brand)));
            let in_order = seen.windows(2).all(|pair| (key(sort, &pair[0]) < key(sort, &pair[1])) == ascends);
            let distinct = seen.windows(2).all(|pair| key(sort, &pair[0]) != key(sort, &pair[1]));
            assert!(in_order && distinct, "{sort:?}");
        }
    }
}

#[tokio::test]
async fn a_product_added_while_paging_disturbs_nothing() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    for index in 0..9 {
        stores.product(new_product(&format!("P{index}"), brand.id, "tea", 100, 0), NOW).await;
    }
    for sort in [ProductSort::Latest, ProductSort::PriceDesc] {
        let before = stores.number("SELECT COUNT(*) FROM products").await;
        let seen = pages(&stores, sort, None, async || {
            let code = format!("new-{sort:?}");
            stores.product(new_product(&code, brand.id, "tea", 100, 0), NOW).await;
        })
        .await;
        assert_eq!(
            i64::try_from(seen.len()).unwrap(),
            before,
            "{sort:?}: the new one is before the first page"
        );
        assert!(seen.windows(2).all(|pair| pair[0].id > pair[1].id));
    }
}

#[tokio::test]
async fn a_position_of_another_sort_is_refused() {
    let stores = Stores::open().await;
    let after = Some(ProductPosition::Text("a".into(), ProductId(1)));
    let query = ProductQuery { after, limit: 3, ..ProductQuery::default() };
    assert!(matches!(stores.catalogue.products(&query).await, Err(StorageError::Data(_))));
}

#[tokio::test]
async fn movements_page_from_the_latest() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    let product = stores.product(new_product("A", brand.id, "tea", 1, 4), NOW).await;
    for quantity in [3_i64, -1] {
        let movement = "INSERT INTO stock_movements (id, product_id, kind, quantity, stock_after, reason, at) \
                        VALUES (?, ?, 'ADJUSTMENT', ?, 9, 'counted', 0)";
        let id = commerce_api_application::ports::IdSource::uuid(&stores.ids);
        stores.execute(movement, [id.into(), product.id.0.into(), quantity.into()]).await;
    }
    let first = stores.catalogue.movements(product.id, None, 2).await.unwrap();
    let rest = stores.catalogue.movements(product.id, Some(first[1].id), 2).await.unwrap();
    let quantities: Vec<i64> = first.iter().chain(&rest).map(|row| row.quantity).collect();
    assert_eq!(quantities, [-1, 3, 4]);
    assert_eq!(first[0].reason.as_deref(), Some("counted"));
}
