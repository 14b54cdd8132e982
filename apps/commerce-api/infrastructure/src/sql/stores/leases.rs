use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{Lease, LeaseStore, StorageError};
use commerce_api_domain::Timestamp;
use commerce_database::{Column, Database, Lock, Merge, RowValue, Select, Upsert, WriteTransaction};
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
    columns: &["owner", "fence", "until"],
    keys: &[Column::text("name")],
    order: &[],
};

const HOLD: Upsert = Upsert {
    table: "leases",
    columns: &[Column::text("name"), Column::uuid("owner"), Column::int("fence"), Column::int("until")],
    key: &["name"],
    update: &[("owner", Merge::Set), ("fence", Merge::Set), ("until", Merge::Set)],
};

#[async_trait]
impl LeaseStore for SqlLeases {
    async fn acquire(
        &self,
        name: &'static str,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StorageError> {
        let taken = self.db.write("acquire_lease", move |tx| {
            Box::pin(async move { acquire(tx, name, owner, now, ttl).await })
        });
        taken.await.map_err(Failure::into_port)
    }
}

async fn acquire(
    tx: &WriteTransaction,
    name: &'static str,
    owner: Uuid,
    now: Timestamp,
    ttl: Duration,
) -> Result<Option<Lease>, Failure<StorageError>> {
    let statement = LEASES.by_rows(tx.dialect(), Lock::Update, [[RowValue::from(name)]]);
    let fence = match tx.query_one_raw(statement).await? {
        None => 1,
        Some(row) => {
            let mut row = Columns::of(&row);
            let (holder, fence, until) = (row.take::<Uuid>()?, row.take::<i64>()?, row.time()?);
            match (holder == owner, now < until) {
                (true, true) => fence,
                (false, true) => return Ok(None),
                // Somebody may have held it in between, or may hold it yet by a slower clock.
                (_, false) => fence + 1,
            }
        }
    };
    let mut row = HOLD.rows();
    row.push([name.into(), owner.into(), fence.into(), now.plus(ttl).as_micros().into()]);
    tx.execute_raw(HOLD.statement(tx.dialect(), &row)).await?;
    Ok(Some(Lease { fence }))
}
