use std::sync::Arc;
use std::time::Duration;

use commerce_database::{Database, DatabaseError, Dialect, ReadOnlyDatabase, SqliteOptions, Template};
use commerce_redis::Redis;
use moka::future::Cache;
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult};

use crate::source::Source;
use crate::through::Through;
use crate::{Board, Period};

/// A product's place on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The product.
    pub product: i64,
    /// 1 for the first.
    pub rank: i64,
    /// In tenths on [`Board::All`], a count on the others.
    pub score: i64,
    /// Rank in the period before; none where it had none.
    pub previous_rank: Option<i64>,
}

impl Place {
    /// Ranks won since the period before, negative where they were lost; none where it had none.
    pub fn change(&self) -> Option<i64> {
        self.previous_rank.map(|previous| previous - self.rank)
    }
}

/// A page of a board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The places, best first.
    pub places: Vec<Place>,
    /// Products on the board in all.
    pub total: i64,
    /// The period is over, and what it held then is ranked; late events may still change it.
    pub complete: bool,
}

/// The boards cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the boards cannot be read")]
pub struct BoardError(#[source] Arc<DatabaseError>);

/// Limits of the cache.
#[derive(Debug, Clone, Copy)]
pub struct BoardOptions {
    /// How long a page or place is kept, 1 s by default; zero keeps nothing.
    pub keep: Duration,
    /// Pages kept at most, 1,000 by default.
    pub pages_max: u64,
    /// Products whose places are kept at most, 20,000 by default.
    pub products_max: u64,
}

impl Default for BoardOptions {
    fn default() -> Self {
        Self { keep: Duration::from_secs(1), pages_max: 1_000, products_max: 20_000 }
    }
}

type PageKey = (Period, Board, u64, u64);
type ProductKey = (Period, i64);
type Places = Arc<[(Board, Place)]>;

/// Reads boards, through a cache of a moment. Cheap to clone.
#[derive(Clone)]
pub struct BoardReader {
    source: Arc<Source>,
    shared: Option<Through>,
    pages: Cache<PageKey, Arc<Page>>,
    places: Cache<ProductKey, Places>,
}

impl std::fmt::Debug for BoardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardReader").field("source", &self.source).finish_non_exhaustive()
    }
}

impl BoardReader {
    /// Boards in a database of this app.
    pub fn of(database: Database, options: BoardOptions) -> Self {
        Self::new(Source::Own(database), options)
    }

    /// Boards in the file of another app, which is never written to. As long as it does not exist, or has no boards,
    /// every board is empty.
    pub fn of_file(file: SqliteOptions, options: BoardOptions) -> Self {
        Self::new(Source::file(file), options)
    }

    /// Reads a server's database that another process writes; neither need be there yet.
    pub fn of_server(database: ReadOnlyDatabase, options: BoardOptions) -> Self {
        Self::new(Source::server(database), options)
    }

    fn new(source: Source, options: BoardOptions) -> Self {
        let (pages_max, products_max) =
            if options.keep.is_zero() { (0, 0) } else { (options.pages_max, options.products_max) };
        Self {
            source: Arc::new(source),
            shared: None,
            pages: Cache::builder().max_capacity(pages_max).time_to_live(options.keep).build(),
            places: Cache::builder().max_capacity(products_max).time_to_live(options.keep).build(),
        }
    }

    /// The same through copies in Redis that nodes share: of any page and place what the database has. Without Redis it
    /// is the database that is read.
    #[must_use]
    pub fn shared_in(self, redis: Redis) -> Self {
        Self { shared: Some(Through::new(redis, self.source.clone())), ..self }
    }

    /// Places `offset + 1` to `offset + limit` of a board.
    pub async fn page(
        &self,
        period: Period,
        board: Board,
        offset: u64,
        limit: u64,
    ) -> Result<Arc<Page>, BoardError> {
        let load = async {
            if let Some(shared) = &self.shared
                && let Some(page) = shared.page(period, board, offset, limit).await?
            {
                return Ok(Arc::new(page));
            }
            Ok::<_, Arc<DatabaseError>>(Arc::new(self.load_page(period, board, offset, limit).await?))
        };
        let loaded = self.pages.try_get_with((period, board, offset, limit), load).await;
        loaded.map_err(|error| BoardError(Arc::unwrap_or_clone(error)))
    }

