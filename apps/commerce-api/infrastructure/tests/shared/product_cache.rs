//! The contract of the cache of products, for each of its kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use commerce_api_application::Ranks;
use commerce_api_application::ports::{
    LiveProduct, ProductCache, ProductCounts, ProductSource, ProductView, StorageError,
};
use commerce_api_domain::{BrandId, Money, ProductId, ProductStatus};
use commerce_api_infrastructure::product_cache::{InProcessProductCache, ProductCacheOptions};
use commerce_api_infrastructure::redis::SharedProductCache;
use commerce_api_infrastructure::runtime::{ManualClock, RandomIds};
use commerce_redis::Redis;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::support::{NOW, redis, until};

pub const PRODUCT: ProductId = ProductId(7);

/// A database with one version of every product up to a bound. A read takes what there is, then waits for a permit.
pub struct Held {
    version: AtomicUsize,
    reads: AtomicUsize,
    pub answer: Semaphore,
    refuses: std::sync::atomic::AtomicBool,
}

impl Held {
    pub fn new(answers: usize) -> Arc<Self> {
        Arc::new(Self {
            version: AtomicUsize::new(1),
            reads: AtomicUsize::new(0),
            answer: Semaphore::new(answers),
            refuses: false.into(),
        })
    }

    pub fn open() -> Arc<Self> {
        Self::new(Semaphore::MAX_PERMITS)
    }

    pub fn commit(&self, version: usize) {
        self.version.store(version, Ordering::SeqCst);
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    async fn read(&self) -> Result<i64, StorageError> {
        let version = self.version.load(Ordering::SeqCst);
        let refuses = self.refuses.load(Ordering::SeqCst);
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.answer.acquire().await.unwrap().forget();
        if refuses {
            return Err(StorageError::Unavailable("away".into()));
        }
        Ok(i64::try_from(version).unwrap())
    }
}

fn view(id: ProductId, version: i64) -> ProductView {
    ProductView {
        id,
        code: format!("P-{id}"),
        name: "Tea".to_owned(),
        description: String::new(),
        brand: BrandId(1),
        brand_name: "Boseong".to_owned(),
        price: Money::new(1_000).unwrap(),
        stock: 0,
        like_count: 0,
        view_count: 0,
        status: ProductStatus::OnSale,
        purchase_limit: None,
        version,
        created_at: NOW,
        updated_at: NOW,
    }
}

#[async_trait]
impl ProductSource for Held {
    async fn facts(&self, product: ProductId) -> Result<Option<ProductView>, StorageError> {
        let version = self.read().await?;
        Ok((product.0 <= 1_000).then(|| view(product, version)))
    }

    async fn facts_of(&self, products: &[ProductId]) -> Result<Vec<ProductView>, StorageError> {
        let version = self.read().await?;
        Ok(products
            .iter()
            .filter(|product| product.0 <= 1_000)
            .map(|product| view(*product, version))
            .collect())
    }

    async fn live(&self, product: ProductId) -> Result<Option<LiveProduct>, StorageError> {
        let stock = self.read().await?;
        let counts = ProductCounts { stock, like_count: 0, view_count: 0 };
        let ranks = Ranks { day: chrono::NaiveDate::default(), places: Vec::new() };
        Ok((product.0 <= 1_000).then_some(LiveProduct { counts, ranks }))
    }
}

pub type Cache = Arc<dyn ProductCache>;

pub fn in_process(clock: &Arc<ManualClock>) -> Cache {
    Arc::new(InProcessProductCache::new(clock.clone(), ProductCacheOptions::default()))
}

pub fn on(redis: &Redis, clock: &Arc<ManualClock>) -> Cache {
    let ids = Arc::new(RandomIds::new(clock.clone()));
    Arc::new(SharedProductCache::new(redis.clone(), clock.clone(), ids))
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW))
}

