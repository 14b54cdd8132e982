use async_trait::async_trait;
use commerce_bus::Assignment;
use commerce_database::{
    Column, Database, Lock, Merge, RowValue, Select, Template, Upsert, WriteTransaction,
};
use sea_orm::{ConnectionTrait as _, Statement};

use super::collect::collect;
use super::error::{Failure, orm};
use crate::application::ports::{Batch, Claimed, Collected, LetterState, MetricsStore, StoreError};

/// The collector's storage on SQL.
#[derive(Debug, Clone)]
pub struct SqlCollector {
    pub(super) db: Database,
    /// The name it counts under: its consumer group.
    pub(super) consumer: &'static str,
}

impl SqlCollector {
    /// Works on `db`, which has the schema of this code, under the name `consumer`.
    pub const fn new(db: Database, consumer: &'static str) -> Self {
        Self { db, consumer }
    }
}

const OFFSETS: Select = Select {
    table: "consumer_offsets",
    columns: &["epoch", "next_offset"],
    keys: &[Column::text("consumer"), Column::text("topic"), Column::int("partition")],
    order: &[],
};

const TAKE_OVER: Upsert = Upsert {
    table: "consumer_offsets",
    columns: &[
        Column::text("consumer"),
        Column::text("topic"),
        Column::int("partition"),
        Column::int("epoch"),
        Column::int("next_offset"),
    ],
    key: &["consumer", "topic", "partition"],
    update: &[("epoch", Merge::Add)],
};

/// Stands for "nothing counted yet": offsets begin at 0.
const NOTHING_COUNTED: i64 = -1;

#[async_trait]
impl MetricsStore for SqlCollector {
    async fn claim(&self, assignment: &Assignment, window: u32) -> Result<Claimed, StoreError> {
        let (consumer, assignment) = (self.consumer, assignment.clone());
        let claimed = self.db.write("claim_partition", move |tx| {
            let assignment = assignment.clone();
            Box::pin(async move { claim(tx, consumer, &assignment, window).await })
        });
        claimed.await.map_err(Failure::into)
    }

    async fn open_letters(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, StoreError> {
        let values = [topic.into(), partition.into(), offset.into(), LetterState::Open.name().into()];
        let count = Template::new(OPEN_FROM).statement(self.db.dialect(), values);
        number(&self.db.reader_named("open_letters"), count).await
    }

    async fn collect(&self, batch: Batch) -> Result<Collected, StoreError> {
        let consumer = self.consumer;
        let collected = self.db.write("collect", move |tx| {
            let batch = batch.clone();
            Box::pin(async move { collect(tx, consumer, &batch).await })
        });
        collected.await.map_err(Failure::into)
    }
}

async fn claim(
    tx: &WriteTransaction,
    consumer: &'static str,
    assignment: &Assignment,
    window: u32,
) -> Result<Claimed, Failure> {
    let Assignment { topic, partition, .. } = assignment;
    let key = [RowValue::from(consumer), topic.into(), (*partition).into()];
    // One statement: of two that take over at the same moment, each has an epoch of its own.
    let mut row = TAKE_OVER.rows();
    row.push(key.clone().into_iter().chain([1_i64.into(), NOTHING_COUNTED.into()]));
    tx.execute_raw(TAKE_OVER.statement(tx.dialect(), &row)).await?;
    let found = tx.query_one_raw(OFFSETS.by_rows(tx.dialect(), Lock::Update, [key])).await?;
    let found = found.ok_or(Failure::Data("a partition that was taken over has no offset"))?;
    let (epoch, next): (i64, i64) = (found.try_get_by_index(0)?, found.try_get_by_index(1)?);
    if next == NOTHING_COUNTED {
        return Ok(Claimed { epoch, next: None, set_aside: Vec::new() });
    }
    let since = next.saturating_sub(window.into());
    let open = LetterState::Open.name();
    let values = [topic.into(), (*partition).into(), since.into(), open.into()];
    let rows = tx.query_all_raw(Template::new(SET_ASIDE).statement(tx.dialect(), values)).await?;
    let set_aside = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    Ok(Claimed { epoch, next: Some(next), set_aside })
}

const SET_ASIDE: &str =
    "SELECT `offset` FROM dead_letters WHERE topic = ? AND `partition` = ? AND `offset` >= ? AND state = ?";

const OPEN_FROM: &str =
    "SELECT COUNT(*) FROM dead_letters WHERE topic = ? AND `partition` = ? AND `offset` >= ? AND state = ?";

/// The only column of the only row.
pub(super) async fn number(
    connection: &impl sea_orm::ConnectionTrait,
    statement: Statement,
) -> Result<i64, StoreError> {
    let row = connection.query_one_raw(statement).await.map_err(orm)?;
    let row = row.ok_or_else(|| StoreError::Data("an aggregate without a row".into()))?;
    row.try_get_by_index::<Option<i64>>(0).map(Option::unwrap_or_default).map_err(orm)
}
