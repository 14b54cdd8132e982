use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use commerce_api_application::Ranks;
use commerce_api_application::ports::ProductCounts;
use commerce_api_domain::{BrandId, Money, ProductStatus, Timestamp};
use futures::poll;
use tokio::sync::Semaphore;

use super::*;
use crate::runtime::ManualClock;

const PRODUCT: ProductId = ProductId(7);
const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A storage with one version of every product up to a bound. A read takes what there is, then waits for a permit.
struct Held {
    version: AtomicUsize,
    reads: AtomicUsize,
    answer: Semaphore,
    refuse: Mutex<Option<&'static str>>,
    products: i64,
}

impl Held {
    fn new(answers: usize) -> Self {
        Self {
            version: AtomicUsize::new(1),
            reads: AtomicUsize::new(0),
            answer: Semaphore::new(answers),
            refuse: Mutex::new(None),
            products: 1_000_000,
        }
    }

    fn open() -> Self {
        Self::new(Semaphore::MAX_PERMITS)
    }

    fn commit(&self, version: usize) {
        self.version.store(version, Ordering::SeqCst);
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    async fn read(&self) -> Result<i64, StorageError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        let refuse = *self.refuse.lock().unwrap();
        self.answer.acquire().await.unwrap().forget();
        match refuse {
            Some(why) => Err(StorageError::Unavailable(why.into())),
            None => Ok(i64::try_from(version).unwrap()),
        }
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
        created_at: START,
        updated_at: START,
    }
}

#[async_trait]
impl ProductSource for Held {
    async fn facts(&self, product: ProductId) -> Result<Option<ProductView>, StorageError> {
        let version = self.read().await?;
        Ok((product.0 <= self.products).then(|| view(product, version)))
    }

    async fn facts_of(&self, products: &[ProductId]) -> Result<Vec<ProductView>, StorageError> {
        let version = self.read().await?;
        Ok(products.iter().map(|product| view(*product, version)).collect())
    }

    async fn live(&self, product: ProductId) -> Result<Option<LiveProduct>, StorageError> {
        let stock = self.read().await?;
        let counts = ProductCounts { stock, like_count: 0, view_count: 0 };
        let ranks = Ranks { day: chrono::NaiveDate::default(), places: Vec::new() };
        Ok((product.0 <= self.products).then_some(LiveProduct { counts, ranks }))
    }
}

fn cache_at(clock: &Arc<ManualClock>) -> InProcessProductCache {
    InProcessProductCache::new(clock.clone(), ProductCacheOptions::default())
}

fn cache() -> InProcessProductCache {
    cache_at(&Arc::new(ManualClock::new(START)))
}

/// What all of them come to. A reader who hangs fails the test.
async fn all<F: Future>(readers: Vec<F>) -> Vec<F::Output> {
    let all = futures::future::join_all(readers);
    tokio::time::timeout(Duration::from_mins(1), all).await.unwrap()
}

async fn version(cache: &InProcessProductCache, source: &Held) -> i64 {
    cache.facts(PRODUCT, source).await.unwrap().unwrap().version
}

async fn stock(cache: &InProcessProductCache, source: &Held) -> i64 {
    cache.live(PRODUCT, source).await.unwrap().unwrap().counts.stock
}

