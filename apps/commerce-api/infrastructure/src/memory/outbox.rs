//! The outbox and the leases under which it is published.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AcknowledgedRow, HeldShard, Lease, LeaseStore, LeaseTaking, OutboxDepth, OutboxRow, OutboxStore,
    PublishedEvent, StorageError, Stream,
};
use commerce_api_domain::Timestamp;
use uuid::Uuid;

use super::state::KeptLease;
use super::storage::MemoryStorage;

#[async_trait]
impl OutboxStore for MemoryStorage {
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        let rows = self.alone(|tables| {
            let rows = tables.outbox.committed().iter().filter(|(_, record)| shards.contains(&record.shard));
            let rows = rows.map(|(id, record)| OutboxRow {
                id: *id,
                shard: record.shard,
                record: PublishedEvent::from(record.clone()),
            });
            rows.filter(|row| !held_back.contains(&row.record.stream()))
                .take(usize::try_from(limit).unwrap_or(usize::MAX))
                .collect()
        });
        rows.await
    }

    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError> {
        let deleted = self.alone(|tables| {
            let fence = |held: &&HeldShard| {
                tables.leases.get(held.lease).is_some_and(|lease| lease.fence == held.fence)
            };
            let ours: BTreeSet<i16> = held.iter().filter(fence).map(|held| held.shard).collect();
            for row in rows.iter().filter(|row| ours.contains(&row.shard)) {
                if tables.outbox.get(&row.id).is_some_and(|record| record.event_id == row.event_id) {
                    tables.outbox.remove(row.id);
                }
            }
            let shards: BTreeSet<i16> = rows.iter().map(|row| row.shard).collect();
            shards.difference(&ours).copied().collect()
        });
        deleted.await
    }

    async fn depth(&self) -> Result<OutboxDepth, StorageError> {
        let depth = self.alone(|tables| {
            let outbox = tables.outbox.committed();
            let rows = u64::try_from(outbox.len()).unwrap_or(u64::MAX);
            OutboxDepth {
                rows: rows.min(OutboxDepth::ROWS_MAX.into()),
                oldest_at: outbox.first_key_value().map(|(_, record)| record.at),
            }
        });
        depth.await
    }
}

#[async_trait]
impl LeaseStore for MemoryStorage {
    async fn acquire_all(
        &self,
        names: &[&'static str],
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        taking: LeaseTaking,
    ) -> Result<Vec<Option<Lease>>, StorageError> {
        let taken = self.alone(|tables| {
            let mut take = |name: &&'static str| {
                let fence = match tables.leases.get(name) {
                    None => 1,
                    Some(held) if now < held.until && held.owner == owner => held.fence,
                    Some(held) if now < held.until && taking == LeaseTaking::Free => return None,
                    Some(held) => held.fence + 1,
                };
                tables.leases.insert(name, KeptLease { owner, fence, until: now.plus(ttl) });
                Some(Lease { fence })
            };
            names.iter().map(&mut take).collect()
        });
        taken.await
    }

    async fn release(&self, names: &[&'static str], owner: Uuid, now: Timestamp) -> Result<(), StorageError> {
        let released = self.alone(|tables| {
            for name in names {
                if let Some(held) = tables.leases.get_mut(name).filter(|held| held.owner == owner) {
                    held.until = now;
                }
            }
        });
        released.await
    }
}
