//! The outbox and its leases, on every storage there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::desk::outbox_record;
use commerce_api_application::ports::{
    AcknowledgedRow, HeldShard, LeaseStore, LeaseTaking, NewLikes, OutboxDepth, OutboxRow, OutboxStore,
    Storage, Stream,
};
use commerce_api_domain::{Aggregate, DomainEvent, EventId, EventKind, Like, ProductId, Timestamp, UserId};
use commerce_api_infrastructure::memory::MemoryStorage;
use commerce_api_infrastructure::sql::{SqlLeases, SqlOutbox, SqlStorage};
use uuid::Uuid;

use crate::support::{NOW, Rig};

struct Stores {
    name: &'static str,
    storage: Arc<dyn Storage>,
    outbox: Arc<dyn OutboxStore>,
    leases: Arc<dyn LeaseStore>,
}

impl Stores {
    fn on_each(rig: &Rig) -> [Self; 2] {
        let (memory, db) = (MemoryStorage::new(), rig.db.clone());
        [
            Self {
                name: "memory",
                storage: Arc::new(memory.clone()),
                outbox: Arc::new(memory.clone()),
                leases: Arc::new(memory),
            },
            Self {
                name: "SQLite",
                storage: Arc::new(SqlStorage::new(db.clone())),
                outbox: Arc::new(SqlOutbox::new(db.clone())),
                leases: Arc::new(SqlLeases::new(db)),
            },
        ]
    }

    /// Adds an event of the like of each user, in this order.
    async fn add(&self, users: &[i64], at: Timestamp) {
        let records: Vec<_> = (1..)
            .zip(users)
            .map(|(number, user)| {
                let event = DomainEvent {
                    id: EventId(Uuid::from_u128(number)),
                    aggregate: Aggregate::ProductLike(ProductId(1), UserId(*user)),
                    sequence: 1,
                    user: Some(UserId(*user)),
                    at,
                    kind: EventKind::LikeAdded,
                };
                outbox_record(&event, None)
            })
            .collect();
        let mut unit = self.storage.begin("test").await.unwrap();
        let likes: &[Like] = &[];
        unit.write_likes(&NewLikes { likes, outbox: &records }).await.unwrap();
        unit.commit().await.unwrap();
    }

    async fn all(&self) -> Vec<OutboxRow> {
        self.outbox.first(&(0..16).collect::<Vec<_>>(), &[], 1_000).await.unwrap()
    }
}

fn keys(rows: &[OutboxRow]) -> Vec<&str> {
    rows.iter().map(|row| row.record.key.as_str()).collect()
}

fn acknowledged(row: &OutboxRow) -> AcknowledgedRow {
    AcknowledgedRow { id: row.id, event_id: row.record.event_id, shard: row.shard }
}

#[tokio::test]
async fn the_first_rows_are_those_of_the_shards_that_are_not_held_back() {
    let rig = Rig::new().await;
    for stores in Stores::on_each(&rig) {
        let users: Vec<i64> = (1..=40).chain(1..=40).collect();
        stores.add(&users, NOW).await;
        let all = stores.all().await;
        assert_eq!(all.len(), 80, "{}", stores.name);
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        let shards: BTreeSet<i16> = all.iter().map(|row| row.shard).collect();
        assert!(shards.len() > 8, "{shards:?}");
        for shard in shards {
            let expected: Vec<_> = all.iter().filter(|row| row.shard == shard).cloned().collect();
            assert_eq!(stores.outbox.first(&[shard], &[], 1_000).await.unwrap(), expected, "{}", stores.name);
        }
        let held_back = ["1:1", "1:3"].map(|key| Stream { topic: "product.like".into(), key: key.into() });
        let elsewhere = Stream { topic: "order".into(), key: "1:2".into() };
        let held_back = [&held_back[..], &[elsewhere]].concat();
        let first = stores.outbox.first(&(0..16).collect::<Vec<_>>(), &held_back, 3).await.unwrap();
        assert_eq!(keys(&first), ["1:2", "1:4", "1:5"], "{}", stores.name);
        assert!(stores.outbox.first(&[], &[], 9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn only_shards_whose_fence_holds_lose_their_rows() {
    let rig = Rig::new().await;
    for stores in Stores::on_each(&rig) {
        stores.add(&(1..=40).collect::<Vec<_>>(), NOW).await;
        let all = stores.all().await;
        let (ours, theirs) = (all[0].shard, all.iter().find(|row| row.shard != all[0].shard).unwrap().shard);
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let names = ["relay:0", "relay:1"];
        let (ttl, free) = (Duration::from_secs(1), LeaseTaking::Free);
        stores.leases.acquire_all(&names, me, NOW, ttl, free).await.unwrap();
        stores.leases.acquire_all(&names[1..], other, NOW, ttl, LeaseTaking::Any).await.unwrap();
        let held = [(ours, "relay:0"), (theirs, "relay:1"), (99, "relay:9")]
            .map(|(shard, lease)| HeldShard { shard, lease, fence: 1 });
        let rows: Vec<_> = all.iter().map(acknowledged).collect();
        let lost = stores.outbox.delete(&held, &rows).await.unwrap();
        assert!(lost.contains(&theirs) && !lost.contains(&ours), "{}", stores.name);
        let left = stores.all().await;
        assert!(left.iter().all(|row| row.shard != ours), "{}", stores.name);
        assert_eq!(left.len(), all.iter().filter(|row| row.shard != ours).count(), "{}", stores.name);
    }
}

#[tokio::test]
async fn a_release_lets_another_take_the_lease_at_once_and_only_its_holder_releases() {
    let rig = Rig::new().await;
    for stores in Stores::on_each(&rig) {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ttl = Duration::from_secs(1);
        let take = async |owner| {
            let taken = stores.leases.acquire_all(&["a", "b"], owner, NOW, ttl, LeaseTaking::Free).await;
            taken.unwrap().into_iter().map(|lease| lease.map(|lease| lease.fence)).collect::<Vec<_>>()
        };
        assert_eq!(take(me).await, [Some(1), Some(1)], "{}", stores.name);
        stores.leases.release(&["a", "b"], other, NOW).await.unwrap();
        assert_eq!(take(other).await, [None, None], "{}", stores.name);
        stores.leases.release(&["a"], me, NOW).await.unwrap();
        assert_eq!(take(other).await, [Some(2), None], "{}", stores.name);
        assert_eq!(take(me).await, [None, Some(1)], "{}", stores.name);
    }
}

#[tokio::test]
async fn the_depth_is_the_rows_and_the_oldest_of_them() {
    let rig = Rig::new().await;
    for stores in Stores::on_each(&rig) {
        assert_eq!(stores.outbox.depth().await.unwrap(), OutboxDepth::default(), "{}", stores.name);
        stores.add(&[1], NOW).await;
        stores.add(&[2, 3], NOW.plus(Duration::from_secs(1))).await;
        let depth = OutboxDepth { rows: 3, oldest_at: Some(NOW) };
        assert_eq!(stores.outbox.depth().await.unwrap(), depth, "{}", stores.name);
    }
}
