//! A sale by card while everything goes wrong with the gateway: the buyers come over a while instead of at once, every
//! tenth cancels, and when the faults are over it is waited until all is settled. Then the rest is sold, and every order
//! is compared with the gateway's own books.

mod judge;
mod mix;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_api_application::ports::IdSource;
use commerce_api_infrastructure::runtime::{RandomIds, SystemClock};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::buyer::{self, Answer};
use super::flash::{POINTS, PRICE, READS, REST_MAX};
use crate::cli::FlashSale;
use crate::failure::Failure;
use crate::gateway::{SimulatedGateway, TakeBack};
use crate::shop::{Buyer, Order, Shop, mix as spread};
use crate::target::Opened;
use judge::Facts;
use report::Report;

/// Every so many-th buyer cancels.
const CANCELS: usize = 10;
/// The longest time from the order to its cancel.
const CANCEL_MS_MAX: u64 = 2_000;
/// How long is waited for open payments: far longer than is good.
const DRAIN_MAX: Duration = Duration::from_mins(10);
/// How often is looked whether they are settled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Sales of what is left, when nothing goes wrong any more.
const ROUNDS_MAX: usize = 20;

/// What came of one buyer's visit.
struct Visit {
    buyer: usize,
    answer: Answer,
    canceled: bool,
}

/// A sale under way.
struct Sale {
    shop: Arc<Shop>,
    buyers: Arc<Vec<Buyer>>,
    ids: RandomIds,
    body: Bytes,
    product: i64,
}

/// Runs it.
pub async fn run(
    opened: &Opened,
    options: &FlashSale,
    percent: u32,
    faults: &TakeBack,
) -> Result<Report, Failure> {
    let gateway = gateway(opened, faults).await?;
    let sale = Sale::prepare(opened, options).await?;
    let before = gateway.faults_so_far().await?;
    let faults_for = Duration::from_secs(u64::from(options.seconds));
    let over_at = Instant::now() + faults_for;
    gateway.follow(&mix::of(percent)).await?;
    let mut visits = sale.arrive(faults_for).await?;
    sleep_until(over_at).await;
    gateway.take_back().await?;

    let stopped_at = Instant::now();
    let drained = drained(opened, stopped_at).await?;
    let audit = opened.audit_settled(REST_MAX).await?;
    let at_rest = stopped_at.elapsed();
    let happened = difference(&before, &gateway.faults_so_far().await?);
    let refused = visits.iter().filter(|visit| visit.answer == Answer::OutOfStock).count() as u64;

    sale.sell_the_rest(&mut visits).await?;
    let orders = sale.read_back(&visits).await?;
    let facts = Facts {
        buyers: u64::from(options.buyers),
        stock: u64::from(options.stock),
        placed: visits.iter().filter(|visit| order_of(&visit.answer).is_some()).count() as u64,
        refused,
        unexpected: unexpected(&visits),
        canceled: visits.iter().filter(|visit| visit.canceled).count() as u64,
        ends: ends(&orders),
        stock_left: sale.shop.stock(sale.product).await?,
        books: judge::compare(&orders, &gateway.transactions().await?),
        drained,
        at_rest,
        audit,
        audit_after: opened.audit_settled(REST_MAX).await?,
        faults: happened,
    };
    Ok(Report { place: opened.place.clone(), percent, faults_for, facts })
}

/// The simulated gateway of the shop; a real one is not asked to fail.
async fn gateway(opened: &Opened, faults: &TakeBack) -> Result<Arc<SimulatedGateway>, Failure> {
    let Some(url) = opened.gateway_url() else {
        let why = "--gateway-faults needs the simulated gateway of a shop whose data directory is at hand; \
                   give --ephemeral, or its --data-dir";
        return Err(Failure::Usage(why.to_owned()));
    };
    let gateway = Arc::new(SimulatedGateway::find(&url).await?);
    if !opened.is_own() {
        faults.remember(&gateway);
    }
    Ok(gateway)
}

