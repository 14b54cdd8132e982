//! The database as one process sees it: every call passes the process's gate and may fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AcknowledgedRow, AuditEntry, CallbackInbox, ClaimedCheck, CommitError, DeskChanges, HeldShard,
    InboxEntry, Lease, LeaseStore, LeaseTaking, LikeKey, LockRequest, Locked, LockedLikes, NewLikes,
    NextCheck, OpenFilter, OpenPayment, OrderFilter, OrderParts, OrderPosition, OrderQueries, OutboxDepth,
    OutboxRow, OutboxStore, PaymentChecks, PaymentQueries, PaymentsInState, Storage, StorageError, Stream,
    UnitOfWork, Verdict,
};
use commerce_api_domain::{Order, OrderId, OrderStatus, Payment, PaymentEventRecord, PaymentId, Timestamp};
use commerce_api_infrastructure::memory::{Fault as Injected, MemoryStorage};
use uuid::Uuid;

use crate::fault::Fault;
use crate::life::{Life, OpenUnit};
use crate::witness::Witness;
use crate::world::{World, locked};

/// The database of all processes.
pub struct Database {
    /// What all share.
    pub world: Arc<World>,
    /// The rows.
    pub rows: MemoryStorage,
    /// Looks at the rows after every commit.
    pub witness: Witness,
}

/// A process's connection to it.
#[derive(Clone)]
pub struct Connection {
    database: Arc<Database>,
    life: Arc<Life>,
}

fn lost() -> StorageError {
    StorageError::Unavailable("the connection broke".into())
}

impl Connection {
    /// Of the process that has this life.
    pub const fn new(database: Arc<Database>, life: Arc<Life>) -> Self {
        Self { database, life }
    }

    fn strikes(&self, fault: Fault) -> bool {
        self.database.world.strikes(fault)
    }

    /// On the way to the database.
    async fn there(&self) {
        self.life.gate().await;
        if self.strikes(Fault::DatabaseSlow) {
            // tidy: sleep simulated time
            tokio::time::sleep(self.database.world.span(100, 2_000)).await;
        }
    }

    /// A statement that is a transaction of its own.
    async fn alone<R>(&self, work: impl Future<Output = Result<R, StorageError>>) -> Result<R, StorageError> {
        self.there().await;
        if self.strikes(Fault::StatementFails) {
            self.life.gate().await;
            return Err(lost());
        }
        let done = work.await;
        self.database.witness.committed(&self.database);
        self.life.gate().await;
        if self.strikes(Fault::StatementAnswerLost) { Err(lost()) } else { done }
    }

    /// A read outside of any transaction.
    async fn read<R>(&self, work: impl FnOnce(&MemoryStorage) -> R) -> Result<R, StorageError> {
        self.there().await;
        let fails = self.strikes(Fault::StatementFails);
        let read = work(&self.database.rows);
        self.life.gate().await;
        if fails { Err(lost()) } else { Ok(read) }
    }

    /// The faults of the storage that strike its next call.
    fn inject(&self, kinds: &[(Fault, Injected)]) {
        if let Some((_, fault)) = kinds.iter().find(|(kind, _)| self.strikes(*kind)) {
            self.database.rows.faults().push(*fault);
        }
    }
}

#[async_trait]
impl Storage for Connection {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        self.there().await;
        let parts = self.database.rows.order_parts(orders).await;
        self.life.gate().await;
        if self.strikes(Fault::StatementFails) { Err(lost()) } else { parts }
    }

    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        self.there().await;
        let kind = if self.database.world.draw(0, 2) == 0 {
            Injected::BeginBusy
        } else {
            Injected::BeginUnavailable
        };
        self.inject(&[(Fault::BeginRefused, kind)]);
        let unit = self.database.rows.begin(name).await?;
        let unit = Arc::new(Mutex::new(Some(unit)));
        self.life.opens(&unit);
        if self.life.is_dead() {
            // It died while it waited for its turn.
            locked(&unit).take();
        }
        self.life.gate().await;
        Ok(Box::new(Transaction { connection: self.clone(), unit }))
    }
}

/// A transaction that ends with its process.
struct Transaction {
    connection: Connection,
    unit: Arc<OpenUnit>,
}

impl Transaction {
    async fn taken(&self) -> Result<Box<dyn UnitOfWork>, StorageError> {
        self.connection.there().await;
        locked(&self.unit).take().ok_or_else(|| StorageError::Transient("rolled back by the database".into()))
    }

    /// Nothing awaits between taking and putting back, but for what is ready at once.
    fn put_back(&self, unit: Box<dyn UnitOfWork>) {
        *locked(&self.unit) = Some(unit);
    }
}

