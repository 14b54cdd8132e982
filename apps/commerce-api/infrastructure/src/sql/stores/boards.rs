use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_application::ports::{
    BoardPage, BoardPeriod, BoardType, Place, RankingBoards, StorageError,
};
use commerce_api_domain::ProductId;
use commerce_boards::{Board, BoardError, BoardOptions, BoardReader, Period, PeriodKind};
use commerce_database::{ReadOnlyDatabase, SqliteOptions};
use commerce_redis::Redis;

/// Name of the collector's database in a data directory.
pub const BOARDS_FILE: &str = commerce_boards::schema::DATABASE_FILE;

/// [`RankingBoards`] on the collector's published table.
#[derive(Debug, Clone)]
pub struct SqlBoards {
    reader: BoardReader,
}

impl SqlBoards {
    /// Reads the collector's database, which need not be there yet.
    pub fn of_file(file: SqliteOptions) -> Self {
        Self { reader: BoardReader::of_file(file, BoardOptions::default()) }
    }

    /// The same through copies in Redis that nodes share.
    #[must_use]
    pub fn shared_in(self, redis: Redis) -> Self {
        Self { reader: self.reader.shared_in(redis) }
    }

    /// Reads the collector's database on a server, which need not be there yet.
    pub fn of_server(database: ReadOnlyDatabase) -> Self {
        Self { reader: BoardReader::of_server(database, BoardOptions::default()) }
    }
}

#[async_trait]
impl RankingBoards for SqlBoards {
    async fn page(
        &self,
        period: BoardPeriod,
        kind: BoardType,
        day: NaiveDate,
        offset: u64,
        limit: u64,
    ) -> Result<BoardPage, StorageError> {
        let page = self.reader.page(at(period, day), board(kind), offset, limit).await;
        let page = page.map_err(unavailable)?;
        let places = page.places.iter().map(place).collect();
        Ok(BoardPage { places, total: page.total, complete: page.complete })
    }

    async fn places(
        &self,
        period: BoardPeriod,
        day: NaiveDate,
        product: ProductId,
    ) -> Result<Vec<(BoardType, Place)>, StorageError> {
        let places = self.reader.places(at(period, day), product.0).await.map_err(unavailable)?;
        Ok(places.iter().map(|(board, found)| (kind(*board), place(found))).collect())
    }
}

fn at(period: BoardPeriod, day: NaiveDate) -> Period {
    let kind = match period {
        BoardPeriod::Daily => PeriodKind::Daily,
        BoardPeriod::Weekly => PeriodKind::Weekly,
        BoardPeriod::Monthly => PeriodKind::Monthly,
    };
    Period::of(kind, day)
}

fn board(kind: BoardType) -> Board {
    match kind {
        BoardType::All => Board::All,
        BoardType::Like => Board::Like,
        BoardType::View => Board::View,
        BoardType::Order => Board::Order,
    }
}

fn kind(board: Board) -> BoardType {
    match board {
        Board::All => BoardType::All,
        Board::Like => BoardType::Like,
        Board::View => BoardType::View,
        Board::Order => BoardType::Order,
    }
}

fn place(place: &commerce_boards::Place) -> Place {
    Place {
        product: ProductId(place.product),
        rank: place.rank,
        score: place.score,
        previous_rank: place.previous_rank,
    }
}

fn unavailable(error: BoardError) -> StorageError {
    StorageError::Unavailable(error.into())
}
