//! One transaction for a batch: fence and offset, dedupe rows, metrics, periods, dead letters.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::NaiveDate;
use commerce_boards::{Period, PeriodKind};
use commerce_collector_domain::{Metrics, Tally};
use commerce_database::{
    Column, Dialect, Lock, Merge, RowSet, RowValue, Select, Template, Update, Upsert, WriteTransaction,
};
use sea_orm::{ConnectionTrait as _, Statement, Value};
use uuid::Uuid;

use super::columns::stored_day;
use super::error::Failure;
use crate::application::ports::{Batch, Cause, Collected, CountedEvent, Item, LetterState, Verdict};

const ADVANCE: Update = Update {
    table: "consumer_offsets",
    columns: &[
        Column::text("consumer"),
        Column::text("topic"),
        Column::int("partition"),
        Column::int("own_epoch"),
        Column::int("next_offset"),
    ],
    keys: &["consumer", "topic", "partition"],
    set: &["next_offset"],
    expect: &[("epoch", "own_epoch")],
};

const HANDLED: Upsert = Upsert {
    table: "event_handled",
    columns: &[
        Column::uuid("event_id"),
        Column::text("consumer"),
        Column::text("event_type"),
        Column::text("aggregate_type"),
        Column::text("aggregate_id"),
        Column::int("sequence"),
        Column::int("batch"),
        Column::int("handled_at"),
    ],
    key: &["event_id", "consumer"],
    update: &[],
};

pub(super) const HANDLED_BY: Select = Select {
    table: "event_handled",
    columns: &["event_id", "batch"],
    keys: &[Column::uuid("event_id"), Column::text("consumer")],
    order: &[],
};

const TOTALS: Upsert = Upsert {
    table: "product_metrics",
    columns: &[
        Column::int("product_id"),
        Column::int("views"),
        Column::int("likes"),
        Column::int("orders"),
        Column::int("quantity"),
        Column::int("amount"),
    ],
    key: &["product_id"],
    update: ADD_METRICS,
};

const DAILY: Upsert = Upsert {
    table: "product_metrics_daily",
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
    update: ADD_METRICS,
};

const ADD_METRICS: &[(&str, Merge)] = &[
    ("views", Merge::Add),
    ("likes", Merge::Add),
    ("orders", Merge::Add),
    ("quantity", Merge::Add),
    ("amount", Merge::Add),
];

const CHANGED: Upsert = Upsert {
    table: "business_periods",
    columns: &[Column::text("period"), Column::int("changed")],
    key: &["period"],
    update: &[("changed", Merge::Add)],
};

/// A record that is set aside again, because it was read again, stays as it is.
const SET_ASIDE: Upsert = Upsert {
    table: "dead_letters",
    columns: &[
        Column::text("topic"),
        Column::int("partition"),
        Column::int("offset"),
        Column::int("kept_at"),
        Column::bytes("record_key"),
        Column::text("headers"),
        Column::bytes("value"),
        Column::text("cause"),
        Column::text("detail"),
        Column::int("attempts"),
        Column::uuid("event_id"),
        Column::text("event_type"),
        Column::text("aggregate_type"),
        Column::text("aggregate_id"),
        Column::int("sequence"),
        Column::text("state"),
        Column::int("set_aside_at"),
    ],
    key: &["topic", "partition", "offset", "kept_at"],
    update: &[],
};

pub(super) async fn collect(
    tx: &WriteTransaction,
    consumer: &'static str,
    batch: &Batch,
) -> Result<Collected, Failure> {
    advance(tx, consumer, batch).await?;
    let (events, set_aside) = sorted_out(batch.items());
    let new = insert_new(tx, consumer, (batch.token, batch.at_us), &events).await?;
    count(tx, batch.today, &new).await?;
    if !set_aside.is_empty() {
        let mut rows = SET_ASIDE.rows();
        for (item, cause) in &set_aside {
            push_dead_letter(&mut rows, item, cause, batch.at_us);
        }
        tx.execute_raw(SET_ASIDE.statement(tx.dialect(), &rows)).await?;
    }
    let set_aside = set_aside.len();
    let duplicates = batch.items().len() - set_aside - new.len();
    Ok(Collected { counted: new.len(), duplicates, set_aside })
}

/// The fence comes first: whoever has a lower epoch writes nothing.
async fn advance(tx: &WriteTransaction, consumer: &'static str, batch: &Batch) -> Result<(), Failure> {
    let owner = &batch.assignment;
    let mut row = ADVANCE.rows();
    let key = [consumer.into(), (&owner.topic).into(), owner.partition.into()];
    row.push(key.into_iter().chain([owner.epoch.into(), batch.next.into()]));
    match tx.execute_raw(ADVANCE.statement(tx.dialect(), &row)).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(Failure::Fenced),
    }
}

