//! A small shop in memory: one working set, decided on command by command.

#![expect(dead_code, reason = "each test binary uses another part of it")]

use commerce_api_domain::*;
use uuid::Uuid;

pub const USER: UserId = UserId(1);
pub const OTHER: UserId = UserId(2);
pub const TEA: ProductId = ProductId(10);
pub const CUP: ProductId = ProductId(11);
pub const STOPPED: ProductId = ProductId(12);
pub const TEN_PERCENT: CouponId = CouponId(20);

pub fn won(won: i64) -> Money {
    Money::new(won).unwrap()
}

pub struct World {
    pub set: WorkingSet,
    pub now: Timestamp,
    pub rules: Rules,
    seed: u128,
}

impl World {
    /// Tea at 1,000 won with 10 pieces, a cup at 2,550 won with 5; two customers with 100,000 points each.
    pub fn new() -> Self {
        let mut snapshot = Snapshot::default();
        let product = |id, name: &str, price, stock, status| Product {
            id,
            name: name.into(),
            price: won(price),
            stock,
            status,
            purchase_limit: None,
            event_seq: 0,
        };
        for row in [
            product(TEA, "tea", 1_000, 10, ProductStatus::OnSale),
            product(CUP, "cup", 2_550, 5, ProductStatus::OnSale),
            product(STOPPED, "old", 1, 5, ProductStatus::Stopped),
        ] {
            snapshot.products.insert(row.id, row);
        }
        for id in [USER, OTHER] {
            snapshot.users.insert(id, User { id, balance: won(100_000), charged_today: Money::ZERO });
        }
        let policy = CouponPolicy {
            id: TEN_PERCENT,
            name: "ten percent".into(),
            discount: Discount::Rate { basis_points: 1_000, cap: None },
            minimum_total: won(1_000),
            valid_from: Timestamp::from_micros(0),
            valid_until: Timestamp::from_micros(i64::MAX),
            issue_limit: Some(2),
        };
        snapshot.policies.insert(TEN_PERCENT, policy.clone());
        snapshot.coupons.insert(TEN_PERCENT, Coupon { policy, issued_count: 0 });
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Self { set: WorkingSet::new(snapshot), now, rules: Rules::default(), seed: 1 }
    }

    pub fn run(&mut self, kind: CommandKind) -> Result<Outcome, Refusal> {
        self.seed += 1;
        let ids = IdSeed::new(Uuid::from_u128((self.seed << 20) | (7 << 76)));
        decide(&Command { ids, kind }, &mut self.set, self.now, &self.rules)
    }

    pub fn place(&mut self, place: PlaceOrder) -> Result<Order, Refusal> {
        self.run(CommandKind::Place(place)).map(order)
    }

    pub fn payment(&mut self, order: OrderId, command: PaymentCommand) -> Result<Order, Refusal> {
        self.run(CommandKind::Payment { order, command }).map(self::order)
    }

    pub fn cancel(&mut self, order: OrderId) -> Result<Order, Refusal> {
        self.run(CommandKind::Cancel { order, by: Actor::Customer(USER) }).map(self::order)
    }

    /// Past every deadline.
    pub fn much_later(&mut self) {
        self.now = self.now.plus(std::time::Duration::from_hours(1));
    }

    /// Limits what a customer may hold; what both customers hold is known from then on.
    pub fn set_limit(&mut self, product: ProductId, limit: Option<i64>) {
        let snapshot = &mut self.set.snapshot;
        snapshot.products.get_mut(&product).unwrap().purchase_limit =
            limit.map(|n| Quantity::new(n).unwrap());
        for user in [USER, OTHER] {
            snapshot.purchased.entry((user, product)).or_default();
        }
    }

    pub fn order(&self, id: OrderId) -> &Order {
        &self.set.snapshot.orders[&id]
    }

    pub fn balance(&self) -> i64 {
        self.set.snapshot.users[&USER].balance.won()
    }

    pub fn stock(&self, id: ProductId) -> i64 {
        self.set.snapshot.products[&id].stock
    }

    pub fn ledger_kinds(&self, order: OrderId) -> Vec<(LedgerKind, i64)> {
        let of_order = self.set.ledger.iter().filter(|entry| entry.order == Some(order));
        of_order.map(|entry| (entry.kind, entry.amount.won())).collect()
    }

    pub fn event_names(&self) -> Vec<&'static str> {
        self.set.events.iter().map(|event| name_of(&event.kind)).collect()
    }
}

pub fn order(outcome: Outcome) -> Order {
    match outcome {
        Outcome::Order(order) => *order,
        other => panic!("not an order: {other:?}"),
    }
}

pub fn name_of(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::OrderCreated { .. } => "OrderCreated",
        EventKind::OrderPaid { .. } => "OrderPaid",
        EventKind::OrderExpired { .. } => "OrderExpired",
        EventKind::OrderPaymentFailed { .. } => "OrderPaymentFailed",
        EventKind::OrderCanceled { .. } => "OrderCanceled",
        EventKind::PaymentRequested { .. } => "PaymentRequested",
        EventKind::PaymentSucceeded { .. } => "PaymentSucceeded",
        EventKind::PaymentFailed { .. } => "PaymentFailed",
        EventKind::PaymentRefunded { .. } => "PaymentRefunded",
        EventKind::StockDepleted => "StockDepleted",
        EventKind::StockRestored { .. } => "StockRestored",
        EventKind::CouponIssued { .. } => "CouponIssued",
        EventKind::CouponUsed { .. } => "CouponUsed",
        EventKind::CouponRestored { .. } => "CouponRestored",
        EventKind::LikeAdded => "LikeAdded",
        EventKind::LikeRemoved => "LikeRemoved",
        EventKind::ProductUpdated { .. } => "ProductUpdated",
    }
}

pub fn line(product: ProductId, quantity: i64) -> OrderLineRequest {
    OrderLineRequest { product, quantity: Quantity::new(quantity).unwrap() }
}

/// An order of `USER` paid by points alone.
pub fn by_points(lines: Vec<OrderLineRequest>) -> PlaceOrder {
    PlaceOrder {
        user: USER,
        lines,
        issued_coupon: None,
        payment: PaymentRequest { points: None, card: None },
        expected_total: None,
    }
}

/// An order of `USER` paid by card, with `points` as the points part.
pub fn by_card(lines: Vec<OrderLineRequest>, points: i64) -> PlaceOrder {
    let card = CardDetails { brand: CardBrand::Samsung, last_four: "1234".into() };
    let payment = PaymentRequest { points: Some(won(points)), card: Some(card) };
    PlaceOrder { payment, ..by_points(lines) }
}
