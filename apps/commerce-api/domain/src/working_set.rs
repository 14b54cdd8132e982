use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Aggregate, Coupon, CouponId, CouponPolicy, DomainEvent, EventId, EventKind, IdSeed, IssuedCoupon,
    IssuedCouponId, IssuedCouponStatus, LedgerEntry, LedgerId, LedgerKind, Money, Order, OrderId,
    OrderStatus, PaymentEvent, PaymentEventRecord, PaymentId, PaymentStatus, Product, ProductId, Refusal,
    Rules, StockMovement, Timestamp, User, UserId,
};

/// What a batch read under its locks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Locked products.
    pub products: BTreeMap<ProductId, Product>,
    /// Locked accounts.
    pub users: BTreeMap<UserId, User>,
    /// Locked coupons, for issues.
    pub coupons: BTreeMap<CouponId, Coupon>,
    /// Policies of the issued coupons; they never change.
    pub policies: BTreeMap<CouponId, CouponPolicy>,
    /// Locked issued coupons.
    pub issued: BTreeMap<IssuedCouponId, IssuedCoupon>,
    /// Which customers have which coupons, of the pairs that the batch asks about.
    pub issued_pairs: BTreeSet<(UserId, CouponId)>,
    /// Pieces in live orders, by customer and product: of the pairs that the batch would buy and whose product has a
    /// purchase limit, also where there are none.
    pub purchased: BTreeMap<(UserId, ProductId), i64>,
    /// Locked orders with their payments.
    pub orders: BTreeMap<OrderId, Order>,
    /// Fences of the payments' checks.
    pub fences: BTreeMap<PaymentId, i64>,
}

/// A snapshot, and what the commands of a batch changed in it so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkingSet {
    /// The state as the next command sees it.
    pub snapshot: Snapshot,
    /// Products with another stock or event sequence.
    pub dirty_products: BTreeSet<ProductId>,
    /// Accounts with another balance.
    pub dirty_users: BTreeSet<UserId>,
    /// Coupons with another issued count.
    pub dirty_coupons: BTreeSet<CouponId>,
    /// Issued coupons that were there before and changed, with the status they had.
    pub dirty_issued: BTreeMap<IssuedCouponId, IssuedCouponStatus>,
    /// Issued coupons that are new.
    pub created_issued: BTreeSet<IssuedCouponId>,
    /// Orders that were there before and changed, with the states that they and their payments had.
    pub dirty_orders: BTreeMap<OrderId, (OrderStatus, PaymentStatus)>,
    /// Orders that are new.
    pub created_orders: BTreeSet<OrderId>,
    /// New ledger rows.
    pub ledger: Vec<LedgerEntry>,
    /// New payment events.
    pub payment_events: Vec<PaymentEventRecord>,
    /// New stock movements.
    pub movements: Vec<StockMovement>,
    /// New events, in the order they happened.
    pub events: Vec<DomainEvent>,
}

