//! Seeding, views and like counts on SQL.

use crate::support::*;
use commerce_api_application::ports::{CatalogueStore, LikeQueries, NewBrand, NewProduct, StorageError};
use commerce_api_domain::{BrandId, ProductId, Timestamp};
use commerce_api_infrastructure::sql::SqlLikes;
use commerce_database::Dialect;

fn brands(names: &[&str]) -> Vec<NewBrand> {
    names.iter().map(|name| NewBrand { name: (*name).to_owned(), description: String::new() }).collect()
}

fn products(codes: &[(usize, &str, i64)]) -> Vec<(usize, NewProduct)> {
    let product = |(brand, code, stock): &(usize, &str, i64)| {
        (*brand, new_product(code, BrandId(0), &format!("Product {code}"), 10, *stock))
    };
    codes.iter().map(product).collect()
}

#[tokio::test]
async fn a_seed_adds_what_is_missing_and_leaves_the_rest() {
    let stores = Stores::open().await;
    let (names, codes) = (brands(&["Acme", "Other"]), products(&[(0, "A", 3), (1, "B", 0), (0, "A", 9)]));
    stores.db.statements().reset();
    assert_eq!(stores.catalogue.seed(&names, &codes, stores.seed(), NOW).await.unwrap(), 2);
    assert_eq!(stores.db.statements().count("seed"), 6);
    stores.execute("UPDATE products SET price = 77 WHERE code = 'A'", []).await;

    let more = products(&[(0, "A", 3), (1, "C", 5)]);
    let names = brands(&["Third", "Acme"]);
    assert_eq!(stores.catalogue.seed(&names, &more, stores.seed(), at(1)).await.unwrap(), 1);
    assert_eq!(stores.catalogue.seed(&names, &more, stores.seed(), at(2)).await.unwrap(), 0);
    let of_acme = "SELECT COUNT(*) FROM products p JOIN brands b ON b.id = p.brand_id WHERE p.code = ? AND b.name = 'Acme'";
    for code in ["A", "C"] {
        assert_eq!(stores.number_of(of_acme, [code.into()]).await, 1, "{code}");
    }
    assert_eq!(stores.number("SELECT price FROM products WHERE code = 'A'").await, 77);
    assert_eq!(stores.number("SELECT COUNT(*) FROM brands").await, 3);
    let stock = "SELECT COUNT(*) FROM products p WHERE stock <> \
                 (SELECT COALESCE(SUM(quantity), 0) FROM stock_movements m WHERE m.product_id = p.id)";
    assert_eq!(stores.number(stock).await, 0);
    assert_eq!(stores.number("SELECT CAST(SUM(stock) AS SIGNED) FROM products").await, 8);
}

#[tokio::test]
async fn a_large_seed_is_as_few_statements() {
    let stores = Stores::open().await;
    let names = brands(&["Acme"]);
    let codes: Vec<String> = (0..3_000).map(|index| format!("P{index}")).collect();
    let many: Vec<_> = codes.iter().map(|code| (0, &**code, 1)).collect();
    stores.db.statements().reset();
    assert_eq!(stores.catalogue.seed(&names, &products(&many), stores.seed(), NOW).await.unwrap(), 3_000);
    assert_eq!(stores.db.statements().total(), 6);
    assert_eq!(stores.number("SELECT COUNT(DISTINCT id) FROM stock_movements").await, 3_000);
}

#[tokio::test]
async fn a_seeded_product_needs_its_brand() {
    let stores = Stores::open().await;
    let refused =
        stores.catalogue.seed(&brands(&["Acme"]), &products(&[(1, "A", 1)]), stores.seed(), NOW).await;
    assert!(matches!(refused, Err(StorageError::Data(_))));
    assert_eq!(stores.number("SELECT COUNT(*) FROM brands").await, 0, "all or nothing");
}

