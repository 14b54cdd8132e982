use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_application::ports::{
    CommitError, DeskChanges, LikeKey, LockRequest, Locked, LockedLikes, NewLikes, StorageError, UnitOfWork,
};
use commerce_api_domain::{LedgerId, Money, ProductId, Timestamp, User, UserId};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::faults::{Fault, Operation};
use super::state::Tables;
use super::storage::{MemoryError, Shared, locked};
use super::write;

/// The one open unit of work. What it stages is forgotten when it is dropped.
pub(super) struct MemoryUnit {
    shared: Arc<Shared>,
    failed: bool,
    _turn: OwnedMutexGuard<()>,
}

impl MemoryUnit {
    pub const fn new(shared: Arc<Shared>, turn: OwnedMutexGuard<()>) -> Self {
        Self { shared, failed: false, _turn: turn }
    }

    fn stage(
        &mut self,
        work: impl FnOnce(&mut Tables, &Shared) -> Result<(), MemoryError>,
    ) -> Result<(), StorageError> {
        if let Some(fault) = self.shared.faults.take(Operation::Write) {
            self.failed = true;
            return Err(fault.storage_error());
        }
        if self.failed {
            return Err(StorageError::Data(Box::new(MemoryError::UnitFailed)));
        }
        let done = work(&mut locked(&self.shared.tables), &self.shared);
        self.failed = done.is_err();
        done.map_err(|error| StorageError::Data(Box::new(error)))
    }

    fn fault_of_lock(&self) -> Result<(), StorageError> {
        self.shared.faults.take(Operation::Lock).map_or(Ok(()), |fault| Err(fault.storage_error()))
    }
}

impl Drop for MemoryUnit {
    fn drop(&mut self) {
        // Before the turn passes on: fields are dropped after this.
        locked(&self.shared.tables).discard();
    }
}

#[async_trait]
impl UnitOfWork for MemoryUnit {
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError> {
        self.fault_of_lock()?;
        Ok(read(&locked(&self.shared.tables), request))
    }

    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError> {
        self.fault_of_lock()?;
        let tables = locked(&self.shared.tables);
        Ok(LockedLikes {
            likes: keys.iter().filter_map(|key| Some((*key, tables.likes.get(key)?.clone()))).collect(),
            products: keys.iter().map(|key| key.0).filter(|id| tables.products.get(id).is_some()).collect(),
        })
    }

    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
        self.stage(|tables, shared| {
            let poisoned = changes.set.dirty_users.iter().find(|user| shared.faults.is_poisoned(**user));
            match poisoned {
                Some(user) => Err(MemoryError::Poisoned(*user)),
                None => write::desk(tables, changes),
            }
        })
    }

    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError> {
        self.stage(|tables, _| {
            write::likes(tables, changes);
            Ok(())
        })
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        if self.failed {
            return Err(CommitError::NotCommitted(StorageError::Data(Box::new(MemoryError::UnitFailed))));
        }
        let fault = self.shared.faults.take(Operation::Commit);
        if matches!(fault, None | Some(Fault::CommitAnswerLost { applied: true })) {
            locked(&self.shared.tables).commit();
        }
        fault.map_or(Ok(()), |fault| Err(fault.commit_error()))
    }
}

fn read(tables: &Tables, request: &LockRequest) -> Locked {
    let mut locked = Locked::default();
    let snapshot = &mut locked.snapshot;
    for id in &request.products {
        snapshot.products.extend(tables.products.get(id).map(|product| (*id, product.clone())));
    }
    for id in &request.users {
        let since = request.charging_users.contains(id).then_some(request.charges_since);
        snapshot.users.extend(user(tables, *id, since).map(|user| (*id, user)));
    }
    for pair in &request.purchases {
        let is_limited =
            snapshot.products.get(&pair.1).is_some_and(|product| product.purchase_limit.is_some());
        if is_limited {
            snapshot.purchased.insert(*pair, purchased(tables, *pair));
        }
    }
    for scope in &request.keys {
        locked.answers.extend(tables.answers.get(scope).map(|kept| (scope.clone(), kept.stored.clone())));
    }
    for id in &request.coupons {
        snapshot.coupons.extend(tables.coupons.get(id).map(|coupon| (*id, coupon.clone())));
    }
    for id in &request.issued {
        let Some(issued) = tables.issued.get(id) else { continue };
        snapshot.issued.insert(*id, issued.clone());
        let policy = tables.coupons.get(&issued.coupon).map(|coupon| coupon.policy.clone());
        snapshot.policies.extend(policy.map(|policy| (issued.coupon, policy)));
    }
    for pair in &request.issued_pairs {
        if tables.issued_by_pair.get(pair).is_some() {
            snapshot.issued_pairs.insert(*pair);
        }
    }
    for id in request.orders.keys() {
        let Some(order) = tables.orders.get(id) else { continue };
        snapshot
            .fences
            .extend(tables.checks.get(&order.payment.id).map(|check| (order.payment.id, check.fence)));
        snapshot.orders.insert(*id, order.clone());
    }
    locked
}

/// Pieces of a product in a customer's live orders.
fn purchased(tables: &Tables, (user, product): (UserId, ProductId)) -> i64 {
    let orders = tables.orders.committed().values();
    let live = orders.filter(|order| order.user == user && order.status.is_live());
    let lines = live.flat_map(|order| order.lines.iter());
    lines.filter(|line| line.product == product).map(|line| line.quantity.get()).sum()
}

/// The account; with the sum of its charges where it is asked for since when.
fn user(tables: &Tables, id: UserId, charges_since: Option<Timestamp>) -> Option<User> {
    let user = tables.users.get(&id)?.clone();
    let charged_today = match charges_since {
        Some(since) => {
            let first = (id, since, LedgerId(Uuid::nil()));
            let end = (UserId(id.0 + 1), Timestamp::from_micros(i64::MIN), LedgerId(Uuid::nil()));
            let charges = tables.charges.range((Bound::Included(first), Bound::Excluded(end)));
            Money::sum(charges.into_iter().map(|(_, amount)| *amount)).unwrap_or(Money::MAX)
        }
        None => Money::ZERO,
    };
    Some(User { charged_today, ..user })
}
