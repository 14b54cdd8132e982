//! Who ranks days, and which are to be ranked.

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_boards::Period;
use commerce_collector_domain::Weights;
use commerce_database::{Column, Lock, Merge, RowValue, Select, Template, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::error::{Failure, orm};
use super::ranking::rank_day;
use super::store::SqlCollector;
use crate::application::ports::{BoardStore, StoreError};

/// Name of the projector's lease.
const LEASE: &str = "projector";

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

/// A lease that is not there cannot be locked: two who ask for it at once would both think that they have it.
const MAKE: Upsert = Upsert { update: &[], ..HOLD };

#[async_trait]
impl BoardStore for SqlCollector {
    async fn hold(&self, owner: Uuid, now_us: i64, until_us: i64) -> Result<bool, StoreError> {
        let held = self.db.write("hold_projector", move |tx| {
            Box::pin(async move { hold(tx, LEASE, owner, (now_us, until_us)).await })
        });
        held.await.map_err(Failure::into)
    }

    async fn end_lease(&self) -> Result<(), StoreError> {
        let ended = self.db.write("end_projector_lease", move |tx| {
            Box::pin(async move {
                let statement = Template::new("UPDATE leases SET until = 0 WHERE name = ?");
                tx.execute_raw(statement.statement(tx.dialect(), [LEASE.into()])).await?;
                Ok::<_, Failure>(())
            })
        });
        ended.await.map_err(Failure::into)
    }

    async fn release(&self, owner: Uuid) -> Result<(), StoreError> {
        let released = self.db.write("release_projector", move |tx| {
            Box::pin(async move {
                let statement = Template::new("UPDATE leases SET until = 0 WHERE name = ? AND owner = ?");
                tx.execute_raw(statement.statement(tx.dialect(), [LEASE.into(), owner.into()])).await?;
                Ok::<_, Failure>(())
            })
        });
        released.await.map_err(Failure::into)
    }

    async fn dirty_days(&self, limit: u64) -> Result<Vec<NaiveDate>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = Template::new(DIRTY).number("max", limit);
        let statement = statement.statement(self.db.dialect(), []);
        let rows = self.db.reader_named("dirty_days").query_all_raw(statement).await.map_err(orm)?;
        let mut days = Vec::with_capacity(rows.len());
        for row in rows {
            let name: String = row.try_get_by_index(0).map_err(orm)?;
            let period = Period::parse(&name);
            let period = period.ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
            days.push(period.first());
        }
        Ok(days)
    }

    async fn rank_day(&self, day: NaiveDate, weights: Weights) -> Result<(), StoreError> {
        let ranked = self.db.write("rank_day", move |tx| {
            Box::pin(async move { Ok::<_, Failure>(rank_day(tx, day, weights).await?) })
        });
        ranked.await.map_err(Failure::into)
    }
}

/// Names of days begin with a letter of their own.
const DIRTY: &str = "SELECT period FROM business_periods \
     WHERE period >= 'D' AND period < 'E' AND changed > applied ORDER BY period LIMIT {max}";

/// Holds the lease `name` for `owner`, or learns that another does.
pub(super) async fn hold(
    tx: &WriteTransaction,
    name: &'static str,
    owner: Uuid,
    (now_us, until_us): (i64, i64),
) -> Result<bool, Failure> {
    let locked = || LEASES.by_rows(tx.dialect(), Lock::Update, [[RowValue::from(name)]]);
    let mut lease = tx.query_one_raw(locked()).await?;
    if lease.is_none() {
        let mut row = MAKE.rows();
        row.push([name.into(), Uuid::nil().into(), 0_i64.into(), 0_i64.into()]);
        tx.execute_raw(MAKE.statement(tx.dialect(), &row)).await?;
        lease = tx.query_one_raw(locked()).await?;
    }
    let fence = match lease {
        None => return Err(Failure::Data("a lease that was just made is not there")),
        Some(row) => {
            let holder: Uuid = row.try_get_by_index(0)?;
            let (fence, until): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            match (holder == owner, now_us < until) {
                (true, true) => fence,
                (false, true) => return Ok(false),
                (_, false) => fence + 1,
            }
        }
    };
    let mut row = HOLD.rows();
    row.push([name.into(), owner.into(), fence.into(), until_us.into()]);
    tx.execute_raw(HOLD.statement(tx.dialect(), &row)).await?;
    Ok(true)
}