#[tokio::test]
async fn views_add_up() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    let id = stores.product(new_product("A", brand.id, "tea", 1, 0), NOW).await.id;
    let other = stores.product(new_product("B", brand.id, "tea", 1, 0), NOW).await.id;
    stores.catalogue.add_views(&[]).await.unwrap();
    stores.catalogue.add_views(&[(id, 2), (other, 1), (id, 3)]).await.unwrap();
    stores.catalogue.add_views(&[(id, 10)]).await.unwrap();
    assert_eq!(stores.catalogue.product(id).await.unwrap().unwrap().view_count, 15);
    assert_eq!(stores.catalogue.product(other).await.unwrap().unwrap().view_count, 1);
}

async fn counts(stores: &Stores) -> Vec<i64> {
    let mut counts = Vec::new();
    for id in 1..=3_i64 {
        counts.push(stores.number_of("SELECT like_count FROM products WHERE id = ?", [id.into()]).await);
    }
    counts
}

#[tokio::test]
async fn likes_are_counted_again_where_they_changed() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    for code in ["A", "B", "C"] {
        stores.product(new_product(code, brand.id, "tea", 1, 0), NOW).await;
    }
    let (first, second) = (stores.user("a").await, stores.user("b").await);
    stores.like(first, ProductId(1), true, at(10)).await;
    stores.like(second, ProductId(1), true, at(20)).await;
    stores.like(first, ProductId(2), false, at(20)).await;
    stores.like(first, ProductId(3), true, at(5)).await;
    let trigger = "CREATE TRIGGER touched AFTER UPDATE ON products BEGIN \
                   INSERT INTO product_views SELECT -COUNT(*) - 1, 1 FROM product_views; END";
    let counts_writes = stores.db.dialect() == Dialect::Sqlite;
    if counts_writes {
        stores.execute(trigger, []).await;
    }
    assert_eq!(stores.catalogue.recount_likes(Some(at(21))).await.unwrap(), 0);
    assert_eq!(stores.catalogue.recount_likes(Some(at(20))).await.unwrap(), 1);
    assert_eq!(counts(&stores).await, [2, 0, 0]);
    assert_eq!(stores.catalogue.recount_likes(Some(at(20))).await.unwrap(), 0, "nothing is wrong any more");
    assert_eq!(stores.catalogue.recount_likes(None).await.unwrap(), 1);
    assert_eq!(counts(&stores).await, [2, 0, 1]);
    let written = stores.number("SELECT COUNT(*) FROM product_views").await;
    assert!(!counts_writes || written == 2, "rows that were written");
    stores.like(second, ProductId(1), false, at(30)).await;
    stores.like(first, ProductId(1), false, at(30)).await;
    assert_eq!(stores.catalogue.recount_likes(Some(at(30))).await.unwrap(), 1);
    assert_eq!(counts(&stores).await, [0, 0, 1]);
    let catalogue_fields =
        "SELECT COUNT(*) FROM products WHERE version = 1 AND event_seq = 0 AND updated_at = created_at";
    assert_eq!(stores.number(catalogue_fields).await, 3);
}

#[tokio::test]
async fn likes_of_a_customer_page_from_the_latest() {
    let stores = Stores::open().await;
    let brand = stores.brand("Acme").await;
    let (user, other) = (stores.user("a").await, stores.user("b").await);
    for index in 1..=7 {
        stores.product(new_product(&format!("P{index}"), brand.id, "tea", 1, 0), NOW).await;
        stores.like(user, ProductId(index), index != 4, at(index / 3)).await;
        stores.like(other, ProductId(index), true, NOW).await;
    }
    let likes = SqlLikes::new(stores.db.clone());
    let mut seen: Vec<(i64, Timestamp)> = Vec::new();
    loop {
        let after = seen.last().map(|(product, at)| (*at, ProductId(*product)));
        let page = likes.likes_of(user, after, 2).await.unwrap();
        seen.extend(page.iter().map(|liked| (liked.product.id.0, liked.liked_at)));
        if page.len() < 2 {
            break;
        }
        // One more, newer than all that was seen: it belongs before the first page.
        stores.like(user, ProductId(4), true, at(99)).await;
    }
    assert_eq!(seen, [(7, at(2)), (6, at(2)), (5, at(1)), (3, at(1)), (2, at(0)), (1, at(0))]);
}