#[async_trait]
impl UnitOfWork for Transaction {
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError> {
        let mut unit = self.taken().await?;
        self.connection.inject(&[(Fault::LockBusy, Injected::LockBusy)]);
        let done = unit.lock(request).await;
        self.put_back(unit);
        self.connection.life.gate().await;
        done
    }

    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError> {
        let mut unit = self.taken().await?;
        self.connection.inject(&[(Fault::LockBusy, Injected::LockBusy)]);
        let done = unit.lock_likes(keys).await;
        self.put_back(unit);
        self.connection.life.gate().await;
        done
    }

    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
        let mut unit = self.taken().await?;
        self.connection
            .inject(&[(Fault::WriteBusy, Injected::WriteBusy), (Fault::WriteRefused, Injected::WriteData)]);
        let done = unit.write(changes).await;
        self.put_back(unit);
        self.connection.life.gate().await;
        done
    }

    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError> {
        let mut unit = self.taken().await?;
        self.connection
            .inject(&[(Fault::WriteBusy, Injected::WriteBusy), (Fault::WriteRefused, Injected::WriteData)]);
        let done = unit.write_likes(changes).await;
        self.put_back(unit);
        self.connection.life.gate().await;
        done
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        let unit = self.taken().await.map_err(CommitError::NotCommitted)?;
        self.connection.inject(&[
            (Fault::CommitRefused, Injected::CommitRefused),
            (Fault::CommitAnswerLost, Injected::CommitAnswerLost { applied: true }),
            (Fault::CommitLost, Injected::CommitAnswerLost { applied: false }),
        ]);
        let done = unit.commit().await;
        self.connection.database.witness.committed(&self.connection.database);
        self.connection.life.gate().await;
        done
    }
}

#[async_trait]
impl PaymentChecks for Connection {
    async fn claim(
        &self,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError> {
        self.alone(self.database.rows.claim(owner, now, ttl, limit)).await
    }

    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError> {
        self.alone(self.database.rows.reschedule(next)).await
    }

    async fn finish(&self, payment: PaymentId, fence: i64) -> Result<(), StorageError> {
        self.alone(self.database.rows.finish(payment, fence)).await
    }

    async fn hasten(
        &self,
        payment: PaymentId,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<(), StorageError> {
        self.alone(self.database.rows.hasten(payment, at, audit)).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StorageError> {
        self.alone(self.database.rows.take_over(now)).await
    }

    async fn fence(&self, payment: PaymentId) -> Result<Option<i64>, StorageError> {
        self.alone(PaymentChecks::fence(&self.database.rows, payment)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError> {
        self.alone(self.database.rows.next_due()).await
    }

    async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError> {
        self.alone(self.database.rows.open(filter)).await
    }

    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError> {
        self.alone(self.database.rows.by_state()).await
    }
}

#[async_trait]
impl PaymentQueries for Connection {
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        self.alone(PaymentQueries::payment(&self.database.rows, id)).await
    }

    async fn payment_of_key(&self, gateway_key: &str) -> Result<Option<PaymentId>, StorageError> {
        self.alone(self.database.rows.payment_of_key(gateway_key)).await
    }
}

#[async_trait]
impl CallbackInbox for Connection {
    async fn verdict(&self, event_id: &str) -> Result<Option<Option<String>>, StorageError> {
        self.alone(self.database.rows.verdict(event_id)).await
    }

    async fn set_aside(&self, entry: InboxEntry, verdict: Verdict) -> Result<(), StorageError> {
        self.alone(self.database.rows.set_aside(entry, verdict)).await
    }
}

#[async_trait]
impl OutboxStore for Connection {
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        self.alone(self.database.rows.first(shards, held_back, limit)).await
    }

    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError> {
        self.alone(self.database.rows.delete(held, rows)).await
    }

    async fn depth(&self) -> Result<OutboxDepth, StorageError> {
        self.alone(self.database.rows.depth()).await
    }
}

#[async_trait]
impl LeaseStore for Connection {
    async fn acquire_all(
        &self,
        names: &[&'static str],
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        taking: LeaseTaking,
    ) -> Result<Vec<Option<Lease>>, StorageError> {
        self.alone(self.database.rows.acquire_all(names, owner, now, ttl, taking)).await
    }

    async fn release(&self, names: &[&'static str], owner: Uuid, now: Timestamp) -> Result<(), StorageError> {
        self.alone(self.database.rows.release(names, owner, now)).await
    }
}

#[async_trait]
impl OrderQueries for Connection {
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StorageError> {
        self.read(|rows| rows.orders().get(&id).cloned()).await
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, StorageError> {
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        self.read(|rows| rows.orders().into_values().rev().take(limit).collect()).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        PaymentQueries::payment(self, id).await
    }

    async fn payment_history(&self, id: PaymentId) -> Result<Vec<PaymentEventRecord>, StorageError> {
        self.read(|rows| rows.payment_events().into_iter().filter(|event| event.payment == id).collect())
            .await
    }

    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<OrderPosition>,
        limit: u64,
    ) -> Result<Vec<OrderPosition>, StorageError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(|rows| {
            let orders = rows.orders();
            let waiting = orders.values().filter(|order| order.status == OrderStatus::PaymentPending);
            let mut overdue: Vec<OrderPosition> = waiting
                .filter_map(|order| Some((order.expires_at?, order.id)))
                .filter(|position| position.0 <= now && after.is_none_or(|after| *position > after))
                .collect();
            overdue.sort_unstable();
            overdue.truncate(limit);
            overdue
        })
        .await
    }
}