impl WorkingSet {
    /// A working set in which nothing has changed.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, ..Self::default() }
    }

    /// Whether nothing has changed.
    pub fn is_clean(&self) -> bool {
        let Self { snapshot: _, ledger, payment_events, movements, events, .. } = self;
        self.dirty_products.is_empty()
            && self.dirty_users.is_empty()
            && self.dirty_coupons.is_empty()
            && self.dirty_issued.is_empty()
            && self.created_issued.is_empty()
            && self.dirty_orders.is_empty()
            && self.created_orders.is_empty()
            && ledger.is_empty()
            && payment_events.is_empty()
            && movements.is_empty()
            && events.is_empty()
    }

    /// Takes over what one command changed.
    pub(crate) fn absorb(&mut self, delta: Delta) {
        for (id, product) in delta.products {
            self.snapshot.products.insert(id, product);
            self.dirty_products.insert(id);
        }
        for (id, user) in delta.users {
            self.snapshot.users.insert(id, user);
            self.dirty_users.insert(id);
        }
        for (id, coupon) in delta.coupons {
            self.snapshot.coupons.insert(id, coupon);
            self.dirty_coupons.insert(id);
        }
        for (id, issued) in delta.issued {
            let pair = (issued.user, issued.coupon);
            match self.snapshot.issued.insert(id, issued) {
                Some(before) if !self.created_issued.contains(&id) => {
                    self.dirty_issued.entry(id).or_insert(before.status);
                }
                Some(_) => {}
                None => {
                    self.created_issued.insert(id);
                }
            }
            self.snapshot.issued_pairs.insert(pair);
        }
        for (id, order) in delta.orders {
            match self.snapshot.orders.insert(id, order) {
                Some(before) if !self.created_orders.contains(&id) => {
                    self.dirty_orders.entry(id).or_insert((before.status, before.payment.status));
                }
                Some(_) => {}
                None => {
                    self.created_orders.insert(id);
                }
            }
        }
        self.snapshot.purchased.extend(delta.purchased);
        self.ledger.extend(delta.ledger);
        self.payment_events.extend(delta.payment_events);
        self.movements.extend(delta.movements);
        self.events.extend(delta.events);
    }
}

/// What one command changed.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    products: BTreeMap<ProductId, Product>,
    users: BTreeMap<UserId, User>,
    coupons: BTreeMap<CouponId, Coupon>,
    issued: BTreeMap<IssuedCouponId, IssuedCoupon>,
    orders: BTreeMap<OrderId, Order>,
    purchased: BTreeMap<(UserId, ProductId), i64>,
    ledger: Vec<LedgerEntry>,
    payment_events: Vec<PaymentEventRecord>,
    movements: Vec<StockMovement>,
    events: Vec<DomainEvent>,
}

/// Where one command works: it copies what it touches, so that a refusal half-way leaves no trace.
#[derive(Debug)]
pub(crate) struct Scratch<'a> {
    base: &'a Snapshot,
    delta: Delta,
    ids: IdSeed,
    next_id: u16,
    /// The moment of the batch.
    pub now: Timestamp,
    /// The shop's rules.
    pub rules: &'a Rules,
}

impl<'a> Scratch<'a> {
    pub fn new(base: &'a Snapshot, ids: IdSeed, now: Timestamp, rules: &'a Rules) -> Self {
        Self { base, delta: Delta::default(), ids, next_id: 0, now, rules }
    }

    pub fn finish(self) -> Delta {
        self.delta
    }

    /// The next id of the command.
    pub fn next_id(&mut self) -> uuid::Uuid {
        let id = self.ids.nth(self.next_id);
        self.next_id += 1;
        id
    }

    pub fn product(&mut self, id: ProductId) -> Result<&mut Product, Refusal> {
        let base = self.base.products.get(&id).ok_or(Refusal::ProductNotFound(id))?;
        Ok(self.delta.products.entry(id).or_insert_with(|| base.clone()))
    }

    /// The account as it is now; reading it does not make it a row to write.
    pub fn account(&self, id: UserId) -> Result<&User, Refusal> {
        self.delta.users.get(&id).or_else(|| self.base.users.get(&id)).ok_or(Refusal::UserNotFound)
    }

    pub fn user(&mut self, id: UserId) -> Result<&mut User, Refusal> {
        let base = self.base.users.get(&id).ok_or(Refusal::UserNotFound)?;
        Ok(self.delta.users.entry(id).or_insert_with(|| base.clone()))
    }

    pub fn coupon(&mut self, id: CouponId) -> Result<&mut Coupon, Refusal> {
        let base = self.base.coupons.get(&id).ok_or(Refusal::CouponNotFound)?;
        Ok(self.delta.coupons.entry(id).or_insert_with(|| base.clone()))
    }

    pub fn issued(&mut self, id: IssuedCouponId) -> Result<&mut IssuedCoupon, Refusal> {
        let base = self.base.issued.get(&id).ok_or(Refusal::IssuedCouponNotFound)?;
        Ok(self.delta.issued.entry(id).or_insert_with(|| base.clone()))
    }

