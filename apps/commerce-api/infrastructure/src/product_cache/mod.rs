//! Products that were read lately, in process.

mod part;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    Clock, LIVE_MAX, LiveProduct, ProductCache, ProductSource, ProductView, StorageError,
};
use commerce_api_domain::ProductId;

use self::part::{Limits, Part};

/// Bounds of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductCacheOptions {
    /// Catalogue fields are read again after so long even if nobody told of a change: another process may have changed
    /// them. More than zero.
    pub facts_max_age: Duration,
    /// Memory for catalogue fields, in bytes.
    pub facts_bytes_max: u64,
    /// Products whose stock and counts are kept.
    pub live_max: u64,
}

impl Default for ProductCacheOptions {
    fn default() -> Self {
        Self { facts_max_age: Duration::from_mins(5), facts_bytes_max: 32 << 20, live_max: 50_000 }
    }
}

/// [`ProductCache`] in the memory of one node. What this node changes is seen at once by its readers; what another one
/// changes, after [`LIVE_MAX`] or [`ProductCacheOptions::facts_max_age`].
pub struct InProcessProductCache {
    clock: Arc<dyn Clock>,
    facts: Part<ProductView>,
    live: Part<LiveProduct>,
}

impl InProcessProductCache {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>, options: ProductCacheOptions) -> Self {
        let facts = Limits { age: options.facts_max_age, weight: options.facts_bytes_max };
        let live = Limits { age: LIVE_MAX, weight: options.live_max };
        Self {
            clock,
            facts: Part::new("product_facts", facts, facts_bytes),
            live: Part::new("product_live", live, |_| 1),
        }
    }
}

/// What an entry of catalogue fields takes, roughly: its texts, the numbers beside them, and the map's own share.
fn facts_bytes(view: &ProductView) -> u32 {
    const BESIDE_TEXTS: usize = 512;
    let texts = [&view.code, &view.name, &view.description, &view.brand_name];
    let bytes = BESIDE_TEXTS + texts.iter().map(|text| text.capacity()).sum::<usize>();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[async_trait]
impl ProductCache for InProcessProductCache {
    async fn facts(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<ProductView>>, StorageError> {
        self.facts.get(product, self.clock.now(), || source.facts(product)).await
    }

    async fn live(
        &self,
        product: ProductId,
        source: &dyn ProductSource,
    ) -> Result<Option<Arc<LiveProduct>>, StorageError> {
        self.live.get(product, self.clock.now(), || source.live(product)).await
    }

    async fn warm(&self, products: &[ProductId], source: &dyn ProductSource) -> Result<usize, StorageError> {
        let now = self.clock.now();
        // Before the read: what changes while it runs is not kept.
        let keys: Vec<_> = products.iter().map(|product| self.facts.key(*product, now)).collect();
        let found = source.facts_of(products).await?;
        let kept = found.len();
        self.facts.count_loads("warmed", kept);
        for view in found {
            if let Some(key) = keys.iter().find(|key| key.product() == view.id) {
                self.facts.keep(*key, view).await;
            }
        }
        Ok(kept)
    }

    async fn product_changed(&self, product: ProductId, _version: i64) {
        self.facts.evict(&[product]);
        self.live.evict(&[product]);
    }

    async fn stock_changed(&self, products: &[ProductId]) {
        self.live.evict(products);
    }
}

/// Describes what the cache measures; called once when metrics are set up.
pub fn describe_cache_metrics() {
    metrics::describe_counter!("commerce_cache_requests_total", "Reads of a cache, by cache and result");
    metrics::describe_counter!(
        "commerce_cache_loads_total",
        "Reads that a cache made of storage, by cache and result"
    );
    metrics::describe_counter!(
        "commerce_cache_evictions_total",
        "Entries that a cache gave up, by cache and cause: changed (products that were told to have changed, whether \
         they were there or not) or size"
    );
}
