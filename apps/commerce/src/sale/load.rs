use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use commerce_api_application::ports::IdSource;
use commerce_api_infrastructure::runtime::{RandomIds, SystemClock};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::buyer::{self, Answer};
use super::flash::{READS, points_of};
use super::judge::{After, Facts, Totals};
use super::measure::{Counts, Latencies};
use super::report::Report;
use crate::cli::{Global, Load};
use crate::console;
use crate::failure::Failure;
use crate::shop::{Buyer, Shop};
use crate::target::{self, Opened, Patience};

/// What each product costs, in won.
const PRICE: i64 = 1_000;

/// Runs a load and prints what came of it.
pub async fn load(global: &Global, options: &Load) -> Result<ExitCode, Failure> {
    let opened = target::open(global, &options.target, options.connections, Patience::Usual).await?;
    let report = run(&opened, options).await?;
    opened.close().await?;
    console::line(&if options.target.json { report.json() } else { report.text() });
    Ok(report.exit_code())
}

async fn run(opened: &Opened, options: &Load) -> Result<Report, Failure> {
    let ids = RandomIds::new(Arc::new(SystemClock::default()));
    let points_each = PRICE * i64::from(options.orders.div_ceil(options.buyers));
    let count = usize::try_from(options.buyers).unwrap_or(usize::MAX);
    // First, because a shop that is no demonstration refuses them and must be left as it was.
    let buyers = opened.shop.buyers(&opened.admin, count, points_each).await?;
    let pieces_each = options.orders.div_ceil(options.products);
    let products = products(opened, options, pieces_each, &ids).await?;
    let work = Arc::new(Work {
        shop: Arc::clone(&opened.shop),
        spread: Spread::over(u64::from(options.products)),
        products,
        buyers,
        ids,
        orders: u64::from(options.orders),
        next: AtomicU64::new(0),
    });

    let started_at = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..options.connections.min(options.orders) {
        workers.spawn(Arc::clone(&work).run());
    }
    let mut done = Done::new();
    while let Some(joined) = workers.join_next().await {
        done.merge(joined?);
    }
    let took = started_at.elapsed();

    let after = check(opened, &work).await;
    let facts = Facts {
        orders: u64::from(options.orders),
        stock: u64::from(pieces_each) * u64::from(options.products),
        counts: done.counts,
        totals: done.totals,
        points_before: points_each * i64::from(options.buyers),
        after: after.map_err(|failure| failure.text()),
    };
    let latency = done.latencies.summary();
    Ok(Report { kind: "load", place: opened.place.clone(), facts, took, latency, settlement: None })
}

async fn products(
    opened: &Opened,
    options: &Load,
    pieces_each: u32,
    ids: &RandomIds,
) -> Result<Vec<i64>, Failure> {
    let name = format!("LOAD-{}", ids.uuid().simple());
    let brand = opened.shop.add_brand(&opened.admin, &name).await?;
    let added = stream::iter(0..options.products).map(|number| {
        let code = format!("{name}-{number}");
        async move { opened.shop.add_product(&opened.admin, brand, &code, PRICE, pieces_each).await }
    });
    Ok(added.buffer_unordered(READS).try_collect().await?)
}

async fn check(opened: &Opened, work: &Work) -> Result<After, Failure> {
    let shop = &*opened.shop;
    let stock_left = stream::iter(&work.products)
        .map(|product| shop.stock(*product))
        .buffer_unordered(READS)
        .try_fold(0, async |sum, stock| Ok(sum + stock))
        .await?;
    let points = points_of(shop, &work.buyers).await?;
    Ok(After { confirmed: None, stock_left, points, audit: opened.audit().await?, at_gateway: None })
}

/// The orders to place, shared by the workers.
struct Work {
    shop: Arc<Shop>,
    spread: Spread,
    products: Vec<i64>,
    buyers: Vec<Buyer>,
    ids: RandomIds,
    orders: u64,
    next: AtomicU64,
}

impl Work {
    /// Places one order after the other until there are no more.
    async fn run(self: Arc<Self>) -> Done {
        let mut done = Done::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.orders {
                return done;
            }
            let product = self.products[index(self.spread.product(number), self.products.len())];
            let buyer = &self.buyers[index(number, self.buyers.len())];
            let key = self.ids.uuid().to_string();
            let attempt = buyer::place(&self.shop, buyer, &key, Shop::order_body(product), number).await;
            done.counts.add(&attempt);
            done.totals.add_answer(&attempt.answer);
            if !matches!(attempt.answer, Answer::None(_)) {
                done.latencies.record(attempt.ended_at - attempt.sent_at);
            }
        }
    }
}

fn index(number: u64, len: usize) -> usize {
    let len = u64::try_from(len).unwrap_or(u64::MAX).max(1);
    usize::try_from(number % len).unwrap_or_default()
}

/// What a worker did.
struct Done {
    counts: Counts,
    totals: Totals,
    latencies: Latencies,
}

impl Done {
    fn new() -> Self {
        Self { counts: Counts::default(), totals: Totals::default(), latencies: Latencies::new() }
    }

    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        self.totals.merge(other.totals);
        self.latencies.merge(&other.latencies);
    }
}

/// Spreads orders over products: every product once a round, neighbours far apart.
struct Spread {
    products: u64,
    step: u64,
}

impl Spread {
    fn over(products: u64) -> Self {
        // Near the golden ratio, and without a common divisor, so that a round meets every product once.
        let mut step = products * 618 / 1_000 + 1;
        while gcd(step, products) != 1 {
            step += 1;
        }
        Self { products, step }
    }

    const fn product(&self, order: u64) -> u64 {
        let (round, place) = (order / self.products, order % self.products);
        (place * self.step + round) % self.products
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_once_a_round() {
        for products in [1, 2, 3, 10, 100, 999, 1_000] {
            let spread = Spread::over(products);
            for round in 0..3 {
                let mut met: Vec<_> =
                    (0..products).map(|place| spread.product(round * products + place)).collect();
                let neighbours = met.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
                assert!(products < 100 || neighbours == 0, "{products}: {neighbours}");
                met.sort_unstable();
                assert!(met.into_iter().eq(0..products), "{products}");
            }
        }
    }
}