    pub fn policy(&self, id: CouponId) -> Result<&'a CouponPolicy, Refusal> {
        self.base.policies.get(&id).ok_or(Refusal::CouponNotFound)
    }

    pub fn has_coupon(&self, user: UserId, coupon: CouponId) -> bool {
        self.base.issued_pairs.contains(&(user, coupon))
    }

    pub fn order(&self, id: OrderId) -> Result<Order, Refusal> {
        self.base.orders.get(&id).cloned().ok_or(Refusal::OrderNotFound)
    }

    /// Pieces of a product in a customer's live orders, if the batch read them.
    pub fn purchased(&self, user: UserId, product: ProductId) -> Option<i64> {
        let pair = (user, product);
        self.delta.purchased.get(&pair).or_else(|| self.base.purchased.get(&pair)).copied()
    }

    /// Adds to the pieces in a customer's live orders, where somebody asks for them.
    pub fn add_purchased(&mut self, user: UserId, product: ProductId, pieces: i64) {
        if let Some(before) = self.purchased(user, product) {
            self.delta.purchased.insert((user, product), before + pieces);
        }
    }

    pub fn fence(&self, payment: PaymentId) -> Option<i64> {
        self.base.fences.get(&payment).copied()
    }

    pub fn put_issued(&mut self, issued: IssuedCoupon) {
        self.delta.issued.insert(issued.id, issued);
    }

    pub fn put_order(&mut self, order: Order) {
        self.delta.orders.insert(order.id, order);
    }

    pub fn put_movement(&mut self, movement: StockMovement) {
        self.delta.movements.push(movement);
    }

    /// Moves points and writes the ledger row; a debit beyond the balance is the caller's to refuse first.
    pub fn move_points(
        &mut self,
        user: UserId,
        order: Option<OrderId>,
        kind: LedgerKind,
        amount: Money,
    ) -> Result<LedgerEntry, Refusal> {
        let id = LedgerId(self.next_id());
        let at = self.now;
        let account = self.user(user)?;
        account.balance = if kind.is_debit() {
            account
                .balance
                .checked_sub(amount)
                .map_err(|_| Refusal::InsufficientPoints { required: amount, balance: account.balance })?
        } else {
            account.balance.checked_add(amount)?
        };
        let entry = LedgerEntry { id, user, order, kind, amount, balance_after: account.balance, at };
        self.delta.ledger.push(entry.clone());
        Ok(entry)
    }

    /// Appends a payment event to `order`'s payment.
    pub fn record_payment(&mut self, order: &mut Order, event: PaymentEvent) -> Result<(), Refusal> {
        let record = order
            .payment
            .apply(event, self.now)
            .map_err(|error| Refusal::Inconsistent(error.to_string().into()))?;
        self.delta.payment_events.push(record);
        Ok(())
    }

    /// Tells other systems of `order`.
    pub fn emit_order(&mut self, order: &mut Order, kind: EventKind) {
        order.event_seq += 1;
        self.emit(Aggregate::Order(order.id), order.event_seq, Some(order.user), kind);
    }

    /// Tells other systems of `product`, counting in its sequence.
    pub fn emit_product(&mut self, product: ProductId, kind: EventKind) -> Result<(), Refusal> {
        let row = self.product(product)?;
        row.event_seq += 1;
        let sequence = row.event_seq;
        self.emit(Aggregate::Product(product), sequence, None, kind);
        Ok(())
    }

    /// Tells other systems of an issued coupon, whose sequence the caller has counted.
    pub fn emit(&mut self, aggregate: Aggregate, sequence: i64, user: Option<UserId>, kind: EventKind) {
        let id = EventId(self.next_id());
        self.delta.events.push(DomainEvent { id, aggregate, sequence, user, at: self.now, kind });
    }
}
