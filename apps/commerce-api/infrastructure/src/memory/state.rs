use std::collections::BTreeMap;
use std::sync::Arc;

use commerce_api_application::ports::{
    AuditEntry, IdempotencyScope, InboxEntry, LikeKey, OutboxRecord, SealedCard, StoredAnswer, Verdict,
};
use commerce_api_domain::{
    Coupon, CouponId, IssuedCoupon, IssuedCouponId, LedgerEntry, LedgerId, LedgerKind, Like, Money,
    MovementId, Order, OrderId, PaymentEventRecord, PaymentId, Product, ProductId, StockMovement, Timestamp,
    User, UserId,
};
use uuid::Uuid;

use super::reconciliation::Reconciliation;
use super::table::Table;

/// When the dispatcher visits a payment next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub next_check_at: Timestamp,
    /// Grows with every dispatcher that claims it.
    pub fence: i64,
    /// Whether a dispatcher has claimed it and nobody has made it due since.
    pub is_held: bool,
    /// Visits in a row that brought nothing new.
    pub tries: i64,
}

impl Check {
    /// Due at `at`, whoever held it.
    pub(super) const fn due(self, at: Timestamp) -> Self {
        Self { next_check_at: at, is_held: false, tries: 0, ..self }
    }
}

/// A callback that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCallback {
    /// As it came.
    pub entry: InboxEntry,
    /// What became of it.
    pub verdict: Verdict,
}

/// A refund and whether it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Our key of the refund.
    pub refund_key: String,
    /// The card part, whole.
    pub amount: Money,
    /// When it became due.
    pub created_at: Timestamp,
    /// When the gateway had done it.
    pub settled_at: Option<Timestamp>,
}

/// An answer under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The answer and what it answered.
    pub stored: StoredAnswer,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// Who holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptLease {
    pub owner: Uuid,
    pub fence: i64,
    pub until: Timestamp,
}

/// Every committed row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// Products.
    pub products: BTreeMap<ProductId, Product>,
    /// Accounts.
    pub users: BTreeMap<UserId, User>,
    /// Coupons.
    pub coupons: BTreeMap<CouponId, Coupon>,
    /// Coupons in customers' hands.
    pub issued: BTreeMap<IssuedCouponId, IssuedCoupon>,
    /// Orders with their lines and payments.
    pub orders: BTreeMap<OrderId, Order>,
    /// The point ledger.
    pub ledger: BTreeMap<LedgerId, LedgerEntry>,
    /// Histories of payments.
    pub payment_events: BTreeMap<(PaymentId, i64), PaymentEventRecord>,
    /// What the dispatcher has to visit.
    pub checks: BTreeMap<PaymentId, Check>,
    /// Card numbers that may have to be sent.
    pub vault: BTreeMap<PaymentId, SealedCard>,
    /// Callbacks by the gateway's id.
    pub callbacks: BTreeMap<String, KeptCallback>,
    /// Refunds by payment and the gateway's key of the capture.
    pub refunds: BTreeMap<(PaymentId, Arc<str>), Refund>,
    /// Receipts and adjustments of stock.
    pub movements: BTreeMap<MovementId, StockMovement>,
    /// Likes.
    pub likes: BTreeMap<LikeKey, Like>,
    /// Answers under idempotency keys.
    pub answers: BTreeMap<IdempotencyScope, KeptAnswer>,
    /// Events to publish, in the order they were written.
    pub outbox: BTreeMap<i64, OutboxRecord>,
    /// What was done by hand.
    pub audit_log: BTreeMap<Uuid, AuditEntry>,
}

/// The tables, and the indexes that make columns unique or reads fast.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub products: Table<ProductId, Product>,
    pub users: Table<UserId, User>,
    pub coupons: Table<CouponId, Coupon>,
    pub issued: Table<IssuedCouponId, IssuedCoupon>,
    pub issued_by_pair: Table<(UserId, CouponId), IssuedCouponId>,
    pub orders: Table<OrderId, Order>,
    pub orders_by_payment: Table<PaymentId, OrderId>,
    pub payments_by_gateway_key: Table<Arc<str>, PaymentId>,
    pub ledger: Table<LedgerId, LedgerEntry>,
    pub ledger_by_order: Table<(OrderId, LedgerKind), LedgerId>,
    pub charges: Table<(UserId, Timestamp, LedgerId), Money>,
    pub payment_events: Table<(PaymentId, i64), PaymentEventRecord>,
    pub checks: Table<PaymentId, Check>,
    pub vault: Table<PaymentId, SealedCard>,
    pub callbacks: Table<String, KeptCallback>,
    pub refunds: Table<(PaymentId, Arc<str>), Refund>,
    pub movements: Table<MovementId, StockMovement>,
    pub likes: Table<LikeKey, Like>,
    pub answers: Table<IdempotencyScope, KeptAnswer>,
    pub outbox: Table<i64, OutboxRecord>,
    pub audit_log: Table<Uuid, AuditEntry>,
    /// The last id that the outbox gave; like AUTOINCREMENT it never gives one twice.
    pub last_outbox_id: i64,
    /// Leases by name; each is taken or not, so there is nothing to stage.
    pub leases: BTreeMap<&'static str, KeptLease>,
    /// Written by reconciliation alone, so there is nothing to stage.
    pub reconciliation: Reconciliation,
}

macro_rules! each_table {
    ($tables:expr, $method:ident) => {{
        let tables = $tables;
        tables.products.$method();
        tables.users.$method();
        tables.coupons.$method();
        tables.issued.$method();
        tables.issued_by_pair.$method();
        tables.orders.$method();
        tables.orders_by_payment.$method();
        tables.payments_by_gateway_key.$method();
        tables.ledger.$method();
        tables.ledger_by_order.$method();
        tables.charges.$method();
        tables.payment_events.$method();
        tables.checks.$method();
        tables.vault.$method();
        tables.callbacks.$method();
        tables.refunds.$method();
        tables.movements.$method();
        tables.likes.$method();
        tables.answers.$method();
        tables.outbox.$method();
        tables.audit_log.$method();
    }};
}

impl Tables {
    /// Makes what is staged visible.
    pub fn commit(&mut self) {
        each_table!(self, commit);
    }

    /// Forgets what is staged.
    pub fn discard(&mut self) {
        each_table!(self, discard);
    }

    /// A copy of every committed row.
    pub fn committed(&self) -> MemoryState {
        MemoryState {
            products: self.products.committed().clone(),
            users: self.users.committed().clone(),
            coupons: self.coupons.committed().clone(),
            issued: self.issued.committed().clone(),
            orders: self.orders.committed().clone(),
            ledger: self.ledger.committed().clone(),
            payment_events: self.payment_events.committed().clone(),
            checks: self.checks.committed().clone(),
            vault: self.vault.committed().clone(),
            callbacks: self.callbacks.committed().clone(),
            refunds: self.refunds.committed().clone(),
            movements: self.movements.committed().clone(),
            likes: self.likes.committed().clone(),
            answers: self.answers.committed().clone(),
            outbox: self.outbox.committed().clone(),
            audit_log: self.audit_log.committed().clone(),
        }
    }
}
