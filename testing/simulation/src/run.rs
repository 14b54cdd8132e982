//! One run of a plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::ports::GatewayAbilities;
use commerce_api_domain::{CouponPolicy, Discount, ProductId, Timestamp, UserId};
use commerce_api_infrastructure::memory::{MemoryState, MemoryStorage};
use commerce_contracts::topics;
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::clients::{COUPON, Clients, won};
use crate::counts::Counts;
use crate::database::Database;
use crate::fault::Fault;
use crate::fleet::{Fleet, late_max};
use crate::gateway::Gateway;
use crate::plan::{Deed, PRODUCTS, Plan, USERS};
use crate::verdict::Verdict;
use crate::witness::Witness;
use crate::world::World;

/// How closely a run is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Whether a trace is kept.
    pub traced: bool,
    /// The rows are recounted after every so many commits.
    pub recount_every: u64,
}

impl Attention {
    /// For many runs.
    pub const FAST: Self = Self { traced: false, recount_every: 10 };
    /// For one that failed: the trace ends near the commit that broke a rule.
    pub const CLOSE: Self = Self { traced: true, recount_every: 1 };
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was wrong; nothing where all held.
    pub wrong: Vec<String>,
    /// What happened, where a trace was kept.
    pub trace: Vec<String>,
    /// Faults injected, by kind.
    pub injected: BTreeMap<Fault, u64>,
    /// What the run went through, by name: what happened to payments, how orders ended, what was done.
    pub reached: BTreeMap<String, u64>,
    /// How long it took to settle after the last fault, in simulated time.
    pub settled_after: Duration,
}

/// What enough runs have to go through, or they would prove nothing about it.
pub const REACHED: &[&str] = &[
    "payment SENT",
    "payment NOT_SENT",
    "payment ACCEPTED",
    "payment OUTCOME_UNKNOWN",
    "payment NOT_FOUND",
    "payment CAPTURED",
    "payment CAPTURED_LATE",
    "payment DECLINED",
    "payment NEVER_RECORDED",
    "payment VOIDED",
    "payment DUPLICATE_CAPTURED",
    "payment DUPLICATE_REFUNDED",
    "payment REFUNDED",
    "order PAID",
    "order PAYMENT_FAILED",
    "order CANCEL_PENDING",
    "order CANCELED",
    "order EXPIRED",
    "callback APPLIED",
    "callback WRONG_AMOUNT",
    "points CHARGE",
    "points USE",
    "points REFUND",
    "points EARN",
    "points REVOKE",
    "stock RECEIPT",
    "stock ADJUSTMENT",
    "coupon issued",
    "coupon used",
    "like given",
    "like taken back",
    "product viewed",
    "recheck by hand",
    "gateway with idempotency",
    "gateway without idempotency",
    "gateway with refund",
    "gateway without refund",
    "gateway with void",
    "gateway without void",
    "gateway with signature",
    "gateway without signature",
];

/// After the last command faults go on for so long.
const AFTERMATH: Duration = Duration::from_secs(15);
/// It may take so long to settle after the last fault.
const SETTLED_WITHIN: Duration = Duration::from_mins(15);
/// Every so often it is looked at whether all is settled.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs `plan` in this thread.
pub fn run(plan: &Plan, attention: Attention) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(run_all(plan, attention)),
        Err(error) => Report { wrong: vec![format!("no runtime: {error}")], ..Report::default() },
    }
}

