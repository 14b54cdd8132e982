//! Boards through the copy of them that nodes share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commerce_database::{DatabaseError, Dialect, Template};
use commerce_redis::Redis;
use moka::future::Cache;
use sea_orm::ConnectionTrait as _;

use crate::reader::place;
use crate::shared::SharedBoards;
use crate::source::Source;
use crate::{Board, Page, Period, Place};

/// How long a period's version is gone by: so much later than in the database a change is seen.
const VERSION_KEPT: Duration = Duration::from_millis(250);
/// Periods whose versions are kept.
const PERIODS_MAX: u64 = 1_000;
/// Boards that are longer stay in the database.
const BOARD_MAX: usize = 200_000;

/// Ranks of the period before stand on a board, so it is as old as both are.
const VERSIONS: &str = "SELECT period, applied, complete FROM business_periods WHERE period IN (?, ?)";

const BOARD: &str = "SELECT product_id, `rank`, score, previous_rank FROM ranking_board \
     WHERE period = ? AND `type` = ? ORDER BY `rank` LIMIT {max}";

/// How a period stands in the database.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    version: i64,
    complete: bool,
}

/// The shared copy in front of the database.
#[derive(Clone)]
pub struct Through {
    boards: SharedBoards,
    source: Arc<Source>,
    heads: Cache<Period, Head>,
    filling: Arc<Mutex<HashSet<(Period, Board)>>>,
}

impl Through {
    pub fn new(redis: Redis, source: Arc<Source>) -> Self {
        let heads = Cache::builder().max_capacity(PERIODS_MAX).time_to_live(VERSION_KEPT).build();
        Self { boards: SharedBoards::new(redis), source, heads, filling: Arc::default() }
    }

    /// A page of the shared copy, where that is as new as the database; otherwise none, and the copy is made anew
    /// meanwhile.
    pub async fn page(
        &self,
        period: Period,
        board: Board,
        offset: u64,
        limit: u64,
    ) -> Result<Option<Page>, Arc<DatabaseError>> {
        let Head { version, complete } = self.head(period).await?;
        let found = self.boards.page((period, board), version, offset, limit).await;
        count(found.is_some());
        if found.is_none() {
            self.fill(period, board, version);
        }
        Ok(found.map(|(places, total)| Page { places, total, complete }))
    }

    /// A product's places, likewise.
    pub async fn places(
        &self,
        period: Period,
        product: i64,
    ) -> Result<Option<Vec<(Board, Place)>>, Arc<DatabaseError>> {
        let Head { version, .. } = self.head(period).await?;
        let found = self.boards.places(period, product, version).await;
        count(found.is_some());
        if found.is_none() {
            for board in Board::ALL {
                self.fill(period, board, version);
            }
        }
        Ok(found)
    }

    async fn head(&self, period: Period) -> Result<Head, Arc<DatabaseError>> {
        self.heads.try_get_with(period, self.read_head(period)).await
    }

    async fn read_head(&self, period: Period) -> Result<Head, DatabaseError> {
        let Some(reader) = self.source.reader("board_version").await? else { return Ok(Head::default()) };
        let names = [period, period.previous()].map(|period| period.to_string());
        let statement =
            Template::new(VERSIONS).statement(Dialect::Sqlite, names.clone().map(sea_orm::Value::from));
        let mut head = Head::default();
        for row in reader.query_all_raw(statement).await? {
            head.version += row.try_get_by_index::<i64>(1)?;
            if row.try_get_by_index::<String>(0)? == names[0] {
                head.complete = row.try_get_by_index(2)?;
            }
        }
        Ok(head)
    }

    /// Copies a board in a task of its own, unless this node is about it already. A failure leaves it to the next reader.
    fn fill(&self, period: Period, board: Board, version: i64) {
        if !self.filling().insert((period, board)) {
            return;
        }
        let through = self.clone();
        tokio::spawn(async move {
            if let Err(error) = through.copy(period, board, version).await {
                tracing::warn!(%period, board = board.name(), %error, "a board was not copied");
            }
            through.filling().remove(&(period, board));
        });
    }

    /// The version was read before the places: they are as new, or newer.
    async fn copy(&self, period: Period, board: Board, version: i64) -> Result<(), DatabaseError> {
        if !matches!(self.boards.has(period, board, version).await, Ok(false)) {
            return Ok(());
        }
        let Some(reader) = self.source.reader("board_copy").await? else { return Ok(()) };
        let max = i64::try_from(BOARD_MAX + 1).unwrap_or(i64::MAX);
        let values = [period.to_string().into(), board.name().into()];
        let statement = Template::new(BOARD).number("max", max).statement(Dialect::Sqlite, values);
        let rows = reader.query_all_raw(statement).await?;
        if rows.len() <= BOARD_MAX {
            let places: Vec<_> = rows.iter().map(|row| place(row, 0)).collect::<Result<_, _>>()?;
            // Whoever does not answer is told of by its breaker.
            let _ = self.boards.set(period, board, version, &places).await;
        }
        Ok(())
    }

    fn filling(&self) -> MutexGuard<'_, HashSet<(Period, Board)>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(hit: bool) {
    let result = if hit { "hit" } else { "miss" };
    metrics::counter!("commerce_cache_requests_total", "cache" => "boards_shared", "result" => result)
        .increment(1);
}
