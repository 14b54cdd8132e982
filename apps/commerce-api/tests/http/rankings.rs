//! Boards as shoppers see them: of another app, whose database may not be there.

use commerce_boards::schema;
use commerce_database::{Column, Database, DatabaseError, Insert, SqliteOptions, Step};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::support::{Shop, User};

const STEPS: &[Step] = &[
    Step { id: 1, name: schema::TABLE, statement: schema::ranking_board },
    Step { id: 2, name: "uq_ranking_board_product", statement: schema::product_index },
    Step { id: 3, name: schema::PERIODS, statement: schema::business_periods },
];

const PLACES: Insert = Insert {
    table: schema::TABLE,
    columns: &[
        Column::text("period"),
        Column::text("type"),
        Column::int("rank"),
        Column::int("product_id"),
        Column::int("score"),
        Column::int("previous_rank"),
        Column::int("version"),
    ],
};

/// Board, rank, product, score.
type Row = (&'static str, i64, i64, i64);

/// As the collector publishes: today is the 15th of January 2027 in Seoul.
pub async fn publish(shop: &Shop, period: &'static str, places: Vec<Row>) {
    let options = SqliteOptions { durable: false, ..SqliteOptions::new(shop.boards_file()) };
    let database = Database::open_sqlite(options).await.unwrap();
    commerce_database::migrate(&database, STEPS, 0).await.unwrap();
    let publish = database.write::<_, DatabaseError, _>("publish", move |tx| {
        let places = places.clone();
        Box::pin(async move {
            let mut rows = PLACES.rows();
            for (board, rank, product, score) in places {
                let previous = (rank == 1).then_some(4_i64);
                let key = [period.into(), board.into(), rank.into()];
                rows.push(key.into_iter().chain([
                    product.into(),
                    score.into(),
                    previous.into(),
                    1_i64.into(),
                ]));
            }
            tx.execute_raw(PLACES.statement(tx.dialect(), &rows)).await?;
            Ok(())
        })
    });
    publish.await.unwrap();
    database.close().await;
}

pub async fn shop_with(products: i64) -> (Shop, User) {
    let shop = Shop::open().await;
    let admin = shop.admin().await;
    let brand = shop.brand(&admin, "Boseong").await;
    for number in 1..=products {
        shop.product(&admin, brand, &format!("TEA-{number}"), 1_000 * number, 5).await;
    }
    (shop, admin)
}

#[tokio::test]
async fn without_a_collector_every_board_is_empty() {
    let (shop, _) = shop_with(1).await;
    let ranking = shop.get("/api/v1/rankings").send().await.expect(200);
    assert_eq!(
        ranking.json,
        json!({
            "period": "DAILY", "type": "ALL", "date": "20270115", "complete": false, "page": 1, "size": 20,
            "total": 0, "items": [],
        })
    );
    let none = json!({"all": null, "like": null, "view": null, "order": null});
    let ranks = shop.get("/api/v1/rankings/products/1").send().await.expect(200);
    let expected = json!({"productId": 1, "period": "DAILY", "date": "20270115", "ranks": none});
    assert_eq!(ranks.json, expected);
    assert_eq!(shop.get("/api/v1/products/1").send().await.expect(200)["ranks"], none);
}

#[tokio::test]
async fn boards_have_names_and_prices_and_leave_out_what_is_not_in_the_catalogue() {
    let (shop, admin) = shop_with(3).await;
    let change = json!({"status": "STOPPED"});
    let off_sale = shop.call("PATCH", "/api/v1/products/2").by(&admin).if_match("\"v1\"").json(&change);
    off_sale.send().await.expect(200);
    publish(
        &shop,
        "D20270115",
        vec![("ALL", 1, 3, 13), ("ALL", 2, 99, 9), ("ALL", 3, 2, 4), ("VIEW", 1, 2, 4)],
    )
    .await;
    let ranking = shop.get("/api/v1/rankings").send().await.expect(200);
    assert_eq!(ranking["total"], 3);
    assert_eq!(
        ranking["items"],
        json!([
            {
                "rank": 1, "previousRank": 4, "change": 3, "score": 13, "productId": 3, "name": "TEA-3", "price": 3_000,
                "status": "ON_SALE",
            },
            {
                "rank": 3, "previousRank": null, "change": null, "score": 4, "productId": 2, "name": "TEA-2", "price": 2_000,
                "status": "STOPPED",
            },
        ])
    );
    assert_eq!(ranking.header("cache-control"), "public, max-age=1");
    let ranks = json!({
        "all": {"rank": 3, "previousRank": null, "change": null, "score": 4}, "like": null,
        "view": {"rank": 1, "previousRank": 4, "change": 3, "score": 4}, "order": null,
    });
    assert_eq!(shop.get("/api/v1/products/2").send().await.expect(200)["ranks"], ranks);
    assert_eq!(shop.get("/api/v1/rankings/products/2").send().await.expect(200)["ranks"], ranks);
    shop.get("/api/v1/rankings/products/99").send().await.refused(404, "PRODUCT_NOT_FOUND");
}

#[tokio::test]
async fn boards_are_paged_by_rank_and_any_day_names_its_period() {
    let (shop, _) = shop_with(5).await;
    publish(&shop, "D20270114", (1..=5).map(|rank| ("LIKE", rank, 6 - rank, 10 - rank)).collect()).await;
    publish(&shop, "W202702", vec![("ORDER", 1, 1, 7)]).await;
    let items = async |query: &str| -> Vec<Value> {
        shop.get(&format!("/api/v1/rankings?{query}")).send().await.expect(200).items("productId")
    };
    assert_eq!(items("type=LIKE&date=20270114&size=2").await, [5, 4]);
    assert_eq!(items("type=LIKE&date=20270114&size=2&page=3").await, [1]);
    assert!(items("type=LIKE&date=20270114&size=2&page=4").await.is_empty());
    assert!(items("type=LIKE").await.is_empty(), "today is another day");
    assert_eq!(items("period=WEEKLY&type=ORDER&date=20270117").await, [1]);
    assert!(items("period=WEEKLY&type=ORDER&date=20270118").await.is_empty());
    assert!(items("period=MONTHLY&type=ORDER").await.is_empty());
}

#[tokio::test]
async fn what_no_board_has_is_refused_by_name() {
    let (shop, _) = shop_with(1).await;
    for (query, parameter) in [
        ("period=YEARLY", "/period"),
        ("type=ALLE", "/type"),
        ("date=2027-01-15", "/date"),
        ("date=20270229", "/date"),
        ("page=0", "/page"),
        ("page=1000001", "/page"),
        ("size=101", "/size"),
        ("size=0", "/size"),
    ] {
        let reply = shop.get(&format!("/api/v1/rankings?{query}")).send().await;
        let reply = reply.refused(400, "INVALID_PARAMETER");
        assert_eq!(reply["errors"][0]["pointer"], parameter, "{query}");
    }
    shop.get("/api/v1/rankings?limit=5").send().await.refused(400, "UNKNOWN_PARAMETER");
    shop.get("/api/v1/rankings/products/0").send().await.refused(400, "INVALID_PARAMETER");
    assert!(!shop.boards_file().exists(), "reading makes no file");
}