    /// A product's places on all boards of a period, without those that it is not on.
    pub async fn places(&self, period: Period, product: i64) -> Result<Places, BoardError> {
        let load = async {
            if let Some(shared) = &self.shared
                && let Some(places) = shared.places(period, product).await?
            {
                return Ok(Places::from(places));
            }
            Ok::<_, Arc<DatabaseError>>(Places::from(self.load_places(period, product).await?))
        };
        let loaded = self.places.try_get_with((period, product), load).await;
        loaded.map_err(|error| BoardError(Arc::unwrap_or_clone(error)))
    }

    async fn load_page(
        &self,
        period: Period,
        board: Board,
        offset: u64,
        limit: u64,
    ) -> Result<Page, DatabaseError> {
        let Some(reader) = self.source.reader("board_page").await? else { return Ok(Page::default()) };
        let period = period.to_string();
        let first = i64::try_from(offset).unwrap_or(i64::MAX);
        let last = first.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        let key = [period.clone().into(), period.clone().into(), board.name().into()];
        let head = Template::new(HEAD).statement(Dialect::Sqlite, key);
        let (total, complete) = match reader.query_one_raw(head).await? {
            Some(row) => {
                let number =
                    |index| row.try_get_by_index::<Option<i64>>(index).map(Option::unwrap_or_default);
                (number(0)?, number(1)? != 0)
            }
            None => (0, false),
        };
        if total <= first {
            return Ok(Page { places: Vec::new(), total, complete });
        }
        let values = [period.into(), board.name().into(), first.into(), last.into()];
        let rows = reader.query_all_raw(Template::new(PAGE).statement(Dialect::Sqlite, values)).await?;
        let places = rows.iter().map(|row| place(row, 0)).collect::<Result<_, _>>()?;
        Ok(Page { places, total, complete })
    }

    async fn load_places(&self, period: Period, product: i64) -> Result<Vec<(Board, Place)>, DatabaseError> {
        let Some(reader) = self.source.reader("board_places").await? else { return Ok(Vec::new()) };
        let places = Template::new(PLACES).names("types", Board::ALL.map(Board::name));
        let statement = places.statement(Dialect::Sqlite, [period.to_string().into(), product.into()]);
        let rows = reader.query_all_raw(statement).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            // A newer version may publish more boards than this one knows.
            if let Some(board) = Board::parse(&row.try_get_by_index::<String>(0)?) {
                found.push((board, place(row, 1)?));
            }
        }
        found.sort_unstable_by_key(|(board, _)| *board);
        Ok(found)
    }
}

const HEAD: &str = "SELECT MAX(`rank`), (SELECT complete FROM business_periods WHERE period = ?) \
     FROM ranking_board WHERE period = ? AND `type` = ?";

const PAGE: &str = "SELECT product_id, `rank`, score, previous_rank FROM ranking_board \
     WHERE period = ? AND `type` = ? AND `rank` > ? AND `rank` <= ? ORDER BY `rank`";

const PLACES: &str = "SELECT `type`, product_id, `rank`, score, previous_rank FROM ranking_board \
     WHERE period = ? AND `type` IN ({types}) AND product_id = ?";

pub(crate) fn place(row: &QueryResult, first: usize) -> Result<Place, DbErr> {
    Ok(Place {
        product: row.try_get_by_index(first)?,
        rank: row.try_get_by_index(first + 1)?,
        score: row.try_get_by_index(first + 2)?,
        previous_rank: row.try_get_by_index(first + 3)?,
    })
}

#[cfg(test)]
mod tests {
    use commerce_database::{Column, Insert, Step};
    use sea_orm::Statement;
    use tempfile::TempDir;

    use super::*;
    use crate::{PeriodKind, schema};

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

    const STEPS: &[Step] = &[
        Step { id: 1, name: "ranking_board", statement: schema::ranking_board },
        Step { id: 2, name: "uq_ranking_board_product", statement: schema::product_index },
        Step { id: 3, name: schema::PERIODS, statement: schema::business_periods },
    ];

    /// Nothing kept, so that what was written is what is read.
    const UNKEPT: BoardOptions = BoardOptions { keep: Duration::ZERO, pages_max: 0, products_max: 0 };

    fn options(directory: &TempDir) -> SqliteOptions {
        SqliteOptions { durable: false, ..SqliteOptions::new(directory.path().join("boards.db")) }
    }

    fn today() -> Period {
        Period::day("2026-11-23".parse().unwrap())
    }

