//! A small shop, and a desk that runs one command a unit of work.

use std::collections::{BTreeMap, BTreeSet};

use commerce_api_application::desk::outbox_record;
use commerce_api_application::ports::{
    BoxError, CommitError, DeskChanges, IdSource, LockRequest, OutboxRecord, PaymentTraces, Storage,
};
use commerce_api_domain::{
    CardBrand, CardDetails, Command, CommandKind, CouponId, CouponPolicy, Discount, IssuedCouponId, Money,
    Order, OrderId, OrderLineRequest, Outcome, PaymentRequest, PlaceOrder, ProductId, Quantity, Rules,
    Timestamp, UserId, WorkingSet, decide,
};

use super::MemoryStorage;
use crate::runtime::SequenceIds;

pub const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
pub const COUPON: CouponId = CouponId(1);

pub fn won(won: i64) -> Money {
    Money::new(won).unwrap()
}

pub struct Shop {
    pub storage: MemoryStorage,
    pub user: UserId,
    pub product: ProductId,
    ids: SequenceIds,
}

impl Shop {
    /// A user with 100,000 points, 10 pieces at 1,000 won, and a coupon of 500 won for one customer.
    pub fn new() -> Self {
        let storage = MemoryStorage::new();
        let user = storage.add_user(won(100_000));
        let product = storage.add_product("tea", won(1_000), 10);
        storage.add_coupon(CouponPolicy {
            id: COUPON,
            name: "welcome".into(),
            discount: Discount::Amount(won(500)),
            minimum_total: won(0),
            valid_from: Timestamp::default(),
            valid_until: Timestamp::from_micros(i64::MAX),
            issue_limit: Some(1),
        });
        Self { storage, user, product, ids: SequenceIds::new(1) }
    }

    /// Decides `kind` on what `request` locks; gives back the set and its outcome.
    pub async fn decided(&self, kind: CommandKind) -> (WorkingSet, Outcome) {
        let request = self.everything();
        let mut unit = self.storage.begin("test").await.unwrap();
        let locked = unit.lock(&request).await.unwrap();
        let mut set = WorkingSet::new(locked.snapshot);
        let command = Command { ids: self.ids.seed(), kind };
        let outcome = decide(&command, &mut set, NOW, &Rules::default()).unwrap();
        (set, outcome)
    }

    /// Decides `kind` and commits it.
    pub async fn run(&self, kind: CommandKind) -> Outcome {
        let (set, outcome) = self.decided(kind).await;
        self.save(&set).await.unwrap();
        outcome
    }

    /// Writes `set` in a unit of work of its own and commits it.
    pub async fn save(&self, set: &WorkingSet) -> Result<(), BoxError> {
        let outbox: Vec<OutboxRecord> = set.events.iter().map(|event| outbox_record(event, None)).collect();
        let mut unit = self.storage.begin("test").await?;
        let traces = PaymentTraces::of(set);
        unit.write(&DeskChanges { outbox: &outbox, ..DeskChanges::of(set, &traces, NOW) }).await?;
        unit.commit().await.map_err(|error| match error {
            CommitError::NotCommitted(error) => Box::new(error),
            CommitError::Unknown(error) => error,
        })
    }

    pub fn place(&self, pieces: i64, coupon: Option<IssuedCouponId>, card: bool) -> CommandKind {
        let card = card.then(|| CardDetails { brand: CardBrand::Kb, last_four: "1234".into() });
        CommandKind::Place(PlaceOrder {
            user: self.user,
            lines: vec![OrderLineRequest { product: self.product, quantity: Quantity::new(pieces).unwrap() }],
            issued_coupon: coupon,
            payment: PaymentRequest { points: card.is_some().then(|| won(200)), card },
            expected_total: None,
        })
    }

    pub async fn order(&self, pieces: i64, coupon: Option<IssuedCouponId>, card: bool) -> Order {
        let Outcome::Order(order) = self.run(self.place(pieces, coupon, card)).await else { unreachable!() };
        *order
    }

    pub async fn issue(&self) -> IssuedCouponId {
        let kind = CommandKind::IssueCoupon { coupon: COUPON, user: self.user };
        let Outcome::CouponIssued(issued, _) = self.run(kind).await else { unreachable!() };
        issued.id
    }

    fn everything(&self) -> LockRequest {
        let state = self.storage.state();
        let users: BTreeSet<UserId> = state.users.keys().copied().collect();
        let parts = |order: &Order| commerce_api_application::ports::OrderParts {
            user: order.user,
            issued_coupon: order.issued_coupon,
            lines: order.lines.clone(),
        };
        let orders: BTreeMap<OrderId, _> =
            state.orders.iter().map(|(id, order)| (*id, parts(order))).collect();
        LockRequest {
            products: state.products.keys().copied().collect(),
            charging_users: users.clone(),
            issued_pairs: users.iter().map(|user| (*user, COUPON)).collect(),
            users,
            charges_since: Timestamp::from_micros(1),
            purchases: BTreeSet::new(),
            keys: BTreeSet::new(),
            coupons: state.coupons.keys().copied().collect(),
            issued: state.issued.keys().copied().collect(),
            orders,
        }
    }
}
