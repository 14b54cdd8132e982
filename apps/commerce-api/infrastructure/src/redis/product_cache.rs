use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    Clock, IdSource, LiveProduct, ProductCache, ProductSource, ProductView, StorageError,
};
use commerce_api_domain::ProductId;
use commerce_redis::Redis;

use super::shelf::{Found, Shelf};
use crate::product_cache::{InProcessProductCache, ProductCacheOptions};

/// [`ProductCache`] of two levels: the node's own in front, and catalogue fields that all nodes share behind it. What
/// another node changed is seen after [`SharedProductCache::NEAR_MAX`]; what this one changed, at once.
///
/// What changes with every sale is not shared: it is kept for a second at most, and a second level would add its own.
pub struct SharedProductCache {
    near: InProcessProductCache,
    shelf: Arc<Shelf>,
}

impl SharedProductCache {
    /// How long a node goes by what it read of the shared level.
    pub const NEAR_MAX: Duration = Duration::from_secs(1);

    /// An empty one in front of what `redis` holds.
    pub fn new(redis: Redis, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let options = ProductCacheOptions { facts_max_age: Self::NEAR_MAX, ..ProductCacheOptions::default() };
        Self { near: InProcessProductCache::new(clock, options), shelf: Arc::new(Shelf::new(redis, ids)) }
    }

    fn through<'a>(&'a self, source: &'a dyn ProductSource) -> Through<'a> {
        Through { shelf: &self.shelf, source }
    }
}

#[async_trait]
impl ProductCache for SharedProductCache {
    async fn facts(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<ProductView>>, StorageError> {
        self.near.facts(product, &self.through(source)).await
    }

    async fn live(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<LiveProduct>>, StorageError> {
        self.near.live(product, source).await
    }

    async fn warm(&self, products: &[ProductId], source: &dyn ProductSource) -> Result<usize, StorageError> {
        self.near.warm(products, &self.through(source)).await
    }

    async fn product_changed(&self, product: ProductId, version: i64) {
        // The other way round a reader in between would bring the old value back to this node.
        self.shelf.bury(product, version).await;
        self.near.product_changed(product, version).await;
    }

    async fn stock_changed(&self, products: &[ProductId]) {
        self.near.stock_changed(products).await;
    }
}

/// The shared level in front of the database.
struct Through<'a> {
    shelf: &'a Shelf,
    source: &'a dyn ProductSource,
}

#[async_trait]
impl ProductSource for Through<'_> {
    async fn facts(&self, product: ProductId) -> Result<Option<ProductView>, StorageError> {
        let ticket = match self.shelf.look(&[product]).await.and_then(|mut found| found.pop()) {
            Some(Found::Product(view)) => return Ok(Some(*view)),
            Some(Found::Nothing(ticket)) => Some(ticket),
            None => None,
        };
        let read = self.source.facts(product).await?;
        if let (Some(view), Some(ticket)) = (&read, &ticket) {
            self.shelf.bring(&[(view, ticket)]).await;
        }
        Ok(read)
    }

    async fn facts_of(&self, products: &[ProductId]) -> Result<Vec<ProductView>, StorageError> {
        let Some(looked) = self.shelf.look(products).await else {
            return self.source.facts_of(products).await;
        };
        let (mut views, mut missing, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
        for (product, found) in products.iter().zip(looked) {
            match found {
                Found::Product(view) => views.push(*view),
                Found::Nothing(ticket) => {
                    missing.push(*product);
                    tickets.push(ticket);
                }
            }
        }
        if missing.is_empty() {
            return Ok(views);
        }
        let read = self.source.facts_of(&missing).await?;
        let ticket = |view: &ProductView| missing.iter().position(|product| *product == view.id);
        let brought: Vec<_> =
            read.iter().filter_map(|view| Some((view, tickets[ticket(view)?].as_str()))).collect();
        self.shelf.bring(&brought).await;
        views.extend(read);
        Ok(views)
    }

    async fn live(&self, product: ProductId) -> Result<Option<LiveProduct>, StorageError> {
        self.source.live(product).await
    }
}