/// The events, each once, and what is set aside.
fn sorted_out(items: &[Item]) -> (Vec<&CountedEvent>, Vec<(&Item, &Cause)>) {
    let (mut events, mut set_aside, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for item in items {
        match &item.verdict {
            Verdict::Count(event) if seen.insert(event.id) => events.push(event),
            Verdict::Count(_) => {}
            Verdict::SetAside(cause) => set_aside.push((item, cause)),
        }
    }
    (events, set_aside)
}

/// Inserts the dedupe rows first and learns from them which events are new: two consumers that have the same event at
/// the same moment cannot both think so. `token` is a number that no other transaction has.
pub(super) async fn insert_new<'a>(
    tx: &WriteTransaction,
    consumer: &'static str,
    (token, at_us): (i64, i64),
    events: &[&'a CountedEvent],
) -> Result<Vec<&'a CountedEvent>, Failure> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = HANDLED.rows();
    for event in events {
        rows.push([
            event.id.into(),
            consumer.into(),
            event.event_type.into(),
            event.aggregate_type.into(),
            (&event.aggregate_id).into(),
            event.sequence.into(),
            token.into(),
            at_us.into(),
        ]);
    }
    let inserted = tx.execute_raw(HANDLED.statement(tx.dialect(), &rows)).await?.rows_affected();
    // A server counts a row that is there already as one that was found.
    if tx.dialect() == Dialect::Sqlite && inserted == events.len() as u64 {
        return Ok(events.to_vec());
    }
    let keys = events.iter().map(|event| [RowValue::from(event.id), consumer.into()]);
    let found = tx.query_all_raw(HANDLED_BY.by_rows(tx.dialect(), Lock::None, keys)).await?;
    let mut own = HashSet::with_capacity(found.len());
    for row in found {
        if row.try_get_by_index::<i64>(1)? == token {
            own.insert(row.try_get_by_index::<Uuid>(0)?);
        }
    }
    Ok(events.iter().copied().filter(|event| own.contains(&event.id)).collect())
}

/// Adds what new events count for.
pub(super) async fn count(
    tx: &WriteTransaction,
    today: NaiveDate,
    new: &[&CountedEvent],
) -> Result<(), Failure> {
    let deltas = new.iter().flat_map(|event| &event.deltas);
    let tally = Tally::of(deltas).ok_or(Failure::Data("a sum of the batch leaves 64 bits"))?;
    if tally.totals.is_empty() {
        return Ok(());
    }
    add_tally(tx, today, &tally).await
}

/// Adds sums to the live tables, and marks the periods that they change.
pub(super) async fn add_tally(tx: &WriteTransaction, today: NaiveDate, tally: &Tally) -> Result<(), Failure> {
    let mut totals = TOTALS.rows();
    for (product, metrics) in &tally.totals {
        totals.push([(*product).into()].into_iter().chain(values(metrics)));
    }
    let mut daily = DAILY.rows();
    for ((day, product), metrics) in &tally.daily {
        daily.push([stored_day(*day).into(), (*product).into()].into_iter().chain(values(metrics)));
    }
    for statement in [
        TOTALS.statement(tx.dialect(), &totals),
        DAILY.statement(tx.dialect(), &daily),
        mark_changed(tx, today, tally),
    ] {
        tx.execute_raw(statement).await?;
    }
    if let Some(statement) = mark_counted_in(tx, today, tally) {
        tx.execute_raw(statement).await?;
    }
    Ok(())
}

const COUNTED_IN: &str = "UPDATE business_periods SET changed = changed + 1 WHERE {periods}";

/// A day that was not over when its events were read may be by now, and its week or month aggregated with it.
fn mark_counted_in(tx: &WriteTransaction, today: NaiveDate, tally: &Tally) -> Option<Statement> {
    let mut values: Vec<Value> = Vec::new();
    let mut periods = Vec::new();
    for day in tally.days().into_iter().filter(|day| *day >= today) {
        for kind in [PeriodKind::Weekly, PeriodKind::Monthly] {
            periods.push(Template::new("period = ? AND `through` >= ?"));
            values.extend([Period::of(kind, day).to_string().into(), stored_day(day).into()]);
        }
    }
    let statement = Template::new(COUNTED_IN);
    (!periods.is_empty())
        .then(|| statement.fragments("periods", " OR ", periods).statement(tx.dialect(), values))
}

pub(super) fn values(metrics: &Metrics) -> [RowValue<'static>; 5] {
    let Metrics { views, likes, orders, quantity, amount } = *metrics;
    [views, likes, orders, quantity, amount].map(RowValue::Int)
}

/// A day is ranked again as soon as it changes; its week and month, which are aggregated once they are over, only for
/// what comes late.
fn mark_changed(tx: &WriteTransaction, today: NaiveDate, tally: &Tally) -> Statement {
    let mut periods = Vec::new();
    for day in tally.days() {
        periods.push(Period::day(day));
        if day < today {
            periods.extend([PeriodKind::Weekly, PeriodKind::Monthly].map(|kind| Period::of(kind, day)));
        }
    }
    periods.sort_unstable();
    periods.dedup();
    let mut rows = CHANGED.rows();
    for period in periods {
        rows.push([period.to_string().into(), 1_i64.into()]);
    }
    CHANGED.statement(tx.dialect(), &rows)
}

fn push_dead_letter(rows: &mut RowSet, item: &Item, cause: &Cause, at_us: i64) {
    let (record, identity) = (&item.record, &cause.identity);
    rows.push([
        (&record.topic).into(),
        record.partition.into(),
        record.offset.into(),
        record.kept_at_us.into(),
        record.key.as_ref().into(),
        headers(&record.headers).into(),
        record.value.as_ref().into(),
        cause.class.into(),
        (&cause.detail).into(),
        cause.attempts.into(),
        identity.event_id.into(),
        identity.event_type.as_ref().into(),
        identity.aggregate_type.as_ref().into(),
        identity.aggregate_id.as_ref().into(),
        identity.sequence.into(),
        LetterState::Open.name().into(),
        at_us.into(),
    ]);
}

/// Names and values as a JSON array of pairs; a value may be any bytes, so it is in Base64.
fn headers(headers: &[(String, Bytes)]) -> String {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name, STANDARD.encode(value))).collect();
    // Strings have nothing that could fail to serialise.
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// What [`headers`] wrote.
pub(super) fn read_headers(json: &str) -> Option<Vec<(String, Bytes)>> {
    let pairs: Vec<(String, String)> = serde_json::from_str(json).ok()?;
    pairs.into_iter().map(|(name, value)| Some((name, STANDARD.decode(value).ok()?.into()))).collect()
}
