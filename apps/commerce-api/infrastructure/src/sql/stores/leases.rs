use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{Lease, LeaseStore, LeaseTaking, StorageError};
use commerce_api_domain::Timestamp;
use commerce_database::{Column, Database, Lock, Merge, RowValue, Select, Update, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::query::Failure;
use crate::sql::decode::Columns;

/// [`LeaseStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlLeases {
    db: Database,
}

impl SqlLeases {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

const LEASES: Select = Select {
    table: "leases",
    columns: &["name", "owner", "fence", "until"],
    keys: &[Column::text("name")],
    order: &[],
};

const HOLD: Upsert = Upsert {
    table: "leases",
    columns: &[Column::text("name"), Column::uuid("owner"), Column::int("fence"), Column::int("until")],
    key: &["name"],
    update: &[("owner", Merge::Set), ("fence", Merge::Set), ("until", Merge::Set)],
};

/// A lease that is not there cannot be locked: two who ask for it at once would both think that they have it.
const MAKE: Upsert = Upsert { update: &[], ..HOLD };

const RELEASE: Update = Update {
    table: "leases",
    columns: &[Column::text("name"), Column::int("until"), Column::uuid("holder")],
    keys: &["name"],
    set: &["until"],
    expect: &[("owner", "holder")],
};

/// Who asks for leases, and for how long.
#[derive(Clone, Copy)]
struct Asking {
    owner: Uuid,
    now: Timestamp,
    ttl: Duration,
    taking: LeaseTaking,
}

#[async_trait]
impl LeaseStore for SqlLeases {
    async fn acquire_all(
        &self,
        names: &[&'static str],
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        taking: LeaseTaking,
    ) -> Result<Vec<Option<Lease>>, StorageError> {
        let names: Arc<[&'static str]> = names.into();
        let asking = Asking { owner, now, ttl, taking };
        let taken = self.db.write("acquire_lease", move |tx| {
            let names = names.clone();
            Box::pin(async move { acquire(tx, &names, asking).await })
        });
        taken.await.map_err(Failure::into_port)
    }

    async fn release(&self, names: &[&'static str], owner: Uuid, now: Timestamp) -> Result<(), StorageError> {
        let mut rows = RELEASE.rows();
        for name in names {
            rows.push([(*name).into(), now.as_micros().into(), owner.into()]);
        }
        let released = self.db.write("release_lease", move |tx| {
            let release = RELEASE.statement(tx.dialect(), &rows);
            Box::pin(async move {
                tx.execute_raw(release).await?;
                Ok::<_, Failure<StorageError>>(())
            })
        });
        released.await.map_err(Failure::into_port)
    }
}

async fn locked(tx: &WriteTransaction, names: &[&'static str]) -> Result<Holders, Failure<StorageError>> {
    let keys = names.iter().map(|name| [RowValue::from(*name)]);
    let mut held = BTreeMap::new();
    for row in tx.query_all_raw(LEASES.by_rows(tx.dialect(), Lock::Update, keys)).await? {
        let mut row = Columns::of(&row);
        let name: String = row.take()?;
        held.insert(name, (row.take::<Uuid>()?, row.take::<i64>()?, row.time()?));
    }
    Ok(held)
}

/// Owner, fence and end by name.
type Holders = BTreeMap<String, (Uuid, i64, Timestamp)>;

async fn acquire(
    tx: &WriteTransaction,
    names: &[&'static str],
    asking: Asking,
) -> Result<Vec<Option<Lease>>, Failure<StorageError>> {
    let Asking { owner, now, ttl, taking } = asking;
    let mut held = locked(tx, names).await?;
    let missing: BTreeSet<_> = names.iter().filter(|name| !held.contains_key(**name)).collect();
    if !missing.is_empty() {
        let mut rows = MAKE.rows();
        for name in missing {
            rows.push([(*name).into(), Uuid::nil().into(), 0_i64.into(), 0_i64.into()]);
        }
        tx.execute_raw(MAKE.statement(tx.dialect(), &rows)).await?;
        held = locked(tx, names).await?;
    }
    let fence = |name: &str| match held.get(name) {
        None => Some(1),
        Some((holder, fence, until)) => match (*holder == owner, now < *until, taking) {
            (true, true, _) => Some(*fence),
            (false, true, LeaseTaking::Free) => None,
            // Somebody may have held it in between, or may hold it yet by a slower clock.
            (_, false, _) | (false, true, LeaseTaking::Any) => Some(fence + 1),
        },
    };
    let leases: Vec<Option<Lease>> = names.iter().map(|name| Some(Lease { fence: fence(name)? })).collect();
    let taken: BTreeMap<_, _> =
        names.iter().zip(&leases).filter_map(|(name, lease)| Some((*name, (*lease)?.fence))).collect();
    let mut rows = HOLD.rows();
    for (name, fence) in taken {
        rows.push([name.into(), owner.into(), fence.into(), now.plus(ttl).as_micros().into()]);
    }
    if !rows.is_empty() {
        tx.execute_raw(HOLD.statement(tx.dialect(), &rows)).await?;
    }
    Ok(leases)
}
