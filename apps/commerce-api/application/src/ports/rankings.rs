use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_domain::ProductId;

use super::StorageError;

/// Which boards there are of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoardType {
    /// Weighted score.
    All,
    /// Likes.
    Like,
    /// Views.
    View,
    /// Orders.
    Order,
}

/// How long a board's period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoardPeriod {
    /// A business day.
    Daily,
    /// An ISO week.
    Weekly,
    /// A month.
    Monthly,
}

/// A product's place on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The product.
    pub product: ProductId,
    /// 1 for the first.
    pub rank: i64,
    /// In tenths for [`BoardType::All`], a count for the others.
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
pub struct BoardPage {
    /// The places, best first.
    pub places: Vec<Place>,
    /// Products on the board in all.
    pub total: i64,
    /// The period is over and was ranked then.
    pub complete: bool,
}

/// Reads of the published boards; all that the transaction side knows of the analytics side.
#[async_trait]
pub trait RankingBoards: Send + Sync + 'static {
    /// Places `offset + 1` to `offset + limit` of the board of the period that `day` falls in.
    async fn page(
        &self,
        period: BoardPeriod,
        kind: BoardType,
        day: NaiveDate,
        offset: u64,
        limit: u64,
    ) -> Result<BoardPage, StorageError>;

    /// The product's places on the boards of the period that `day` falls in, all four in one read.
    async fn places(
        &self,
        period: BoardPeriod,
        day: NaiveDate,
        product: ProductId,
    ) -> Result<Vec<(BoardType, Place)>, StorageError>;
}