#[tokio::test]
async fn a_thousand_readers_at_once_are_one_load() {
    let (cache, source) = (cache(), Held::new(0));
    for round in 1..=2 {
        let mut readers: Vec<_> = (0..1_000).map(|_| Box::pin(cache.live(PRODUCT, &source))).collect();
        for reader in &mut readers {
            assert!(poll!(reader).is_pending());
        }
        assert_eq!(source.reads(), round);
        source.answer.add_permits(1);
        for found in all(readers).await {
            assert_eq!(found.unwrap().unwrap().counts.stock, 1);
        }
        assert_eq!((stock(&cache, &source).await, source.reads()), (1, round), "kept");
        cache.stock_changed(&[PRODUCT]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_many_threads_are_one_load() {
    let (cache, source) = (Arc::new(cache()), Arc::new(Held::new(0)));
    let reader = |(cache, source): (Arc<InProcessProductCache>, Arc<Held>)| async move {
        cache.facts(PRODUCT, &*source).await.unwrap().unwrap().version
    };
    let readers: Vec<_> = (0..1_000).map(|_| tokio::spawn(reader((cache.clone(), source.clone())))).collect();
    while source.reads() == 0 {
        tokio::task::yield_now().await;
    }
    source.answer.add_permits(1);
    for read in all(readers).await {
        assert_eq!(read.unwrap(), 1);
    }
    assert_eq!(source.reads(), 1);
}

#[tokio::test]
async fn a_load_that_began_before_the_commit_does_not_put_the_old_value_back() {
    let (cache, source) = (cache(), Held::new(0));
    let mut early = Box::pin(cache.facts(PRODUCT, &source));
    assert!(poll!(&mut early).is_pending(), "it has read version 1");
    source.commit(2);
    cache.product_changed(PRODUCT, 2).await;
    // Whoever comes now must not join the read that is under way.
    let mut late = Box::pin(cache.facts(PRODUCT, &source));
    assert!(poll!(&mut late).is_pending());
    assert_eq!(source.reads(), 2);
    source.answer.add_permits(2);
    assert_eq!(late.await.unwrap().unwrap().version, 2);
    assert_eq!(early.await.unwrap().unwrap().version, 1, "it came before the change was told");
    assert_eq!(version(&cache, &source).await, 2);
    assert_eq!(source.reads(), 2, "the new one is kept");
}

#[tokio::test]
async fn the_old_value_is_not_put_back_after_the_new_one_either() {
    let (cache, source) = (cache(), Held::new(0));
    let mut early = Box::pin(cache.live(PRODUCT, &source));
    assert!(poll!(&mut early).is_pending());
    source.commit(2);
    cache.stock_changed(&[PRODUCT]).await;
    source.answer.add_permits(1);
    assert_eq!(early.await.unwrap().unwrap().counts.stock, 1);
    source.answer.add_permits(1);
    assert_eq!(stock(&cache, &source).await, 2);
}

#[tokio::test]
async fn warming_puts_nothing_old_back() {
    let (cache, source) = (cache(), Held::new(0));
    let other = ProductId(8);
    let products = [PRODUCT, other];
    let mut warming = Box::pin(cache.warm(&products, &source));
    assert!(poll!(&mut warming).is_pending());
    source.commit(2);
    cache.product_changed(PRODUCT, 2).await;
    source.answer.add_permits(1);
    assert_eq!(warming.await.unwrap(), 2);
    assert_eq!(cache.facts(other, &source).await.unwrap().unwrap().version, 1, "warm");
    assert_eq!(source.reads(), 1);
    source.answer.add_permits(1);
    assert_eq!(version(&cache, &source).await, 2);
}

#[tokio::test]
async fn a_load_that_fails_fails_for_all_who_wait_and_the_next_one_loads_again() {
    let (cache, source) = (cache(), Held::new(0));
    *source.refuse.lock().unwrap() = Some("away");
    let mut readers: Vec<_> = (0..50).map(|_| Box::pin(cache.facts(PRODUCT, &source))).collect();
    for reader in &mut readers {
        assert!(poll!(reader).is_pending());
    }
    source.answer.add_permits(1);
    for read in all(readers).await {
        let error = read.unwrap_err();
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
        let why = std::error::Error::source(&error).and_then(std::error::Error::source).unwrap();
        assert_eq!(why.to_string(), "away");
    }
    assert_eq!(source.reads(), 1);
    *source.refuse.lock().unwrap() = None;
    source.answer.add_permits(1);
    assert_eq!((version(&cache, &source).await, source.reads()), (1, 2));
}

#[tokio::test]
async fn a_reader_who_goes_away_while_loading_leaves_the_load_to_the_next() {
    let (cache, source) = (cache(), Held::new(0));
    let mut leader = Box::pin(cache.facts(PRODUCT, &source));
    assert!(poll!(&mut leader).is_pending());
    let mut others: Vec<_> = (0..50).map(|_| Box::pin(cache.facts(PRODUCT, &source))).collect();
    for other in &mut others {
        assert!(poll!(other).is_pending());
    }
    drop(leader);
    source.answer.add_permits(1);
    for read in all(others).await {
        assert_eq!(read.unwrap().unwrap().version, 1);
    }
    assert_eq!(source.reads(), 2, "one of those who waited loads for all");
}

#[tokio::test]
async fn what_does_not_exist_is_not_kept() {
    let (cache, source) = (cache(), Held::open());
    for id in 0..10_000 {
        assert!(cache.facts(ProductId(2_000_000 + id), &source).await.unwrap().is_none());
    }
    assert_eq!((cache.facts.weight().await, cache.live.weight().await), (0, 0));
    let strange = [i64::MIN, -1, 0, i64::MAX];
    for id in strange.map(ProductId) {
        cache.facts(id, &source).await.unwrap();
        cache.product_changed(id, 1).await;
    }
}

#[tokio::test]
async fn memory_is_bounded() {
    let clock = Arc::new(ManualClock::new(START));
    let options = ProductCacheOptions { facts_bytes_max: 100_000, live_max: 50, ..Default::default() };
    let (cache, source) = (InProcessProductCache::new(clock, options), Held::open());
    for id in 1..=1_000 {
        cache.facts(ProductId(id), &source).await.unwrap();
        cache.live(ProductId(id), &source).await.unwrap();
    }
    let (facts, live) = (cache.facts.weight().await, cache.live.weight().await);
    assert!((1..=100_000).contains(&facts) && (1..=50).contains(&live), "{facts} {live}");
    let reads = source.reads();
    cache.live(ProductId(1_000), &source).await.unwrap();
    assert_eq!(source.reads(), reads, "what was read last is kept");
}

#[tokio::test]
async fn nothing_is_served_that_is_older_than_its_bound() {
    let clock = Arc::new(ManualClock::new(START));
    let (cache, source) = (cache_at(&clock), Held::open());
    let step = Duration::from_millis(10);
    let mut committed_at = START;
    for round in 1..1_000_usize {
        // Another node sells: nobody here is told.
        if round.is_multiple_of(170) {
            source.commit(round);
            committed_at = clock.now();
        }
        let committed = i64::try_from(source.version.load(Ordering::SeqCst)).unwrap();
        let shown = stock(&cache, &source).await;
        let old = shown != committed;
        assert!(!old || clock.now() < committed_at.plus(LIVE_MAX), "{shown} of {committed}");
        clock.advance(step);
    }
    // 10 s: a read a second, and those at the borders.
    assert!((10..=11).contains(&source.reads()), "{}", source.reads());
    let before = (version(&cache, &source).await, source.reads());
    source.commit(2_000);
    assert_eq!((version(&cache, &source).await, source.reads()), before);
    clock.advance(ProductCacheOptions::default().facts_max_age);
    assert_eq!(version(&cache, &source).await, 2_000);
}

#[tokio::test]
async fn a_change_of_the_catalogue_evicts_both_parts_and_a_sale_the_stock_only() {
    let (cache, source) = (cache(), Held::open());
    assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (1, 1));
    source.commit(2);
    cache.stock_changed(&[ProductId(8)]).await;
    assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (1, 1));
    cache.stock_changed(&[PRODUCT]).await;
    assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (1, 2));
    source.commit(3);
    cache.product_changed(PRODUCT, 3).await;
    assert_eq!((version(&cache, &source).await, stock(&cache, &source).await), (3, 3));
}
