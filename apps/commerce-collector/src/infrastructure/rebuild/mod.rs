//! Rebuilding metrics in SQL.

mod apply;
pub mod schema;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_boards::Period;
use commerce_collector_domain::Tally;
use commerce_database::{Column, Lock, Merge, Select, Template, Update, Upsert, WriteTransaction};
use sea_orm::{ConnectionTrait as _, Value};
use uuid::Uuid;

use super::collect::values as metric_values;
use super::columns::{Columns, day, stored_day};
use super::dead_letters::dead_letter;
use super::error::Failure;
use super::store::SqlCollector;
use crate::application::dead_letters::Hand;
use crate::application::ports::{DeadLetter, LetterState, StoreError};
use crate::application::rebuild::{Comparison, Progress, RebuildStore, Run, ShadowStep};

const PROGRESS: Upsert = Upsert {
    table: "rebuild_progress",
    columns: &[Column::text("topic"), Column::int("partition"), Column::int("next"), Column::int("until")],
    key: &["topic", "partition"],
    update: &[],
};

const MOVE_ON: Update = Update {
    table: "rebuild_progress",
    columns: &[Column::text("topic"), Column::int("partition"), Column::int("before"), Column::int("next")],
    keys: &["topic", "partition"],
    set: &["next"],
    expect: &[("next", "before")],
};

const EVENTS: Upsert = Upsert {
    table: "rebuild_events",
    columns: &[Column::uuid("event_id"), Column::int("batch")],
    key: &["event_id"],
    update: &[],
};

const EVENTS_BY: Select = Select {
    table: "rebuild_events",
    columns: &["event_id", "batch"],
    keys: &[Column::uuid("event_id")],
    order: &[],
};

const SHADOW: Upsert = Upsert {
    table: "rebuild_shadow",
    columns: &[
        Column::int("date"),
        Column::int("product_id"),
        Column::int("views"),
        Column::int("likes"),
        Column::int("orders"),
        Column::int("quantity"),
        Column::int("amount"),
    ],
    key: &["date", "product_id"],
    update: &[
        ("views", Merge::Add),
        ("likes", Merge::Add),
        ("orders", Merge::Add),
        ("quantity", Merge::Add),
        ("amount", Merge::Add),
    ],
};

/// Stands for all days together.
const TOTAL: i64 = 0;

const TABLES: [&str; 7] = [
    "rebuild_run",
    "rebuild_progress",
    "rebuild_letters",
    "rebuild_events",
    "rebuild_shadow",
    "rebuild_base",
    "rebuild_difference",
];

/// Locked where rows are: no batch is counted, and no letter replayed, until what belongs to these offsets was read.
const OFFSETS: &str = "SELECT topic, `partition`, next_offset FROM consumer_offsets \
     WHERE consumer = ? AND next_offset >= 0{lock}";

const SET_ASIDE: &str = "SELECT `offset`, kept_at FROM dead_letters \
     WHERE topic = ? AND `partition` = ? AND `offset` >= ? AND `offset` < ?";

const REPLAYED: &str = "SELECT d.id, d.topic, d.`partition`, d.`offset`, d.kept_at, d.record_key, d.headers, \
     d.value, d.cause, d.detail, d.attempts, d.event_id, d.event_type, d.aggregate_type, d.aggregate_id, \
     d.sequence, d.state, d.set_aside_at FROM rebuild_letters r JOIN dead_letters d ON d.id = r.id \
     WHERE r.id > ? ORDER BY r.id LIMIT {max}";

const DAYS: &str = "SELECT period FROM business_periods WHERE period > ? AND period < 'E' \
     ORDER BY period LIMIT {max}";

const BASE_DAYS: &str = "INSERT INTO rebuild_base (`date`, product_id, views, likes, orders, quantity, amount) \
     SELECT `date`, product_id, views, likes, orders, quantity, amount FROM product_metrics_daily \
     WHERE `date` >= ?";

/// What the totals have beyond the days before the start, which are kept as they are.
const BASE_TOTALS: &str = "INSERT INTO rebuild_base (`date`, product_id, views, likes, orders, quantity, amount) \
     SELECT {total}, t.product_id, SUM(t.views), SUM(t.likes), SUM(t.orders), SUM(t.quantity), SUM(t.amount) \
     FROM (SELECT product_id, views, likes, orders, quantity, amount FROM product_metrics \
     UNION ALL SELECT product_id, -views, -likes, -orders, -quantity, -amount FROM product_metrics_daily \
     WHERE `date` < ?) t GROUP BY t.product_id";

