use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::Timestamp;
use uuid::Uuid;

use crate::ports::{HeldShard, LeaseStore, LeaseTaking, StorageError};

/// The leases, one a shard.
const LEASES: [&str; 16] = [
    "relay:0", "relay:1", "relay:2", "relay:3", "relay:4", "relay:5", "relay:6", "relay:7", "relay:8",
    "relay:9", "relay:10", "relay:11", "relay:12", "relay:13", "relay:14", "relay:15",
];

/// Shards of the outbox; an aggregate always belongs to the same one.
pub const SHARDS: u32 = 16;

/// The shards that a relay holds.
pub(super) struct Shards {
    leases: Arc<dyn LeaseStore>,
    owner: Uuid,
    ttl: Duration,
    taking: LeaseTaking,
    /// Fence by shard.
    held: BTreeMap<i16, i64>,
    renew_at: Timestamp,
}

impl Shards {
    pub fn new(leases: Arc<dyn LeaseStore>, owner: Uuid, ttl: Duration, alone: bool) -> Self {
        let taking = if alone { LeaseTaking::Any } else { LeaseTaking::Free };
        Self { leases, owner, ttl, taking, held: BTreeMap::new(), renew_at: Timestamp::default() }
    }

    pub const fn owner(&self) -> Uuid {
        self.owner
    }

    /// Takes what is free and prolongs what is held, in one transaction, once in half of a lease's time: so no pass costs
    /// a write, and none works on a lease that is over.
    pub async fn hold(&mut self, now: Timestamp) -> Result<(), StorageError> {
        if now < self.renew_at {
            return Ok(());
        }
        let leases = self.leases.acquire_all(&LEASES, self.owner, now, self.ttl, self.taking).await;
        // Nobody is known to be dead any more: who holds a shard now may have come after us.
        let leases = leases.inspect(|_| self.taking = LeaseTaking::Free)?;
        let numbered = (0_i16..).zip(leases);
        self.held = numbered.filter_map(|(shard, lease)| Some((shard, lease?.fence))).collect();
        self.renew_at = now.plus(self.ttl / 2);
        let held = u32::try_from(self.held.len()).unwrap_or_default();
        metrics::gauge!("commerce_relay_shards").set(f64::from(held));
        Ok(())
    }

    pub fn held(&self) -> Vec<i16> {
        self.held.keys().copied().collect()
    }

    pub fn leases(&self) -> Vec<HeldShard> {
        let lease = |(shard, fence): (&i16, &i64)| {
            let lease = LEASES.get(usize::try_from(*shard).ok()?)?;
            Some(HeldShard { shard: *shard, lease, fence: *fence })
        };
        self.held.iter().filter_map(lease).collect()
    }

    /// Others have these now; they are asked for again when it is time to renew.
    pub fn lost(&mut self, shards: &[i16]) {
        self.held.retain(|shard, _| !shards.contains(shard));
    }

    pub async fn release(&mut self, now: Timestamp) {
        self.held.clear();
        self.renew_at = Timestamp::default();
        if let Err(error) = self.leases.release(&LEASES, self.owner, now).await {
            tracing::warn!(%error, "the relay's shards were not released; they are free when their leases end");
        }
    }
}
