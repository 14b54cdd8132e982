use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_api_domain::{
    CouponId, IssuedCouponId, Money, Order, OrderId, OrderLine, OrderStatus, PaymentEvent,
    PaymentEventRecord, PaymentId, PaymentStatus, ProductId, Snapshot, Timestamp, UserId, WorkingSet,
};

use super::{
    CommitError, Fingerprint, InboxEntry, LikeKey, LockedLikes, NewLikes, SealedCard, StorageError, Verdict,
};

/// Where one use of an `Idempotency-Key` counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyScope {
    /// Whose key.
    pub user: UserId,
    /// Stable name of the route.
    pub route: &'static str,
    /// The caller's key.
    pub key: Arc<str>,
}

/// An answer as bytes, so that a replay is the same to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The `Location` of what was made.
    pub location: Option<Arc<str>>,
    /// JSON; a problem document where the status is 400 or above.
    pub body: Bytes,
}

/// An answer and the request that it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Of the request's canonical body.
    pub fingerprint: Fingerprint,
    /// What was answered.
    pub answer: Answer,
}

/// The parts of an order that never change; read outside of any transaction, so that the locks can be taken in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderParts {
    /// Whose.
    pub user: UserId,
    /// The coupon it used.
    pub issued_coupon: Option<IssuedCouponId>,
    /// What was bought.
    pub lines: Arc<[OrderLine]>,
}

/// What a batch needs under lock. Locks are taken in the order of the fields and by id within each.
#[derive(Debug, Clone, Default)]
pub struct LockRequest {
    /// Products to lock.
    pub products: BTreeSet<ProductId>,
    /// Accounts to lock.
    pub users: BTreeSet<UserId>,
    /// Accounts whose charges since [`Self::charges_since`] are needed; part of `users`.
    pub charging_users: BTreeSet<UserId>,
    /// Start of the business day.
    pub charges_since: Timestamp,
    /// What is to be bought by whom: of the pairs whose product has a purchase limit, the pieces in live orders are
    /// read, once the users are locked; parts of `users` and `products`.
    pub purchases: BTreeSet<(UserId, ProductId)>,
    /// Idempotency keys to read, once their users are locked.
    pub keys: BTreeSet<IdempotencyScope>,
    /// Coupons to lock, for issues.
    pub coupons: BTreeSet<CouponId>,
    /// Issued coupons to lock; their policies are read as well.
    pub issued: BTreeSet<IssuedCouponId>,
    /// Pairs of which is asked whether the customer has the coupon.
    pub issued_pairs: BTreeSet<(UserId, CouponId)>,
    /// Orders to lock, with their payments and the fences of the payments' checks.
    pub orders: BTreeMap<OrderId, OrderParts>,
}

/// What was read under lock. What does not exist is absent.
#[derive(Debug, Clone, Default)]
pub struct Locked {
    /// State of the rows.
    pub snapshot: Snapshot,
    /// Answers stored under the keys.
    pub answers: BTreeMap<IdempotencyScope, StoredAnswer>,
}

/// One row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Consumers dedupe by it.
    pub event_id: uuid::Uuid,
    /// Envelope's `aggregateType`.
    pub aggregate_type: &'static str,
    /// Envelope's `aggregateId`.
    pub aggregate_id: String,
    /// Sequence of the aggregate.
    pub sequence: i64,
    /// Where to publish it; the partition key is the aggregate id.
    pub topic: &'static str,
    /// `CloudEvents` attributes and `traceparent`, as a JSON object.
    pub headers: String,
    /// The envelope as JSON.
    pub payload: String,
    /// Which relay shard publishes it: a hash of the aggregate.
    pub shard: i16,
    /// When it happened.
    pub at: Timestamp,
}

/// Something that an administrator or the CLI did by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Row id.
    pub id: uuid::Uuid,
    /// Who: `user:42`, `cli`.
    pub actor: String,
    /// What: `STOCK_MOVED`.
    pub action: &'static str,
    /// To what: `product:7`.
    pub target: String,
    /// How, as JSON; never a secret.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// A refund that became due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRow {
    /// Which payment.
    pub payment: PaymentId,
    /// The gateway's key of the capture.
    pub gateway_key: Arc<str>,
    /// Our key of the refund: the same whenever it is tried.
    pub refund_key: String,
    /// The card part, whole.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// Rows that follow from how payments moved: what the dispatcher must visit, card numbers, and refunds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentTraces {
    /// Payments that have to be visited now, whether they had a check or not.
    pub checks_added: Vec<PaymentId>,
    /// Payments that are final.
    pub checks_removed: Vec<PaymentId>,
    /// Payments whose card number is needed no longer.
    pub vault_cleared: Vec<PaymentId>,
    /// Refunds that became due.
    pub refunds_added: Vec<RefundRow>,
    /// Refunds that are done, by payment and the gateway's key of the capture.
    pub refunds_settled: Vec<(PaymentId, Arc<str>)>,
}