const LETTERS: &str = "INSERT INTO rebuild_letters (id) SELECT id FROM dead_letters WHERE state = ?";

#[async_trait]
impl RebuildStore for SqlCollector {
    async fn under_way(&self) -> Result<Option<Run>, StoreError> {
        let run = Template::new("SELECT from_day FROM rebuild_run");
        let Some(row) = self.rows("rebuild_run", run, Vec::new()).await?.pop() else { return Ok(None) };
        let from = day(Columns::of(&row).take()?)?;
        let sql = "SELECT topic, `partition`, next, until FROM rebuild_progress ORDER BY topic, `partition`";
        let rows = self.rows("rebuild_run", Template::new(sql), Vec::new()).await?;
        let progress = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            let (topic, partition) = (row.take()?, row.partition()?);
            Ok(Progress { topic, partition, next: row.take()?, until: row.take()? })
        });
        Ok(Some(Run { from, progress: progress.collect::<Result<_, StoreError>>()? }))
    }

    async fn begin(
        &self,
        from: NaiveDate,
        earliest: Vec<(String, i32, i64)>,
        at_us: i64,
    ) -> Result<(), StoreError> {
        let consumer = self.consumer;
        let begun = self.db.write("begin_rebuild", move |tx| {
            let earliest = earliest.clone();
            Box::pin(async move { begin(tx, consumer, from, &earliest, at_us).await })
        });
        begun.await.map_err(Failure::into)
    }

    async fn set_aside(
        &self,
        topic: &str,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<HashSet<(i64, i64)>, StoreError> {
        let values = vec![topic.into(), partition.into(), offsets.start.into(), offsets.end.into()];
        let rows = self.rows("rebuild_set_aside", Template::new(SET_ASIDE), values).await?;
        let set_aside = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok((row.take()?, row.take()?))
        });
        set_aside.collect()
    }

    async fn replayed(&self, after: i64, limit: u64) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = Template::new(REPLAYED).number("max", limit);
        let rows = self.rows("rebuild_letters", statement, vec![after.into()]).await?;
        rows.iter().map(dead_letter).collect()
    }

    async fn add(&self, step: ShadowStep) -> Result<(), StoreError> {
        let added = self.db.write("rebuild_step", move |tx| {
            let step = step.clone();
            Box::pin(async move { add(tx, &step).await })
        });
        added.await.map_err(Failure::into)
    }

    async fn compare(&self) -> Result<Comparison, StoreError> {
        let compared = self.db.write("compare_rebuild", |tx| Box::pin(apply::compare(tx)));
        compared.await.map_err(Failure::into)
    }

    async fn apply(&self, hand: &Hand) -> Result<(), StoreError> {
        let hand = hand.clone();
        let applied = self.db.write("apply_rebuild", move |tx| {
            let hand = hand.clone();
            Box::pin(async move { apply::apply(tx, &hand).await })
        });
        applied.await.map_err(Failure::into)
    }

    async fn abandon(&self) -> Result<bool, StoreError> {
        let abandoned = self.db.write("abandon_rebuild", |tx| Box::pin(clear(tx)));
        abandoned.await.map_err(Failure::into)
    }

    async fn days(&self, after: Option<NaiveDate>, limit: u64) -> Result<Vec<NaiveDate>, StoreError> {
        let after = after.map_or_else(|| "D".to_owned(), |day| Period::day(day).to_string());
        let statement = Template::new(DAYS).number("max", i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.rows("days", statement, vec![after.into()]).await?;
        let days = rows.iter().map(|row| {
            let period = Period::parse(&Columns::of(row).take::<String>()?);
            let period = period.ok_or_else(|| StoreError::Data("a period of no known form".into()))?;
            Ok(period.first())
        });
        days.collect()
    }
}

/// Empties every table of a rebuild; whether there was one.
async fn clear(tx: &WriteTransaction) -> Result<bool, Failure> {
    let mut there_was = 0;
    for table in TABLES {
        let delete = Template::new("DELETE FROM {table}").identifier("table", table);
        let deleted = tx.execute_raw(delete.statement(tx.dialect(), [])).await?.rows_affected();
        there_was += if table == "rebuild_run" { deleted } else { 0 };
    }
    Ok(there_was > 0)
}

