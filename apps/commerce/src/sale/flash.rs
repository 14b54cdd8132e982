use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use commerce_api_application::ports::IdSource;
use commerce_api_infrastructure::runtime::{RandomIds, SystemClock};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::buyer::{self, Answer, Attempt};
use super::faulty;
use super::judge::{After, Facts, Totals};
use super::measure::{Counts, Latencies};
use super::report::Report;
use crate::cli::{FlashSale, Global};
use crate::console;
use crate::failure::Failure;
use crate::gateway::TakeBack;
use crate::shop::{Buyer, Shop, ShopError};
use crate::target::{self, Opened, Patience};

/// What the piece costs, in won.
pub(super) const PRICE: i64 = 10_000;
/// What each buyer has: enough, and something is left.
pub(super) const POINTS: i64 = 25_000;
/// Longest wait until the shop is at rest, events counted.
pub(super) const REST_MAX: Duration = Duration::from_mins(1);
/// Reads at once when checking.
pub(super) const READS: usize = 64;

/// Runs a flash sale and prints what came of it.
pub async fn flash_sale(
    global: &Global,
    options: &FlashSale,
    faults: &TakeBack,
) -> Result<ExitCode, Failure> {
    let opened = target::open(global, &options.target, options.connections, Patience::Usual).await?;
    if let Some(percent) = options.gateway_faults {
        let report = faulty::run(&opened, options, percent, faults).await;
        // Also where it failed in the middle.
        faults.run().await;
        opened.close().await?;
        let report = report?;
        console::line(&if options.target.json { report.json() } else { report.text() });
        return Ok(report.exit_code());
    }
    let report = run(&opened, options).await?;
    opened.close().await?;
    console::line(&if options.target.json { report.json() } else { report.text() });
    Ok(report.exit_code())
}

async fn run(opened: &Opened, options: &FlashSale) -> Result<Report, Failure> {
    let shop = &opened.shop;
    let ids = RandomIds::new(Arc::new(SystemClock::default()));
    let name = format!("FLASH-{}", ids.uuid().simple());
    let count = usize::try_from(options.buyers).unwrap_or(usize::MAX);
    // First, because a shop that is no demonstration refuses them and must be left as it was.
    let buyers = Arc::new(shop.buyers(&opened.admin, count, POINTS).await?);
    let brand = shop.add_brand(&opened.admin, &name).await?;
    let product = shop.add_product(&opened.admin, brand, &name, PRICE, options.stock).await?;

    let body = if options.card { Shop::card_order_body(product) } else { Shop::order_body(product) };
    let attempts = release(shop, &buyers, body, &ids).await?;

    let mut counts = Counts::default();
    let mut totals = Totals::default();
    let (mut latencies, mut settlements) = (Latencies::new(), Latencies::new());
    // Nobody sends before the release, so the first to send marks it.
    let released_at = attempts.iter().map(|attempt| attempt.sent_at).min().unwrap_or_else(Instant::now);
    let ended_at = attempts.iter().map(|attempt| attempt.settled_at).max().unwrap_or(released_at);
    for attempt in &attempts {
        counts.add(attempt);
        totals.add_answer(&attempt.answer);
        if !matches!(attempt.answer, Answer::None(_)) {
            latencies.record(attempt.ended_at - released_at);
        }
        if matches!(attempt.answer, Answer::Paid(_)) {
            settlements.record(attempt.settled_at - released_at);
        }
    }
    let after = check(opened, &buyers, &attempts, product, options.card).await;
    let facts = Facts {
        orders: u64::from(options.buyers),
        stock: u64::from(options.stock),
        counts,
        totals,
        points_before: POINTS * i64::from(options.buyers),
        after: after.map_err(|failure| failure.text()),
    };
    let latency = latencies.summary();
    Ok(Report {
        kind: "flash-sale",
        place: opened.place.clone(),
        facts,
        took: ended_at - released_at,
        latency,
        settlement: options.card.then(|| settlements.summary()),
    })
}

/// All buyers at once: each is a task that waits at one barrier with its order in hand.
async fn release(
    shop: &Arc<Shop>,
    buyers: &Arc<Vec<Buyer>>,
    body: Bytes,
    ids: &RandomIds,
) -> Result<Vec<Attempt>, Failure> {
    let barrier = Arc::new(Barrier::new(buyers.len()));
    let mut tasks = JoinSet::new();
    for index in 0..buyers.len() {
        let (shop, buyers, barrier) = (Arc::clone(shop), Arc::clone(buyers), Arc::clone(&barrier));
        let (key, body) = (ids.uuid().to_string(), body.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            let salt = u64::try_from(index).unwrap_or_default();
            (index, buyer::place(&shop, &buyers[index], &key, body, salt).await)
        });
    }
    let mut attempts = Vec::with_capacity(buyers.len());
    while let Some(joined) = tasks.join_next().await {
        attempts.push(joined?);
    }
    // In the order of the buyers, so that each order is read back by whom it belongs to.
    attempts.sort_unstable_by_key(|(index, _)| *index);
    Ok(attempts.into_iter().map(|(_, attempt)| attempt).collect())
}

async fn check(
    opened: &Opened,
    buyers: &[Buyer],
    attempts: &[Attempt],
    product: i64,
    card: bool,
) -> Result<After, Failure> {
    let shop = &*opened.shop;
    let paid = buyers.iter().zip(attempts).filter_map(|(buyer, attempt)| match &attempt.answer {
        Answer::Paid(order) => Some((buyer, order)),
        _ => None,
    });
    let confirmed: u64 = stream::iter(paid)
        .map(|(buyer, told)| async move {
            let found = shop.find_order(buyer, &told.id).await?;
            Ok::<_, ShopError>(u64::from(found == **told))
        })
        .buffer_unordered(READS)
        .try_fold(0, async |sum, one| Ok(sum + one))
        .await?;
    let stock_left = shop.stock(product).await?;
    let points = points_of(shop, buyers).await?;
    let audit = if card { opened.audit_settled(REST_MAX).await? } else { opened.audit().await? };
    let at_gateway = if card { opened.won_at_gateway().await? } else { None };
    Ok(After { confirmed: Some(confirmed), stock_left, points, audit, at_gateway })
}

/// Points of all buyers together.
pub(super) async fn points_of(shop: &Shop, buyers: &[Buyer]) -> Result<i64, ShopError> {
    stream::iter(buyers)
        .map(|buyer| shop.balance(buyer))
        .buffer_unordered(READS)
        .try_fold(0, async |sum, balance| Ok(sum + balance))
        .await
}