impl PaymentTraces {
    /// The traces of all payments that `set` created or changed.
    pub fn of(set: &WorkingSet) -> Self {
        let mut traces = Self::default();
        for id in &set.created_orders {
            if let Some(order) = set.snapshot.orders.get(id)
                && !order.payment.status.is_final()
            {
                traces.checks_added.push(order.payment.id);
            }
        }
        for (id, before) in &set.dirty_orders {
            let Some(order) = set.snapshot.orders.get(id) else { continue };
            // A final payment with a refund that is due is visited all the same, and so is one that was closed although an
            // earlier attempt may be at the gateway: that it was not found there once is no proof.
            let payment = &order.payment;
            let may_be_charged = payment.status == PaymentStatus::Voided && payment.attempt > 0;
            let is_done = payment.status.is_final()
                && !may_be_charged
                && payment.duplicates.iter().all(|known| known.refunded);
            if !before.1.is_final() && is_done {
                traces.checks_removed.push(order.payment.id);
            }
            if needs_number(*before) && !needs_number((order.status, order.payment.status)) {
                traces.vault_cleared.push(order.payment.id);
            }
        }
        let orders: BTreeMap<PaymentId, &Order> =
            set.snapshot.orders.values().map(|order| (order.payment.id, order)).collect();
        for record in &set.payment_events {
            if let Some(order) = orders.get(&record.payment)
                && !order.payment.card_part.is_zero()
            {
                traces.follow(record, order);
            }
        }
        traces
    }

    /// What one event of a payment with a card part leaves.
    fn follow(&mut self, record: &PaymentEventRecord, order: &Order) {
        let payment = &order.payment;
        let capture = record.event.gateway_key().or(payment.gateway_key.as_ref());
        match (&record.event, capture) {
            (
                PaymentEvent::RefundRequested
                | PaymentEvent::CapturedLate { .. }
                | PaymentEvent::DuplicateCaptured { .. },
                Some(key),
            ) => {
                // Numbered by the event: a payment can have more than one, and a key of the gateway's may be long.
                let refund_key = format!("{}:refund:{}", payment.id, record.seq);
                let (gateway_key, amount, at) = (key.clone(), payment.card_part, record.at);
                self.refunds_added.push(RefundRow {
                    payment: payment.id,
                    gateway_key,
                    refund_key,
                    amount,
                    at,
                });
                self.due(payment.id);
            }
            (PaymentEvent::Refunded | PaymentEvent::DuplicateRefunded { .. }, Some(key)) => {
                self.refunds_settled.push((payment.id, key.clone()));
            }
            _ => {}
        }
    }

    /// Keeps the checks of payments that `set` ended and of which the gateway has something, for one that may have it twice.
    /// The visit that looks for the other ends the check; until then the row is the only thing that remembers, whoever dies
    /// or gets no answer.
    pub fn keep_looking(&mut self, set: &WorkingSet) {
        let payments = set.snapshot.orders.values().map(|order| &order.payment);
        let known: BTreeSet<PaymentId> =
            payments.filter(|payment| payment.gateway_key.is_some()).map(|payment| payment.id).collect();
        self.checks_removed.retain(|payment| !known.contains(payment));
    }

    /// Has a payment visited now, also where it became final.
    pub fn visit(&mut self, payment: PaymentId) {
        self.checks_removed.retain(|removed| *removed != payment);
        self.due(payment);
    }

    fn due(&mut self, payment: PaymentId) {
        if !self.checks_added.contains(&payment) {
            self.checks_added.push(payment);
        }
    }
}

/// Whether the card number may have to be sent (again): nothing definite is known, and somebody waits for it.
const fn needs_number((order, payment): (OrderStatus, PaymentStatus)) -> bool {
    matches!(order, OrderStatus::PaymentPending)
        && matches!(payment, PaymentStatus::Pending | PaymentStatus::Requesting | PaymentStatus::Unknown)
}

/// What a batch writes, with one statement a table.
#[derive(Debug)]
pub struct DeskChanges<'a> {
    /// Changed and new rows.
    pub set: &'a WorkingSet,
    /// Checks and refunds that follow from them.
    pub traces: &'a PaymentTraces,
    /// Card numbers to keep until nobody needs them any more, of new orders.
    pub cards: &'a [(PaymentId, SealedCard)],
    /// Callbacks that the commands came from, with the verdicts on them; one each.
    pub callbacks: &'a [(InboxEntry, Verdict)],
    /// Events to publish.
    pub outbox: &'a [OutboxRecord],
    /// New answers under idempotency keys.
    pub answers: &'a [(IdempotencyScope, StoredAnswer)],
    /// When these answers may be forgotten.
    pub answers_expire_at: Timestamp,
    /// What was done by hand.
    pub audit: &'a [AuditEntry],
    /// The moment of the batch.
    pub now: Timestamp,
}

impl<'a> DeskChanges<'a> {
    /// Changed rows and what follows from them, and nothing else.
    pub const fn of(set: &'a WorkingSet, traces: &'a PaymentTraces, now: Timestamp) -> Self {
        Self {
            set,
            traces,
            cards: &[],
            callbacks: &[],
            outbox: &[],
            answers: &[],
            answers_expire_at: now,
            audit: &[],
            now,
        }
    }
}

/// Where orders, money and stock are kept.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The immutable parts of `orders`, read outside of any transaction; unknown orders are absent.
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError>;

    /// Opens a unit of work under a name that logs, metrics and statement counts use.
    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError>;
}

/// One transaction. Dropped without a commit, it leaves no trace.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Locks and reads what `request` names.
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError>;

    /// Locks and reads like rows, and tells which of the products exist.
    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError>;

    /// Writes what a batch of the order desk changed. Fails with [`StorageError::Data`] where a row is not in the
    /// state it was read in, or a constraint refuses it.
    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError>;

    /// Writes what a batch of likes changed.
    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError>;

    /// Makes it durable. Consumes the unit: nothing can follow.
    async fn commit(self: Box<Self>) -> Result<(), CommitError>;
}