    async fn ranked(directory: &TempDir) -> Database {
        let database = Database::open_sqlite(options(directory)).await.unwrap();
        commerce_database::migrate(&database, STEPS, 0).await.unwrap();
        database
            .write::<_, DatabaseError, _>("rank", |tx| {
                Box::pin(async move {
                    let period = today().to_string();
                    let mut rows = ROWS.rows();
                    for rank in 1..=25_i64 {
                        let previous = (rank == 2).then_some(7_i64);
                        let board = [(&period).into(), "VIEW".into()];
                        let place = [rank.into(), (100 + rank).into(), (50 - rank).into()];
                        rows.push(board.into_iter().chain(place).chain([previous.into(), 1_i64.into()]));
                    }
                    rows.push(
                        [(&period).into(), "ALL".into()]
                            .into_iter()
                            .chain([1_i64, 102, 9].map(Into::into))
                            .chain([None::<i64>.into(), 1_i64.into()]),
                    );
                    tx.execute_raw(ROWS.statement(tx.dialect(), &rows)).await?;
                    Ok(())
                })
            })
            .await
            .unwrap();
        database
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_yet_has_empty_boards_and_is_read_once_it_is() {
        let directory = TempDir::new().unwrap();
        let reader = BoardReader::of_file(options(&directory), UNKEPT);
        assert_eq!(*reader.page(today(), Board::View, 0, 10).await.unwrap(), Page::default());
        let empty = Database::open_sqlite(options(&directory)).await.unwrap();
        assert!(reader.places(today(), 102).await.unwrap().is_empty(), "no table yet");
        empty.close().await;
        let database = ranked(&directory).await;
        assert_eq!(reader.page(today(), Board::View, 0, 10).await.unwrap().total, 25);
        database.close().await;
    }

    #[tokio::test]
    async fn pages_go_by_rank_and_know_how_many_there_are() {
        let directory = TempDir::new().unwrap();
        let database = ranked(&directory).await;
        for reader in [
            BoardReader::of(database.clone(), UNKEPT),
            BoardReader::of_file(options(&directory), BoardOptions::default()),
        ] {
            let page = reader.page(today(), Board::View, 20, 10).await.unwrap();
            let ranks: Vec<_> = page.places.iter().map(|place| (place.rank, place.product)).collect();
            assert_eq!(ranks, [(21, 121), (22, 122), (23, 123), (24, 124), (25, 125)]);
            assert_eq!(page.total, 25);
            let beyond = reader.page(today(), Board::View, u64::MAX, u64::MAX).await.unwrap();
            assert_eq!(*beyond, Page { places: Vec::new(), total: 25, complete: false });
            let month = Period::of(PeriodKind::Monthly, today().first());
            assert_eq!(*reader.page(month, Board::View, 0, 10).await.unwrap(), Page::default());
            let places = reader.places(today(), 102).await.unwrap();
            let found: Vec<_> = places.iter().map(|(board, place)| (*board, place.rank)).collect();
            assert_eq!(found, [(Board::All, 1), (Board::View, 2)]);
            assert_eq!(places[1].1.previous_rank, Some(7));
            assert!(reader.places(today(), 99).await.unwrap().is_empty());
        }
        database.close().await;
    }

    #[tokio::test]
    async fn a_page_is_kept_for_a_moment() {
        let directory = TempDir::new().unwrap();
        let database = ranked(&directory).await;
        let keep = BoardOptions { keep: Duration::from_hours(1), ..BoardOptions::default() };
        let reader = BoardReader::of(database.clone(), keep);
        for _ in 0..5 {
            reader.page(today(), Board::View, 0, 10).await.unwrap();
            reader.places(today(), 102).await.unwrap();
        }
        assert_eq!(database.statements().count("board_page"), 2);
        assert_eq!(database.statements().count("board_places"), 1);
        database.close().await;
    }

    #[tokio::test]
    async fn no_read_walks_a_board() {
        let directory = TempDir::new().unwrap();
        let database = ranked(&directory).await;
        let places = Template::new(PLACES).names("types", Board::ALL.map(Board::name)).text();
        for (sql, values) in [(HEAD, 3), (PAGE, 4), (&places, 2)] {
            let explained = ["EXPLAIN QUERY PLAN", sql].join(" ");
            let values = vec![sea_orm::Value::from(1_i64); values];
            let explained = Statement::from_sql_and_values(Dialect::Sqlite.backend(), explained, values);
            let rows = database.reader().query_all_raw(explained).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("SEARCH") && !plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
        }
        database.close().await;
    }
}