/// A new one of each kind.
fn kinds() -> [(&'static str, Cache); 2] {
    [("in process", in_process(&clock())), ("redis", on(&redis(), &clock()))]
}

pub async fn version(cache: &Cache, source: &Held) -> i64 {
    cache.facts(PRODUCT, source).await.unwrap().unwrap().version
}

async fn stock(cache: &Cache, source: &Held) -> i64 {
    cache.live(PRODUCT, source).await.unwrap().unwrap().counts.stock
}

/// A reader of its own task.
pub fn reader(cache: &Cache, source: &Arc<Held>) -> JoinHandle<i64> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { version(&cache, &source).await })
}

#[tokio::test]
async fn many_readers_at_once_are_one_load() {
    for (kind, cache) in kinds() {
        let source = Held::new(0);
        let readers: Vec<_> = (0..500).map(|_| reader(&cache, &source)).collect();
        until("a load", async || source.reads() > 0).await;
        source.answer.add_permits(1);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 1, "{kind}");
        }
        assert_eq!((version(&cache, &source).await, source.reads()), (1, 1), "{kind}: kept");
    }
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_served_after_it() {
    for (kind, cache) in kinds() {
        for late_first in [true, false] {
            let source = Held::new(0);
            source.commit(if late_first { 1 } else { 3 });
            let newer = if late_first { 2 } else { 4 };
            cache.product_changed(PRODUCT, newer - 1).await;
            let early = reader(&cache, &source);
            until("the early load", async || source.reads() == 1).await;
            source.commit(usize::try_from(newer).unwrap());
            cache.product_changed(PRODUCT, newer).await;
            if late_first {
                let late = reader(&cache, &source);
                until("the late load", async || source.reads() == 2).await;
                source.answer.add_permits(2);
                assert_eq!(late.await.unwrap(), newer, "{kind}");
            }
            source.answer.add_permits(2);
            early.await.unwrap();
            assert_eq!(version(&cache, &source).await, newer, "{kind}");
        }
    }
}

#[tokio::test]
async fn warming_puts_nothing_old_back() {
    for (kind, cache) in kinds() {
        let source = Held::new(0);
        let warming = {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(
                async move { cache.warm(&[PRODUCT, ProductId(8), ProductId(2_000)], &*source).await },
            )
        };
        until("the load", async || source.reads() == 1).await;
        source.commit(2);
        cache.product_changed(PRODUCT, 2).await;
        source.answer.add_permits(1);
        assert_eq!(warming.await.unwrap().unwrap(), 2, "{kind}");
        let other = cache.facts(ProductId(8), &*source).await.unwrap().unwrap();
        assert_eq!((other.version, source.reads()), (1, 1), "{kind}: warm");
        source.answer.add_permits(1);
        assert_eq!(version(&cache, &source).await, 2, "{kind}");
    }
}

#[tokio::test]
async fn errors_and_what_does_not_exist_are_not_kept() {
    for (kind, cache) in kinds() {
        let source = Held::open();
        source.refuses.store(true, Ordering::SeqCst);
        let refused = cache.facts(PRODUCT, &*source).await;
        assert!(matches!(refused, Err(StorageError::Unavailable(_))), "{kind}");
        source.refuses.store(false, Ordering::SeqCst);
        assert_eq!((version(&cache, &source).await, source.reads()), (1, 2), "{kind}");
        for reads in 3..=4 {
            assert!(cache.facts(ProductId(2_000), &*source).await.unwrap().is_none());
            assert_eq!(source.reads(), reads, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_change_of_the_catalogue_evicts_both_parts_and_a_sale_the_stock_only() {
    for (kind, cache) in kinds() {
        let source = Held::open();
        assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (1, 1), "{kind}");
        source.commit(2);
        cache.stock_changed(&[PRODUCT]).await;
        assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (1, 2), "{kind}");
        source.commit(3);
        cache.product_changed(PRODUCT, 3).await;
        assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (3, 3), "{kind}");
    }
}
