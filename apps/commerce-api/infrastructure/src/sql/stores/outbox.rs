use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AcknowledgedRow, HeldShard, OutboxDepth, OutboxRow, OutboxStore, PublishedEvent, StorageError, Stream,
};
use commerce_database::{Column, Database, Delete, Lock, RowValue, Select, Template, WriteTransaction};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};

use super::query::{Failure, all};
use crate::sql::decode::Columns;
use crate::sql::error::orm;

/// [`OutboxStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlOutbox {
    db: Database,
}

impl SqlOutbox {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

const ROW: &[&str] = &["id", "shard", "event_id", "topic", "aggregate_id", "headers", "payload"];

fn row(row: &mut Columns<'_>) -> Result<OutboxRow, StorageError> {
    Ok(OutboxRow {
        id: row.take()?,
        shard: row.take()?,
        record: PublishedEvent {
            event_id: row.take()?,
            topic: row.take()?,
            key: row.take()?,
            headers: row.take()?,
            payload: row.take()?,
        },
    })
}

const FENCES: Select =
    Select { table: "leases", columns: &["name", "fence"], keys: &[Column::text("name")], order: &[] };

const DELETE: Delete = Delete { table: "outbox", keys: &[Column::int("id"), Column::uuid("event_id")] };

/// The rows counted to a limit, and the time of the first.
const DEPTH: &str = "SELECT COUNT(*), (SELECT at FROM outbox ORDER BY id LIMIT 1) \
     FROM (SELECT id FROM outbox LIMIT {max}) AS counted";

#[async_trait]
impl OutboxStore for SqlOutbox {
    /// By the primary key alone: every order writes here, so a second index would cost each of them more than a relay
    /// that holds but a few of the shards can save by it.
    async fn first(
        &self,
        shards: &[i16],
        held_back: &[Stream],
        limit: u64,
    ) -> Result<Vec<OutboxRow>, StorageError> {
        let mut query = Query::select()
            .columns(ROW.iter().copied())
            .from("outbox")
            .and_where(Expr::col("shard").is_in(shards.iter().copied()))
            .order_by("id", Order::Asc)
            .limit(limit)
            .take();
        if !held_back.is_empty() {
            let stream = Expr::tuple([Expr::col("topic"), Expr::col("aggregate_id")]);
            let held_back = held_back.iter().map(|stream| (stream.topic.as_str(), stream.key.as_str()));
            query.and_where(stream.in_tuples(held_back).not());
        }
        all(&self.db.reader_named("outbox_first"), &query, row).await
    }

    async fn delete(&self, held: &[HeldShard], rows: &[AcknowledgedRow]) -> Result<Vec<i16>, StorageError> {
        let shards: BTreeSet<i16> = rows.iter().map(|row| row.shard).collect();
        let held: Arc<[HeldShard]> =
            held.iter().copied().filter(|held| shards.contains(&held.shard)).collect();
        let rows: Arc<[AcknowledgedRow]> = rows.into();
        let deleted = self.db.write("outbox_delete", move |tx| {
            let (held, rows) = (held.clone(), rows.clone());
            Box::pin(async move { delete(tx, &held, &rows).await })
        });
        deleted.await.map_err(Failure::into_port)
    }

    async fn depth(&self) -> Result<OutboxDepth, StorageError> {
        let statement = Template::new(DEPTH).number("max", OutboxDepth::ROWS_MAX);
        let statement = statement.statement(self.db.dialect(), []);
        let row = self.db.reader_named("outbox_depth").query_one_raw(statement).await.map_err(orm)?;
        let Some(row) = row else { return Ok(OutboxDepth::default()) };
        let mut row = Columns::of(&row);
        let rows = u64::try_from(row.take::<i64>()?).unwrap_or_default();
        Ok(OutboxDepth { rows, oldest_at: row.optional_time()? })
    }
}

/// The leases' rows stay locked until the rows are gone, so no other relay begins in between.
async fn delete(
    tx: &WriteTransaction,
    held: &[HeldShard],
    acknowledged: &[AcknowledgedRow],
) -> Result<Vec<i16>, Failure<StorageError>> {
    let names = held.iter().map(|held| [RowValue::from(held.lease)]);
    let mut fences: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.query_all_raw(FENCES.by_rows(tx.dialect(), Lock::Update, names)).await? {
        let mut row = Columns::of(&row);
        fences.insert(row.take()?, row.take()?);
    }
    let ours: BTreeSet<i16> = held
        .iter()
        .filter(|held| fences.get(held.lease) == Some(&held.fence))
        .map(|held| held.shard)
        .collect();
    let mut rows = DELETE.rows();
    for row in acknowledged.iter().filter(|row| ours.contains(&row.shard)) {
        rows.push([row.id.into(), row.event_id.into()]);
    }
    if !rows.is_empty() {
        tx.execute_raw(DELETE.statement(tx.dialect(), &rows)).await?;
    }
    let shards: BTreeSet<i16> = acknowledged.iter().map(|row| row.shard).collect();
    Ok(shards.difference(&ours).copied().collect())
}
