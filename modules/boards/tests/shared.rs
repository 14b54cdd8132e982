//! Boards in a real Redis are what they are in the database: page by page, place by place, whatever happens to Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use commerce_boards::{Board, BoardOptions, BoardReader, Page, Period, Place, schema};
use commerce_database::{Column, Database, DatabaseError, Insert, SqliteOptions, Step, Template};
use commerce_databases::Scratch;
use commerce_redis::{Redis, RedisOptions, cmd};
use commerce_servers::{Server, ServerKind, Tuning, shared};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;

const ROWS: Insert = Insert {
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

const PERIODS: Insert = Insert {
    table: schema::PERIODS,
    columns: &[Column::text("period"), Column::int("changed"), Column::int("applied")],
};

const STEPS: &[Step] = &[
    Step { id: 1, name: "ranking_board", statement: schema::ranking_board },
    Step { id: 2, name: "uq_ranking_board_product", statement: schema::product_index },
    Step { id: 3, name: schema::PERIODS, statement: schema::business_periods },
];

/// Nothing kept in the node, so that what is shared is what is read.
const UNKEPT: BoardOptions = BoardOptions { keep: Duration::ZERO, pages_max: 0, products_max: 0 };

/// A product's score, and its rank in the period before.
type Scored = (i64, i64, Option<i64>);

struct Boards {
    database: Database,
    /// Reads the database.
    plain: BoardReader,
    /// Where it is; goes with this.
    _place: Box<dyn Any>,
}

impl Boards {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let options =
            SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("boards.db")) };
        let database = Database::open_sqlite(options).await.unwrap();
        Self::of(database, Box::new(directory)).await
    }

    async fn open_on_mysql() -> Self {
        let scratch = Scratch::empty(ServerKind::MySql).await;
        Self::of(scratch.open().await, Box::new(scratch)).await
    }

    async fn of(database: Database, place: Box<dyn Any>) -> Self {
        commerce_database::migrate(&database, STEPS, 0).await.unwrap();
        let plain = BoardReader::of(database.clone(), UNKEPT);
        Self { database, plain, _place: place }
    }

    fn shared_in(&self, redis: &Redis) -> BoardReader {
        BoardReader::of(self.database.clone(), UNKEPT).shared_in(redis.clone())
    }

    /// Ranks a period as the collector does: all of it at once, best first, equal scores by product.
    async fn rank(&self, period: Period, version: i64, boards: Vec<(Board, Vec<Scored>)>) {
        let name = period.to_string();
        let mut rows = ROWS.rows();
        for (board, mut scored) in boards {
            scored.sort_by_key(|(product, score, _)| (-score, *product));
            for ((product, score, previous), rank) in scored.into_iter().zip(1_i64..) {
                let place = [rank.into(), product.into(), score.into()];
                let board = [(&name).into(), board.name().into()];
                rows.push(board.into_iter().chain(place).chain([previous.into(), version.into()]));
            }
        }
        let mut periods = PERIODS.rows();
        periods.push([(&name).into(), version.into(), version.into()]);
        let written = self.database.write("rank", move |tx| {
            let (rows, periods, name) = (rows.clone(), periods.clone(), name.clone());
            Box::pin(async move {
                for table in [
                    "DELETE FROM ranking_board WHERE period = ?",
                    "DELETE FROM business_periods WHERE period = ?",
                ] {
                    tx.execute_raw(Template::new(table).statement(tx.dialect(), [(&name).into()])).await?;
                }
                if !rows.is_empty() {
                    tx.execute_raw(ROWS.statement(tx.dialect(), &rows)).await?;
                }
                tx.execute_raw(PERIODS.statement(tx.dialect(), &periods)).await?;
                Ok::<_, DatabaseError>(())
            })
        });
        written.await.unwrap();
    }

    /// What is read while the database is not asked for any place; waits until the copies are there.
    async fn out_of_redis<T, F: Future<Output = T>>(&self, mut read: impl FnMut() -> F) -> T {
        let reading = async {
            loop {
                let asked = self.asked();
                let found = read().await;
                if self.asked() == asked {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), reading).await.unwrap()
    }

    fn asked(&self) -> u64 {
        ["board_page", "board_places"].iter().map(|name| self.database.statements().count(name)).sum()
    }

    /// Every page and place of both readers is the same, and comes of Redis on the one side.
    async fn same(&self, shared: &BoardReader, period: Period, products: impl Iterator<Item = i64>) {
        for board in Board::ALL {
            for (offset, limit) in [(0, 10), (0, 1_000), (3, 1), (7, 7), (30, 10)] {
                let expected = self.plain.page(period, board, offset, limit).await.unwrap();
                let found = self
                    .out_of_redis(|| async { shared.page(period, board, offset, limit).await.unwrap() })
                    .await;
                assert_eq!(found, expected, "{board:?} {offset} {limit}");
            }
        }
        for product in products {
            let expected = self.plain.places(period, product).await.unwrap();
            let found = self.out_of_redis(|| async { shared.places(period, product).await.unwrap() }).await;
            assert_eq!(found, expected, "{product}");
        }
    }
}

fn today() -> Period {
    Period::day("2026-11-23".parse().unwrap())
}

