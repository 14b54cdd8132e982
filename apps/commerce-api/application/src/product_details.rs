//! A product as its page shows it, through the cache.

use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_domain::ProductId;

use crate::ports::{
    CatalogueStore, LiveProduct, ProductCache, ProductCounts, ProductSource, ProductView, StorageError,
};
use crate::{Rankings, Ranks};

/// A product, and where it stands.
#[derive(Debug, Clone)]
pub struct ProductDetail {
    /// Catalogue fields as they are; stock, likes and views as of the last second.
    pub view: ProductView,
    /// Its places on today's boards, as of the last second.
    pub ranks: Ranks,
}

/// Details of products.
#[derive(Clone)]
pub struct ProductDetails {
    cache: Arc<dyn ProductCache>,
    source: Source,
}

#[derive(Clone)]
struct Source {
    catalogue: Arc<dyn CatalogueStore>,
    rankings: Rankings,
}

impl ProductDetails {
    /// Reads through `cache`.
    pub fn new(cache: Arc<dyn ProductCache>, catalogue: Arc<dyn CatalogueStore>, rankings: Rankings) -> Self {
        Self { cache, source: Source { catalogue, rankings } }
    }

    /// One product.
    pub async fn of(&self, product: ProductId) -> Result<Option<ProductDetail>, StorageError> {
        let Some(facts) = self.cache.facts(product, &self.source).await? else { return Ok(None) };
        let Some(live) = self.cache.live(product, &self.source).await? else { return Ok(None) };
        let LiveProduct { counts: ProductCounts { stock, like_count, view_count }, ranks } = (*live).clone();
        let view = ProductView { stock, like_count, view_count, ..(*facts).clone() };
        Ok(Some(ProductDetail { view, ranks }))
    }

    /// Reads the best of today's ranking into the cache, `limit` products at most; gives back how many.
    pub async fn warm(&self, limit: u64) -> Result<usize, StorageError> {
        let best = self.source.rankings.best_today(limit).await?;
        if best.is_empty() { Ok(0) } else { self.cache.warm(&best, &self.source).await }
    }
}

#[async_trait]
impl ProductSource for Source {
    async fn facts(&self, product: ProductId) -> Result<Option<ProductView>, StorageError> {
        self.catalogue.product(product).await
    }

    async fn facts_of(&self, products: &[ProductId]) -> Result<Vec<ProductView>, StorageError> {
        self.catalogue.products_by_id(products).await
    }

    async fn live(&self, product: ProductId) -> Result<Option<LiveProduct>, StorageError> {
        let Some(counts) = self.catalogue.counts(product).await? else { return Ok(None) };
        let ranks = self.rankings.today_of(product).await;
        Ok(Some(LiveProduct { counts, ranks }))
    }
}
