use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_domain::ProductId;

use super::{ProductCounts, ProductView, StorageError};
use crate::Ranks;

/// What of a product changes with every sale, like, view and ranking.
#[derive(Debug, Clone)]
pub struct LiveProduct {
    /// Stock, likes, views.
    pub counts: ProductCounts,
    /// Its places on today's boards.
    pub ranks: Ranks,
}

/// Where a cache reads what it does not have.
#[async_trait]
pub trait ProductSource: Send + Sync {
    /// A product with its catalogue fields.
    async fn facts(&self, product: ProductId) -> Result<Option<ProductView>, StorageError>;
    /// The same of several, with one statement, without those that do not exist.
    async fn facts_of(&self, products: &[ProductId]) -> Result<Vec<ProductView>, StorageError>;
    /// What changes all the time.
    async fn live(&self, product: ProductId) -> Result<Option<LiveProduct>, StorageError>;
}

/// Products that were read lately, in two parts: catalogue fields, kept until they change, and what changes with every
/// sale, kept for [`LIVE_MAX`].
///
/// Readers of one part that is not there share one read. A read that began before a change was told is never served to
/// a reader who came after that, and neither errors nor products that do not exist are kept.
#[async_trait]
pub trait ProductCache: Send + Sync + 'static {
    /// The catalogue fields of a product. Its stock, likes and views are those of some earlier moment: do not show them.
    async fn facts(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<ProductView>>, StorageError>;

    /// What changes all the time, as it was at most [`LIVE_MAX`] before this was asked.
    async fn live(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<LiveProduct>>, StorageError>;

    /// Reads the catalogue fields of these products at once and keeps them; gives back of how many.
    async fn warm(&self, products: &[ProductId], source: &dyn ProductSource) -> Result<usize, StorageError>;

    /// To be told after the commit of a change of a product's catalogue fields, and wherever that may have committed.
    /// `version` is the one that the change makes: what several nodes share refuses everything below it from then on.
    async fn product_changed(&self, product: ProductId, version: i64);

    /// To be told after a commit that moved the stock of these products.
    async fn stock_changed(&self, products: &[ProductId]);
}

/// How old stock, likes, views and ranks may be when they are shown. It is part of the API's contract; on the node that
/// moved the stock, the stock is never old.
pub const LIVE_MAX: std::time::Duration = std::time::Duration::from_secs(1);
