use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::Timestamp;

use super::StorageError;

/// A right to run a named task alone, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Grows with every new holder.
    pub fence: i64,
}

/// Which leases may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTaking {
    /// Those that nobody holds.
    Free,
    /// Also those that another holds: it is known to be dead.
    Any,
}

/// Leases, so that of N nodes one runs a task.
#[async_trait]
pub trait LeaseStore: Send + Sync + 'static {
    /// Takes or prolongs the lease `name` for `owner` until `now + ttl`; none while another holds it.
    async fn acquire(
        &self,
        name: &'static str,
        owner: uuid::Uuid,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StorageError> {
        let leases = self.acquire_all(&[name], owner, now, ttl, LeaseTaking::Free).await?;
        Ok(leases.into_iter().next().flatten())
    }

    /// The same for several names at once, each by itself; as many answers as names, in their order.
    async fn acquire_all(
        &self,
        names: &[&'static str],
        owner: uuid::Uuid,
        now: Timestamp,
        ttl: Duration,
        taking: LeaseTaking,
    ) -> Result<Vec<Option<Lease>>, StorageError>;

    /// Ends the leases of `names` that `owner` holds, so that another may take them at once.
    async fn release(
        &self,
        names: &[&'static str],
        owner: uuid::Uuid,
        now: Timestamp,
    ) -> Result<(), StorageError>;
}

/// Rows that have served their time.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Deletes at most `limit` idempotency keys that expired; gives back how many.
    async fn purge_idempotency_keys(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError>;
    /// Deletes at most `limit` sessions that expired; gives back how many.
    async fn purge_sessions(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError>;
    /// Deletes at most `limit` callbacks that came until `before`, the oldest first; gives back how many.
    async fn purge_callbacks(&self, before: Timestamp, limit: u64) -> Result<u64, StorageError>;
}
