use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use commerce_api_application::ports::{
    AuditEntry, IdempotencyScope, OrderParts, OutboxRecord, Storage, StorageError, StoredAnswer, UnitOfWork,
};
use commerce_api_domain::{
    Coupon, CouponPolicy, IssuedCoupon, LedgerEntry, LedgerId, LedgerKind, Like, Money, MovementId,
    MovementKind, Order, OrderId, PaymentEventRecord, PaymentId, Product, ProductId, ProductStatus, Quantity,
    StockMovement, Timestamp, User, UserId,
};
use uuid::Uuid;

use super::faults::{Fault, Faults, Operation};
use super::state::{Check, MemoryState, Refund, Tables};
use super::unit::MemoryUnit;

/// Why the storage in memory refuses; the source of a [`StorageError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A fault that the test asked for.
    #[error("injected fault {0:?}")]
    Injected(Fault),
    /// A unique key is taken.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// A check is not kept.
    #[error("check {0} is not kept")]
    Check(&'static str),
    /// A row is missing, or not in the state it was read in.
    #[error("{0} has moved")]
    Moved(&'static str),
    /// An earlier write of the unit failed.
    #[error("the unit of work failed before")]
    UnitFailed,
    /// Every write that changes this account is refused.
    #[error("account {0} is poisoned")]
    Poisoned(UserId),
}

/// Takes a lock that no panic leaves in a bad state: whoever changes what is behind it only stages.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Held by the one open unit of work, in the order in which they came.
    pub transaction: Arc<tokio::sync::Mutex<()>>,
    pub tables: Mutex<Tables>,
    pub faults: Faults,
}

/// Storage in memory. Clones share the rows.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        let tables = locked(&self.shared.tables);
        let parts = |order: &Order| OrderParts {
            user: order.user,
            issued_coupon: order.issued_coupon,
            lines: order.lines.clone(),
        };
        let committed = tables.orders.committed();
        Ok(orders.iter().filter_map(|id| Some((*id, parts(committed.get(id)?)))).collect())
    }

    async fn begin(&self, _name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        if let Some(fault) = self.shared.faults.take(Operation::Begin) {
            return Err(fault.storage_error());
        }
        let turn = self.shared.transaction.clone().lock_owned().await;
        Ok(Box::new(MemoryUnit::new(self.shared.clone(), turn)))
    }
}

impl MemoryStorage {
    /// Runs `work` as a transaction of its own.
    pub(super) async fn alone<R>(&self, work: impl FnOnce(&mut Tables) -> R) -> Result<R, StorageError> {
        if let Some(fault) = self.shared.faults.take(Operation::Begin) {
            return Err(fault.storage_error());
        }
        let _turn = self.shared.transaction.lock().await;
        let mut tables = locked(&self.shared.tables);
        let done = work(&mut tables);
        tables.commit();
        Ok(done)
    }
}

/// Rows that a test starts with. Call these while no unit of work is open.
impl MemoryStorage {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// What goes wrong next.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Adds an account with `balance` points, recorded as a charge at the epoch.
    pub fn add_user(&self, balance: Money) -> UserId {
        let mut tables = locked(&self.shared.tables);
        let id = UserId(next_id(tables.users.committed().keys().next_back().map(|id| id.0)));
        tables.users.put(id, User { id, balance, charged_today: Money::ZERO });
        if !balance.is_zero() {
            let entry = LedgerEntry {
                id: LedgerId(fixture_id(1, id.0)),
                user: id,
                order: None,
                kind: LedgerKind::Charge,
                amount: balance,
                balance_after: balance,
                at: Timestamp::default(),
            };
            tables.charges.put((id, entry.at, entry.id), balance);
            tables.ledger.put(entry.id, entry);
        }
        tables.commit();
        id
    }

    /// Adds a product on sale with `stock` pieces, recorded as a receipt at the epoch.
    pub fn add_product(&self, name: &str, price: Money, stock: i64) -> ProductId {
        let mut tables = locked(&self.shared.tables);
        let id = ProductId(next_id(tables.products.committed().keys().next_back().map(|id| id.0)));
        let product = Product {
            id,
            name: name.into(),
            price,
            stock,
            status: ProductStatus::OnSale,
            purchase_limit: None,
            event_seq: 0,
        };
        tables.products.put(id, product);
        if stock > 0 {
            let movement = StockMovement {
                id: MovementId(fixture_id(2, id.0)),
                product: id,
                kind: MovementKind::Receipt,
                quantity: stock,
                stock_after: stock,
                reason: None,
                at: Timestamp::default(),
            };
            tables.movements.put(movement.id, movement);
        }
        tables.commit();
        id
    }

