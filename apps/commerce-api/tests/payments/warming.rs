//! What a shop that starts reads ahead.

use commerce_api_infrastructure::sql::BOARDS_FILE;
use commerce_boards::schema;
use commerce_database::{Column, Database, DatabaseError, Insert, SqliteOptions, Step};
use commerce_runtime::{BusinessZone, Clock as _, SystemClock};
use pg_simulator::{Capabilities, Faults};
use sea_orm::ConnectionTrait as _;
use tokio::time::{Duration, Instant, sleep};

use crate::support::World;

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
        Column::int("version"),
    ],
};

/// Today's board, with products 1 to 3 on it, and tomorrow's: it may become midnight.
async fn publish(world: &World) {
    let file = world.config.data_dir.join(BOARDS_FILE);
    let database = Database::open_sqlite(SqliteOptions::new(file)).await.unwrap();
    commerce_database::migrate(&database, STEPS, 0).await.unwrap();
    let today = BusinessZone::default().day(SystemClock.now_us()).unwrap();
    let days = [today, today.succ_opt().unwrap()].map(|day| day.format("D%Y%m%d").to_string());
    let publish = database.write::<_, DatabaseError, _>("publish", move |tx| {
        let days = days.clone();
        Box::pin(async move {
            let mut rows = PLACES.rows();
            for day in &days {
                for place in 1..=3_i64 {
                    let score = 10 - place;
                    rows.push([
                        day.as_str().into(),
                        "ALL".into(),
                        place.into(),
                        place.into(),
                        score.into(),
                        1_i64.into(),
                    ]);
                }
            }
            tx.execute_raw(PLACES.statement(tx.dialect(), &rows)).await?;
            Ok(())
        })
    });
    publish.await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn a_shop_that_starts_reads_the_best_of_today_ahead() {
    // The only shop of this process that has a board.
    const WARMED: &str = r#"commerce_cache_loads_total{cache="product_facts",result="warmed"} 3"#;
    let mut world = World::open(Capabilities::ALL, Faults::default()).await;
    publish(&world).await;
    world.stop_shop().await;
    world.start_shop().await;
    let give_up_at = Instant::now() + Duration::from_mins(1);
    loop {
        let metrics = world.metrics().await;
        if metrics.contains(WARMED) {
            break;
        }
        assert!(Instant::now() < give_up_at, "{metrics}");
        // tidy: sleep between two looks, each of which is bounded by the test's patience
        sleep(Duration::from_millis(5)).await;
    }
    world.settles().await;
}
