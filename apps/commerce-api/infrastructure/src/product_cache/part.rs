use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commerce_api_application::ports::StorageError;
use commerce_api_domain::{ProductId, Timestamp};
use moka::future::Cache;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;

/// Under what something is kept. Whoever reads looks under the key of that moment, so what was read before a change, or
/// too long ago, is not found any more, whenever its read ends: a key is made before its read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    product: ProductId,
    /// Changes that were told of, when the key was made.
    generation: u64,
    /// The period of time that the key was made in.
    period: i64,
}

impl Key {
    pub(super) const fn product(self) -> ProductId {
        self.product
    }
}

/// Bounds of a part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Length of the periods: nothing is served that was read longer ago.
    pub(super) age: Duration,
    /// What all entries may weigh.
    pub(super) weight: u64,
}

/// One kind of what is known of products.
pub(super) struct Part<V> {
    name: &'static str,
    entries: Cache<Key, Arc<V>>,
    generations: Box<[AtomicU64]>,
    age_us: i64,
}

/// Why a load leaves nothing behind.
enum NotKept {
    Absent,
    Failed(StorageError),
}

impl<V: Send + Sync + 'static> Part<V> {
    /// Products share generations, so that these take a fixed amount of memory; what a change of one product costs another
    /// one is a read. A power of two.
    const GENERATIONS: usize = 1 << 13;

    pub(super) fn new(name: &'static str, limits: Limits, weigh: fn(&V) -> u32) -> Self {
        let entries = Cache::builder()
            .max_capacity(limits.weight)
            .weigher(move |_, value: &Arc<V>| weigh(value))
            // By age: keys are new with each period, so how often one was asked for says nothing.
            .eviction_policy(EvictionPolicy::lru())
            // Frees what no key leads to any more. It also bounds the age where the clock is set back.
            .time_to_live(limits.age.saturating_mul(2))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    evicted(name, "size", 1);
                }
            })
            .build();
        let age_us = i64::try_from(limits.age.as_micros()).unwrap_or(i64::MAX).max(1);
        let generations = (0..Self::GENERATIONS).map(|_| AtomicU64::new(0)).collect();
        Self { name, entries, generations, age_us }
    }

    fn generation(&self, product: ProductId) -> &AtomicU64 {
        let at = usize::try_from(product.0).unwrap_or_default() & (Self::GENERATIONS - 1);
        &self.generations[at]
    }

    /// The key of this moment.
    pub(super) fn key(&self, product: ProductId, now: Timestamp) -> Key {
        let generation = self.generation(product).load(Ordering::SeqCst);
        // Periods of different products begin at different times, so that not all are read again at once.
        let shift = product.0.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()).rem_euclid(self.age_us);
        let period = now.as_micros().saturating_add(shift).div_euclid(self.age_us);
        Key { product, generation, period }
    }

    /// What is kept, or what `load` reads now; readers of one key share one load. Where its reader goes away, another
    /// one loads.
    pub(super) async fn get<F>(
        &self,
        product: ProductId,
        now: Timestamp,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<V>>, StorageError>
    where
        F: Future<Output = Result<Option<V>, StorageError>>,
    {
        let key = self.key(product, now);
        if let Some(value) = self.entries.get(&key).await {
            self.count("hit");
            return Ok(Some(value));
        }
        self.count("miss");
        let loading = async {
            let loaded = load().await;
            let result = match &loaded {
                Ok(Some(_)) => "found",
                Ok(None) => "absent",
                Err(_) => "failed",
            };
            self.count_loads(result, 1);
            match loaded {
                Ok(Some(value)) => Ok(Arc::new(value)),
                Ok(None) => Err(NotKept::Absent),
                Err(error) => Err(NotKept::Failed(error)),
            }
        };
        match self.entries.try_get_with(key, loading).await {
            Ok(value) => Ok(Some(value)),
            Err(not_kept) => told(&not_kept),
        }
    }

    /// Keeps what was read after `key` was made.
    pub(super) async fn keep(&self, key: Key, value: V) {
        self.entries.insert(key, Arc::new(value)).await;
    }

    /// From now on nothing is served of what was read of these products, or is being read.
    pub(super) fn evict(&self, products: &[ProductId]) {
        for product in products {
            self.generation(*product).fetch_add(1, Ordering::SeqCst);
        }
        evicted(self.name, "changed", products.len());
    }

    pub(super) fn count_loads(&self, result: &'static str, loads: usize) {
        let loads = u64::try_from(loads).unwrap_or(u64::MAX);
        metrics::counter!("commerce_cache_loads_total", "cache" => self.name, "result" => result)
            .increment(loads);
    }

    fn count(&self, result: &'static str) {
        metrics::counter!("commerce_cache_requests_total", "cache" => self.name, "result" => result)
            .increment(1);
    }

    #[cfg(test)]
    pub(super) async fn weight(&self) -> u64 {
        self.entries.run_pending_tasks().await;
        self.entries.weighted_size()
    }
}

fn evicted(cache: &'static str, cause: &'static str, entries: usize) {
    let entries = u64::try_from(entries).unwrap_or(u64::MAX);
    metrics::counter!("commerce_cache_evictions_total", "cache" => cache, "cause" => cause)
        .increment(entries);
}

/// Every reader who shared a load gets an error of the class that it failed with.
fn told<V>(not_kept: &Arc<NotKept>) -> Result<Option<V>, StorageError> {
    let shared = || Box::new(Shared(not_kept.clone()));
    match &**not_kept {
        NotKept::Absent => Ok(None),
        NotKept::Failed(StorageError::Transient(_)) => Err(StorageError::Transient(shared())),
        NotKept::Failed(StorageError::Unavailable(_)) => Err(StorageError::Unavailable(shared())),
        NotKept::Failed(StorageError::Data(_)) => Err(StorageError::Data(shared())),
    }
}

/// The error of a load that several readers shared.
struct Shared(Arc<NotKept>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            NotKept::Absent => f.write_str("nothing was found"),
            NotKept::Failed(error) => write!(f, "a read that others waited for too failed: {error}"),
        }
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            NotKept::Absent => None,
            NotKept::Failed(error) => std::error::Error::source(error),
        }
    }
}
