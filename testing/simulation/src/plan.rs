//! What a run does, drawn from its seed.

use std::time::Duration;

use commerce_api_application::ports::GatewayAbilities;

use crate::fault::{Fault, Faults};
use crate::rng::Rng;

/// Something that a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Orders products; by points alone where `card` is not set.
    Place {
        /// Pieces of products.
        lines: Vec<(usize, i64)>,
        /// Whether a coupon is used, where the customer has one.
        coupon: bool,
        /// Won paid by points beside a card.
        points: i64,
        /// Whether a card pays.
        card: bool,
    },
    /// Cancels one of the orders placed so far.
    Cancel {
        /// Which, counted round.
        nth: usize,
    },
    /// Buys points.
    Charge {
        /// Won.
        amount: i64,
    },
    /// Receives or loses stock.
    MoveStock {
        /// Of which product.
        product: usize,
        /// Pieces.
        pieces: i64,
    },
    /// Asks for the coupon.
    IssueCoupon,
    /// Likes a product, or no more.
    Like {
        /// Which.
        product: usize,
        /// Whether it is liked from now on.
        active: bool,
    },
    /// Looks at a product.
    View {
        /// Which.
        product: usize,
    },
    /// An administrator has a payment checked.
    Recheck {
        /// Which order, counted round.
        nth: usize,
    },
}

/// A deed, its doer and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A number of its own, which stays when others are left out.
    pub number: usize,
    /// When, after the start.
    pub at: Duration,
    /// By which customer.
    pub user: usize,
    /// What.
    pub deed: Deed,
}

/// A run before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// All chance follows from it.
    pub seed: u64,
    /// What the gateway can do.
    pub abilities: GatewayAbilities,
    /// Nodes of the shop.
    pub nodes: usize,
    /// Collectors.
    pub collectors: usize,
    /// Kinds of faults that are injected.
    pub faults: Faults,
    /// Microseconds since the epoch at its start.
    pub start_us: i64,
    /// What is done.
    pub commands: Vec<Command>,
}

/// Products, the first with the least stock.
pub const PRODUCTS: usize = 4;
/// Customers.
pub const USERS: usize = 5;

impl Plan {
    /// The plan of `seed`.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::of(seed, 1);
        let abilities = abilities(&mut rng);
        let (nodes, collectors) = (1 + rng.index(2), 1 + rng.index(2));
        // From nothing at all to everything at once.
        let share = [0, 150, 300, 500, 800, 1_000][rng.index(6)];
        let faults = Fault::ALL
            .iter()
            .filter(|_| rng.chance(share))
            .fold(Faults::default(), |all, fault| all.with(*fault));
        // 2027-01-15 17:00 in Seoul, or a minute before midnight.
        let start_us = if rng.chance(300) { 1_800_025_140_000_000 } else { 1_800_000_000_000_000 };
        let count_max = if rng.chance(150) { 150 } else { 60 };
        let count = rng.between(30, count_max);
        let span_ms = rng.between(20_000, 60_000);
        let mut commands: Vec<Command> = (0..count)
            .map(|_| {
                let at = Duration::from_millis(rng.below(span_ms));
                Command { number: 0, at, user: rng.index(USERS), deed: deed(&mut rng) }
            })
            .collect();
        commands.sort_by_key(|command| command.at);
        commands.iter_mut().enumerate().for_each(|(number, command)| command.number = number);
        Self { seed, abilities, nodes, collectors, faults, start_us, commands }
    }
}

fn abilities(rng: &mut Rng) -> GatewayAbilities {
    match rng.index(4) {
        0 => GatewayAbilities::NONE,
        1 => GatewayAbilities::ALL,
        _ => GatewayAbilities {
            idempotency: rng.chance(500),
            refund: rng.chance(700),
            void: rng.chance(500),
            signature: rng.chance(500),
            settlement: false,
        },
    }
}

fn deed(rng: &mut Rng) -> Deed {
    let product = rng.index(PRODUCTS);
    match rng.below(100) {
        0..40 => {
            let mut lines = vec![(product, 1 + i64::try_from(rng.below(3)).unwrap_or_default())];
            if rng.chance(300) {
                lines.push(((product + 1) % PRODUCTS, 1));
            }
            let card = rng.chance(750);
            let points =
                if card && rng.chance(400) { i64::try_from(rng.below(900)).unwrap_or_default() } else { 0 };
            Deed::Place { lines, coupon: rng.chance(300), points, card }
        }
        40..58 => Deed::Cancel { nth: rng.index(64) },
        58..64 => Deed::Charge { amount: 100 + i64::try_from(rng.below(5_000)).unwrap_or_default() },
        64..69 => Deed::MoveStock { product, pieces: i64::try_from(rng.below(8)).unwrap_or_default() - 2 },
        69..76 => Deed::IssueCoupon,
        76..88 => Deed::Like { product, active: rng.chance(600) },
        88..97 => Deed::View { product },
        _ => Deed::Recheck { nth: rng.index(64) },
    }
}