/// One transaction: the offsets, what was counted up to them and the letters that were replayed belong together.
async fn begin(
    tx: &WriteTransaction,
    consumer: &'static str,
    from: NaiveDate,
    earliest: &[(String, i32, i64)],
    at_us: i64,
) -> Result<(), Failure> {
    let run = |sql: &'static str, values: Vec<Value>| Template::new(sql).statement(tx.dialect(), values);
    let found = tx.query_one_raw(run("SELECT 1 FROM rebuild_run", Vec::new())).await?;
    if found.is_some() {
        return Err(Failure::Fenced);
    }
    clear(tx).await?;
    let insert = "INSERT INTO rebuild_run (id, from_day, started_at) VALUES (1, ?, ?)";
    tx.execute_raw(run(insert, vec![stored_day(from).into(), at_us.into()])).await?;
    let offsets = Template::new(OFFSETS).fragment("lock", tx.dialect().for_update());
    let mut counted: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for row in tx.query_all_raw(offsets.statement(tx.dialect(), [consumer.into()])).await? {
        counted.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?), row.try_get_by_index(2)?);
    }
    tx.execute_raw(run(LETTERS, vec![LetterState::Replayed.name().into()])).await?;
    let last = tx.query_one_raw(run("SELECT MAX(id) FROM rebuild_letters", Vec::new())).await?;
    let last: Option<i64> = last.map_or(Ok(None), |row| row.try_get_by_index(0))?;
    let mut rows = PROGRESS.rows();
    rows.push(["".into(), 0_i64.into(), 0_i64.into(), last.unwrap_or_default().into()]);
    for (topic, partition, first) in earliest {
        let until = counted.get(&(topic.clone(), i64::from(*partition))).copied().unwrap_or(*first);
        rows.push([topic.into(), (*partition).into(), (*first).into(), until.into()]);
    }
    tx.execute_raw(PROGRESS.statement(tx.dialect(), &rows)).await?;
    tx.execute_raw(run(BASE_DAYS, vec![stored_day(from).into()])).await?;
    let totals = Template::new(BASE_TOTALS).number("total", TOTAL);
    tx.execute_raw(totals.statement(tx.dialect(), [stored_day(from).into()])).await?;
    Ok(())
}

async fn add(tx: &WriteTransaction, step: &ShadowStep) -> Result<(), Failure> {
    let Progress { topic, partition, next, .. } = &step.progress;
    let mut row = MOVE_ON.rows();
    row.push([topic.into(), (*partition).into(), (*next).into(), step.next.into()]);
    if tx.execute_raw(MOVE_ON.statement(tx.dialect(), &row)).await?.rows_affected() != 1 {
        return Err(Failure::Fenced);
    }
    let mut seen = HashSet::new();
    let events: Vec<_> = step.events.iter().filter(|(id, _)| seen.insert(*id)).collect();
    if events.is_empty() {
        return Ok(());
    }
    let mut rows = EVENTS.rows();
    for (id, _) in &events {
        rows.push([(*id).into(), step.token.into()]);
    }
    tx.execute_raw(EVENTS.statement(tx.dialect(), &rows)).await?;
    let found = EVENTS_BY.by_uuids(tx.dialect(), Lock::None, events.iter().map(|(id, _)| *id));
    let mut new: HashSet<Uuid> = HashSet::with_capacity(events.len());
    for row in tx.query_all_raw(found).await? {
        if row.try_get_by_index::<i64>(1)? == step.token {
            new.insert(row.try_get_by_index(0)?);
        }
    }
    let deltas = events.iter().filter(|(id, _)| new.contains(id)).flat_map(|(_, deltas)| deltas);
    let tally = Tally::of(deltas).ok_or(Failure::Data("a sum of the rebuild leaves 64 bits"))?;
    let mut rows = SHADOW.rows();
    for (product, metrics) in &tally.totals {
        rows.push([TOTAL.into(), (*product).into()].into_iter().chain(metric_values(metrics)));
    }
    for ((day, product), metrics) in &tally.daily {
        rows.push([stored_day(*day).into(), (*product).into()].into_iter().chain(metric_values(metrics)));
    }
    if !tally.totals.is_empty() {
        tx.execute_raw(SHADOW.statement(tx.dialect(), &rows)).await?;
    }
    Ok(())
}