    /// Adds a coupon that nobody has yet, under the id in its policy.
    pub fn add_coupon(&self, policy: CouponPolicy) {
        let mut tables = locked(&self.shared.tables);
        tables.coupons.put(policy.id, Coupon { policy, issued_count: 0 });
        tables.commit();
    }

    /// Changes whether a product is sold.
    pub fn set_product_status(&self, id: ProductId, status: ProductStatus) {
        let mut tables = locked(&self.shared.tables);
        if let Some(product) = tables.products.get(&id).cloned() {
            tables.products.put(id, Product { status, ..product });
        }
        tables.commit();
    }

    /// Changes how many pieces one customer may buy.
    pub fn set_purchase_limit(&self, id: ProductId, purchase_limit: Option<Quantity>) {
        let mut tables = locked(&self.shared.tables);
        if let Some(product) = tables.products.get(&id).cloned() {
            tables.products.put(id, Product { purchase_limit, ..product });
        }
        tables.commit();
    }

    /// Claims the check of a payment for one more dispatcher; gives back the new fence.
    pub fn claim_check(&self, payment: PaymentId) -> Option<i64> {
        let mut tables = locked(&self.shared.tables);
        let check = *tables.checks.get(&payment)?;
        let fence = check.fence + 1;
        tables.checks.put(payment, Check { fence, is_held: true, ..check });
        tables.commit();
        Some(fence)
    }
}

/// Committed rows, as copies.
impl MemoryStorage {
    /// Every committed row.
    pub fn state(&self) -> MemoryState {
        locked(&self.shared.tables).committed()
    }

    /// Orders with their lines and payments.
    pub fn orders(&self) -> BTreeMap<OrderId, Order> {
        locked(&self.shared.tables).orders.committed().clone()
    }

    /// Products.
    pub fn products(&self) -> BTreeMap<ProductId, Product> {
        locked(&self.shared.tables).products.committed().clone()
    }

    /// Accounts.
    pub fn users(&self) -> BTreeMap<UserId, User> {
        locked(&self.shared.tables).users.committed().clone()
    }

    /// The point ledger.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        locked(&self.shared.tables).ledger.committed().values().cloned().collect()
    }

    /// Events to publish, in the order they were written.
    pub fn outbox(&self) -> Vec<OutboxRecord> {
        locked(&self.shared.tables).outbox.committed().values().cloned().collect()
    }

    /// Events to publish that were written after the one with this number, with their numbers.
    pub fn outbox_after(&self, number: i64) -> Vec<(i64, OutboxRecord)> {
        let tables = locked(&self.shared.tables);
        let later = tables.outbox.committed().range(number.saturating_add(1)..);
        later.map(|(number, record)| (*number, record.clone())).collect()
    }

    /// Answers under idempotency keys.
    pub fn answers(&self) -> BTreeMap<IdempotencyScope, StoredAnswer> {
        let tables = locked(&self.shared.tables);
        tables.answers.committed().iter().map(|(scope, kept)| (scope.clone(), kept.stored.clone())).collect()
    }

    /// Likes.
    pub fn likes(&self) -> Vec<Like> {
        locked(&self.shared.tables).likes.committed().values().cloned().collect()
    }

    /// Coupons in customers' hands.
    pub fn issued(&self) -> Vec<IssuedCoupon> {
        locked(&self.shared.tables).issued.committed().values().cloned().collect()
    }

    /// What the dispatcher has to visit.
    pub fn checks(&self) -> BTreeMap<PaymentId, Check> {
        locked(&self.shared.tables).checks.committed().clone()
    }

    /// Receipts and adjustments of stock.
    pub fn movements(&self) -> Vec<StockMovement> {
        locked(&self.shared.tables).movements.committed().values().cloned().collect()
    }

    /// Histories of all payments, each in order.
    pub fn payment_events(&self) -> Vec<PaymentEventRecord> {
        locked(&self.shared.tables).payment_events.committed().values().cloned().collect()
    }

    /// Refunds by payment and the gateway's key of the capture.
    pub fn refunds(&self) -> BTreeMap<(PaymentId, Arc<str>), Refund> {
        locked(&self.shared.tables).refunds.committed().clone()
    }

    /// What was done by hand.
    pub fn audit_log(&self) -> Vec<AuditEntry> {
        locked(&self.shared.tables).audit_log.committed().values().cloned().collect()
    }
}

fn next_id(last: Option<i64>) -> i64 {
    last.unwrap_or_default() + 1
}

/// An id that no id source makes: it is of no version.
fn fixture_id(kind: u64, number: i64) -> Uuid {
    Uuid::from_u64_pair(kind, number.unsigned_abs())
}
