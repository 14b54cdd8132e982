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
    ) -> Result<Option<Lease>, StorageError>;
}

/// Rows that have served their time.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Deletes at most `limit` idempotency keys that expired; gives back how many.
    async fn purge_idempotency_keys(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError>;
    /// Deletes at most `limit` sessions that expired; gives back how many.
    async fn purge_sessions(&self, now: Timestamp, limit: u64) -> Result<u64, StorageError>;
}
