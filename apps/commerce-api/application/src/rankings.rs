//! Rankings of products, as the analytics side publishes them.

use std::sync::Arc;

use chrono::NaiveDate;
use commerce_api_domain::ProductId;

use crate::ports::{
    BoardPeriod, BoardType, CatalogueStore, Clock, Place, ProductView, RankingBoards, StorageError,
};

/// A product on a board.
#[derive(Debug, Clone)]
pub struct RankedProduct {
    /// Its place.
    pub place: Place,
    /// The product as it is in the catalogue now.
    pub product: ProductView,
}

/// A page of a board.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The day that was asked for.
    pub day: NaiveDate,
    /// Products on the board in all.
    pub total: i64,
    /// The period is over and was ranked then.
    pub complete: bool,
    /// Best first; a product that is no more in the catalogue is left out and leaves its rank free.
    pub products: Vec<RankedProduct>,
}

/// A product's places on the boards of a period.
#[derive(Debug, Clone)]
pub struct Ranks {
    /// The day that was asked for.
    pub day: NaiveDate,
    /// Without the boards that it is not on.
    pub places: Vec<(BoardType, Place)>,
}

/// Rankings. They belong to another app, which may not be there: then every board is empty.
#[derive(Clone)]
pub struct Rankings {
    boards: Option<Arc<dyn RankingBoards>>,
    catalogue: Arc<dyn CatalogueStore>,
    clock: Arc<dyn Clock>,
}

impl Rankings {
    /// With these adapters; without `boards` every board is empty.
    pub fn new(
        boards: Option<Arc<dyn RankingBoards>>,
        catalogue: Arc<dyn CatalogueStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { boards, catalogue, clock }
    }

    /// A page of the board of the period that `day` falls in, or today; `page` counts from 1.
    pub async fn page(
        &self,
        (period, kind): (BoardPeriod, BoardType),
        day: Option<NaiveDate>,
        page: u32,
        size: u32,
    ) -> Result<Ranking, StorageError> {
        let day = day.unwrap_or_else(|| self.today());
        let Some(boards) = &self.boards else {
            return Ok(Ranking { day, total: 0, complete: false, products: Vec::new() });
        };
        let offset = u64::from(page.saturating_sub(1)) * u64::from(size);
        let found = boards.page(period, kind, day, offset, size.into()).await?;
        let ids: Vec<_> = found.places.iter().map(|place| place.product).collect();
        let mut views = if ids.is_empty() { Vec::new() } else { self.catalogue.products_by_id(&ids).await? };
        let products = found.places.into_iter().filter_map(|place| {
            let at = views.iter().position(|view| view.id == place.product)?;
            Some(RankedProduct { place, product: views.swap_remove(at) })
        });
        let products = products.collect();
        Ok(Ranking { day, total: found.total, complete: found.complete, products })
    }

    /// A product's places on the boards of the period that `day` falls in, or today; none where there is no such
    /// product.
    pub async fn of_product(
        &self,
        period: BoardPeriod,
        day: Option<NaiveDate>,
        product: ProductId,
    ) -> Result<Option<Ranks>, StorageError> {
        if self.catalogue.product(product).await?.is_none() {
            return Ok(None);
        }
        let day = day.unwrap_or_else(|| self.today());
        let places = match &self.boards {
            Some(boards) => boards.places(period, day, product).await?,
            None => Vec::new(),
        };
        Ok(Some(Ranks { day, places }))
    }

    /// A product's places on today's boards. A product can be shown without them, so this does not fail.
    pub async fn today_of(&self, product: ProductId) -> Ranks {
        let day = self.today();
        let places = match &self.boards {
            Some(boards) => boards.places(BoardPeriod::Daily, day, product).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a product is shown without its ranks");
                Vec::new()
            }),
            None => Vec::new(),
        };
        Ranks { day, places }
    }

    /// The best products of today's board of everything, at most so many.
    pub async fn best_today(&self, limit: u64) -> Result<Vec<ProductId>, StorageError> {
        let Some(boards) = &self.boards else { return Ok(Vec::new()) };
        let page = boards.page(BoardPeriod::Daily, BoardType::All, self.today(), 0, limit).await?;
        Ok(page.places.iter().map(|place| place.product).collect())
    }

    fn today(&self) -> NaiveDate {
        self.clock.business_day(self.clock.now())
    }
}