async fn run_all(plan: &Plan, attention: Attention) -> Report {
    let world = World::new(plan.seed, plan.faults, plan.start_us, attention.traced);
    let (rows, users, products) = shop();
    let witness = Witness::new(attention.recount_every);
    let database = Arc::new(Database { world: world.clone(), rows, witness });
    let (notices, calls) = mpsc::unbounded_channel();
    let gateway = Gateway::new(world.clone(), plan.abilities, late_max(plan.abilities), notices);
    let bus = Bus::new(world.clone(), topics::ALL, topics::PARTITIONS);
    let counts = Counts::new(world.clone());
    let processes = (plan.nodes, plan.collectors);
    let fleet = Fleet::start(world.clone(), database, gateway, bus, counts, processes);
    tokio::spawn(fleet.clone().deliver(calls));
    tokio::spawn(fleet.clone().chaos());
    tokio::spawn(fleet.clone().mourn());
    let clients = Clients::new(fleet.clone(), users, products);
    tokio::spawn(clients.clone().run(plan.commands.clone()));
    let last = plan.commands.last().map_or(Duration::ZERO, |command| command.at);
    let calm_at = last.saturating_add(AFTERMATH);
    while world.clock.elapsed() < calm_at && !world.is_wrong() {
        // tidy: sleep simulated time
        tokio::time::sleep(LOOK_EVERY.min(calm_at.saturating_sub(world.clock.elapsed()))).await;
    }
    world.calm();
    let verdict = Verdict { fleet: &fleet, clients: &clients, plan };
    let settled_after = settle(&world, &verdict, calm_at).await;
    if !world.is_wrong() {
        verdict.pronounce();
    }
    let injected = world.injected();
    let reached = reached(plan, &fleet.database.rows.state());
    let (wrong, trace) = world.found();
    Report { wrong, trace, injected, reached, settled_after }
}

/// What a run of `plan` that left `state` went through.
fn reached(plan: &Plan, state: &MemoryState) -> BTreeMap<String, u64> {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |what: &str, name: &str| *reached.entry(format!("{what} {name}")).or_default() += 1;
    state.payment_events.values().for_each(|record| count("payment", record.event.name()));
    state.orders.values().for_each(|order| count("order", order.status.name()));
    state.callbacks.values().for_each(|kept| count("callback", kept.verdict.name()));
    state.ledger.values().for_each(|entry| count("points", entry.kind.name()));
    state.movements.values().for_each(|movement| count("stock", movement.kind.name()));
    for issued in state.issued.values() {
        count("coupon", "issued");
        if issued.order.is_some() {
            count("coupon", "used");
        }
    }
    state.likes.values().for_each(|like| count("like", if like.active { "given" } else { "taken back" }));
    for command in &plan.commands {
        match command.deed {
            Deed::View { .. } => count("product", "viewed"),
            Deed::Recheck { .. } => count("recheck", "by hand"),
            _ => {}
        }
    }
    let GatewayAbilities { idempotency, refund, void, signature, settlement: _ } = plan.abilities;
    for (name, can) in
        [("idempotency", idempotency), ("refund", refund), ("void", void), ("signature", signature)]
    {
        count(if can { "gateway with" } else { "gateway without" }, name);
    }
    reached
}

/// Waits until all is settled, and until what is still on its way has come.
async fn settle(world: &World, verdict: &Verdict<'_>, calm_at: Duration) -> Duration {
    let calm_for = || world.clock.elapsed().saturating_sub(calm_at);
    let on_its_way = late_max(verdict.plan.abilities).saturating_add(Duration::from_secs(10));
    while !world.is_wrong() {
        let open = verdict.open();
        if open.is_empty() && calm_for() >= on_its_way {
            break;
        }
        if calm_for() >= SETTLED_WITHIN {
            for what in open {
                world.wrong(format!("not settled: {what}"));
            }
            break;
        }
        // tidy: sleep simulated time
        tokio::time::sleep(LOOK_EVERY).await;
    }
    calm_for()
}

/// A small shop, in which things run out.
fn shop() -> (MemoryStorage, Vec<UserId>, Vec<ProductId>) {
    let rows = MemoryStorage::new();
    let users = (0..USERS).map(|_| rows.add_user(won(5_000))).collect();
    let shelf = [("tea", 100, 3), ("cup", 700, 6), ("pot", 2_500, 12), ("tray", 900, 40)];
    let add = |(name, price, stock): &(&str, i64, i64)| rows.add_product(name, won(*price), *stock);
    let products: Vec<ProductId> = shelf.iter().take(PRODUCTS).map(add).collect();
    rows.add_coupon(CouponPolicy {
        id: COUPON,
        name: "welcome".into(),
        discount: Discount::Amount(won(150)),
        minimum_total: won(0),
        valid_from: Timestamp::default(),
        valid_until: Timestamp::from_micros(i64::MAX),
        issue_limit: Some(4),
    });
    (rows, users, products)
}