/// Waits until no payment is open, and gives back how long that took; none where it did not come.
async fn drained(opened: &Opened, since: Instant) -> Result<Option<Duration>, Failure> {
    while since.elapsed() < DRAIN_MAX {
        if opened.shop.open_payments(&opened.admin).await? == 0 {
            return Ok(Some(since.elapsed()));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

impl Sale {
    async fn prepare(opened: &Opened, options: &FlashSale) -> Result<Self, Failure> {
        let shop = Arc::clone(&opened.shop);
        let ids = RandomIds::new(Arc::new(SystemClock::default()));
        let name = format!("FAULTY-{}", ids.uuid().simple());
        let count = usize::try_from(options.buyers).unwrap_or(usize::MAX);
        // First, because a shop that is no demonstration refuses them and must be left as it was.
        let buyers = Arc::new(shop.buyers(&opened.admin, count, POINTS).await?);
        let brand = shop.add_brand(&opened.admin, &name).await?;
        let product = shop.add_product(&opened.admin, brand, &name, PRICE, options.stock).await?;
        Ok(Self { shop, buyers, ids, body: Shop::card_order_body(product), product })
    }

    /// The buyers come evenly over `time`, each with one order; every tenth thinks better of it.
    async fn arrive(&self, time: Duration) -> Result<Vec<Visit>, Failure> {
        let began_at = Instant::now();
        let count = u32::try_from(self.buyers.len()).unwrap_or(u32::MAX).max(1);
        let mut tasks = JoinSet::new();
        for (buyer, number) in (0..self.buyers.len()).zip(0..) {
            let at = began_at + time * number / count;
            let (shop, buyers, body) = (Arc::clone(&self.shop), Arc::clone(&self.buyers), self.body.clone());
            let keys = [self.ids.uuid().to_string(), self.ids.uuid().to_string()];
            tasks.spawn(async move {
                sleep_until(at).await;
                come(&shop, &buyers, buyer, keys, body).await
            });
        }
        let mut visits = Vec::with_capacity(self.buyers.len());
        while let Some(joined) = tasks.join_next().await {
            visits.push(joined??);
        }
        Ok(visits)
    }

    /// Who has nothing yet comes again while there is something left; now nothing goes wrong.
    async fn sell_the_rest(&self, visits: &mut Vec<Visit>) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let left = usize::try_from(self.shop.stock(self.product).await?).unwrap_or_default();
            let orders = self.read_back(visits).await?;
            let paid: BTreeSet<_> =
                orders.iter().filter(|order| order.status == "PAID").map(|order| &*order.id).collect();
            let has = |visit: &&Visit| order_of(&visit.answer).is_some_and(|id| paid.contains(id));
            let served: BTreeSet<_> = visits.iter().filter(has).map(|visit| visit.buyer).collect();
            let again: Vec<_> =
                (0..self.buyers.len()).filter(|buyer| !served.contains(buyer)).take(left).collect();
            if again.is_empty() {
                return Ok(());
            }
            let came = stream::iter(again).map(async |buyer| {
                let (key, salt) = (self.ids.uuid().to_string(), buyer as u64);
                let attempt =
                    buyer::place(&self.shop, &self.buyers[buyer], &key, self.body.clone(), salt).await;
                Visit { buyer, answer: attempt.answer, canceled: false }
            });
            visits.extend(came.buffer_unordered(READS).collect::<Vec<_>>().await);
        }
        Ok(())
    }

    /// Every order that was accepted, as it stands now.
    async fn read_back(&self, visits: &[Visit]) -> Result<Vec<Order>, Failure> {
        let accepted: Vec<_> =
            visits.iter().filter_map(|visit| Some((visit.buyer, order_of(&visit.answer)?))).collect();
        let read = stream::iter(accepted)
            .map(async |(buyer, id)| self.shop.find_order(&self.buyers[buyer], id).await)
            .buffer_unordered(READS);
        Ok(read.try_collect().await?)
    }
}

/// One buyer's visit: an order, and for some its cancel after a moment.
async fn come(
    shop: &Shop,
    buyers: &[Buyer],
    buyer: usize,
    [order_key, cancel_key]: [String; 2],
    body: Bytes,
) -> Result<Visit, Failure> {
    let salt = buyer as u64;
    let answer = buyer::ask(shop, &buyers[buyer], &order_key, body, salt).await.answer;
    let mut canceled = false;
    if let Some(order) = order_of(&answer)
        && buyer % CANCELS == CANCELS - 1
    {
        sleep(Duration::from_millis(spread(salt) % CANCEL_MS_MAX)).await;
        canceled = shop.cancel(&buyers[buyer], order, &cancel_key).await?;
    }
    Ok(Visit { buyer, answer, canceled })
}

/// The order of an answer that accepted it.
fn order_of(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Paid(order) => Some(&order.id),
        Answer::Waiting(id) => Some(id),
        Answer::OutOfStock | Answer::Other(_) | Answer::None(_) => None,
    }
}

fn unexpected(visits: &[Visit]) -> BTreeMap<String, u64> {
    let mut unexpected = BTreeMap::new();
    for visit in visits {
        if let Answer::Other(code) | Answer::None(code) = &visit.answer {
            *unexpected.entry(code.clone()).or_default() += 1;
        }
    }
    unexpected
}

fn ends(orders: &[Order]) -> BTreeMap<String, u64> {
    let mut ends = BTreeMap::new();
    for order in orders {
        *ends.entry(format!("{} {}", order.status, order.payment.status)).or_default() += 1;
    }
    ends
}

fn difference(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = |(name, count): (&String, &u64)| {
        let new = count.saturating_sub(before.get(name).copied().unwrap_or_default());
        (new > 0).then(|| (name.clone(), new))
    };
    after.iter().filter_map(since).collect()
}