fn redis() -> Redis {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("boards-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Redis::open(&RedisOptions { prefix, ..RedisOptions::new(shared(ServerKind::Redis).url()) }).unwrap()
}

async fn own() -> (Server, Redis) {
    let server = Server::own(ServerKind::Redis, Tuning::Fast).await.unwrap();
    let (timeout, open_wait) = (Duration::from_millis(200), Duration::from_millis(50));
    let redis = Redis::open(&RedisOptions { timeout, open_wait, ..RedisOptions::new(server.url()) }).unwrap();
    (server, redis)
}

/// Few scores, so that many are equal; ids of all lengths.
fn scored() -> impl Strategy<Value = Vec<Scored>> {
    let product = prop_oneof![0..12_i64, 95..105_i64, Just(i64::MAX), 1_000_000..1_000_010_i64];
    let score = prop_oneof![1..4_i64, Just(1 << 52)];
    prop::collection::btree_map(product, (score, prop::option::of(1..9_i64)), 0..40).prop_map(|map| {
        map.into_iter().map(|(product, (score, previous))| (product, score, previous)).collect()
    })
}

fn some(count: i64, previous: Option<i64>) -> Vec<(Board, Vec<Scored>)> {
    let scored: Vec<_> = (1..=count).map(|product| (product, product % 5 + 1, previous)).collect();
    Board::ALL.into_iter().map(|board| (board, scored.clone())).collect()
}

#[test]
fn every_page_and_place_is_that_of_the_database() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (boards, redis) = (runtime.block_on(Boards::open()), redis());
    let shared = boards.shared_in(&redis);
    let version = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&prop::array::uniform4(scored()), |ranked| {
            version.set(version.get() + 1);
            let products: Vec<_> =
                ranked.iter().flatten().map(|(product, ..)| *product).chain([55]).collect();
            let ranked = Board::ALL.into_iter().zip(ranked).collect();
            runtime.block_on(async {
                // A period of its own each time: its version need not be waited for.
                let period = (0..version.get()).fold(today(), |period, _| period.next().next());
                boards.rank(period, 1, ranked).await;
                boards.same(&shared, period, products.into_iter()).await;
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_board_of_thousands_is_copied_whole() {
    for boards in [Boards::open().await, Boards::open_on_mysql().await] {
        boards.rank(today(), 1, some(3_500, Some(2))).await;
        let shared = boards.shared_in(&redis());
        boards.same(&shared, today(), [1, 1_000, 3_500, 3_501].into_iter()).await;
    }
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one_and_never_the_other_way_round() {
    let (boards, redis) = (Boards::open().await, redis());
    let shared = boards.shared_in(&redis);
    let total = async || shared.page(today(), Board::View, 0, 10).await.unwrap().total;
    for (version, count) in [(1, 30), (2, 20), (7, 40)] {
        boards.rank(today(), version, some(count, None)).await;
        let seen = async {
            while boards.out_of_redis(|| async { total().await }).await != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), seen).await.unwrap();
        boards.same(&shared, today(), 1..=count).await;
    }
    // Another node that was held up goes by a version that is long gone: it gets, and leaves, the newer board.
    let late = Boards::open().await;
    late.rank(today(), 3, some(5, None)).await;
    let behind = late.shared_in(&redis);
    let page = late.out_of_redis(|| async { behind.page(today(), Board::View, 0, 10).await.unwrap() }).await;
    assert_eq!(page.total, 40);
    boards.same(&shared, today(), 1..=3).await;
}

#[tokio::test]
async fn ranks_of_the_day_before_are_those_of_its_latest_ranking() {
    let (boards, redis) = (Boards::open().await, redis());
    let shared = boards.shared_in(&redis);
    boards.rank(today().previous(), 1, some(5, None)).await;
    boards.rank(today(), 4, some(5, Some(1))).await;
    boards.same(&shared, today(), 1..=5).await;
    // The day before is ranked anew, and with it this one, whose own version stays.
    boards.rank(today().previous(), 2, some(5, None)).await;
    boards.rank(today(), 4, some(5, Some(3))).await;
    let previous = async || {
        let page =
            boards.out_of_redis(|| async { shared.page(today(), Board::All, 0, 1).await.unwrap() }).await;
        page.places[0].previous_rank
    };
    let seen = async {
        while previous().await != Some(3) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), seen).await.unwrap();
    boards.same(&shared, today(), 1..=5).await;
}

#[tokio::test]
async fn boards_of_a_redis_that_was_flushed_or_gone_are_rebuilt_equal_to_the_database() {
    let (mut server, redis) = own().await;
    let boards = Boards::open().await;
    boards.rank(today(), 1, some(50, Some(4))).await;
    let shared = boards.shared_in(&redis);
    boards.same(&shared, today(), 1..=5).await;
    redis.run::<()>("flush", &cmd("FLUSHALL")).await.unwrap();
    boards.same(&shared, today(), 1..=5).await;
    // One key of a board is lost, as when memory runs out.
    for part in ["board", "previous", "about"] {
        let key = redis.key("board", format_args!("{}:VIEW:{part}", today()));
        assert!(redis.run::<bool>("lose", cmd("DEL").arg(&key)).await.unwrap(), "{key}");
        boards.same(&shared, today(), 1..=5).await;
    }
    server.kill().await.unwrap();
    let expected = boards.plain.page(today(), Board::View, 0, 10).await.unwrap();
    for _ in 0..50 {
        assert_eq!(shared.page(today(), Board::View, 0, 10).await.unwrap(), expected);
        assert_eq!(shared.places(today(), 3).await.unwrap(), boards.plain.places(today(), 3).await.unwrap());
    }
    server.restart().await.unwrap();
    boards.same(&shared, today(), 1..=5).await;
}

#[tokio::test]
async fn a_period_that_was_never_ranked_is_empty() {
    let (boards, redis) = (Boards::open().await, redis());
    let shared = boards.shared_in(&redis);
    boards.same(&shared, today(), [1].into_iter()).await;
    assert_eq!(*shared.page(today(), Board::All, 0, 10).await.unwrap(), Page::default());
    boards.rank(today(), 1, some(1, None)).await;
    let first = Place { product: 1, rank: 1, score: 2, previous_rank: None };
    let seen = async {
        while shared.page(today(), Board::All, 0, 10).await.unwrap().places != [first] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), seen).await.unwrap();
}
