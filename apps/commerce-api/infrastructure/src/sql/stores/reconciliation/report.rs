//! Entries of settlement reports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use commerce_api_application::ports::{ReportPage, Reported, StorageError};
use commerce_api_domain::{
    MoneyMovement, OurMovement, PaymentId, PaymentStatus, SettlementEntry, Standing, Timestamp,
};
use commerce_database::{
    Column, Dialect, Lock, Merge, ReadTransaction, RowSet, RowValue, Select, Upsert, WriteTransaction,
};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, Statement};

use super::{date, days};
use crate::sql::decode::Columns;
use crate::sql::error::orm;
use crate::sql::stores::query::{Failure, all, decoded};
use crate::sql::unit_of_work::orders::REFUND_DONE;

pub(super) const KEEP: Upsert = Upsert {
    table: "settlement_entries",
    columns: &[
        Column::text("date"),
        Column::int("place"),
        Column::text("movement"),
        Column::text("gateway_key"),
        Column::text("reference"),
        Column::int("amount"),
        Column::int("at"),
    ],
    key: &["date", "place"],
    update: &[
        ("movement", Merge::Set),
        ("gateway_key", Merge::Set),
        ("reference", Merge::Set),
        ("amount", Merge::Set),
        ("at", Merge::Set),
    ],
};

const OF_KEYS: Select = Select {
    table: "settlement_entries",
    columns: &["date", "movement", "gateway_key", "reference", "amount", "at"],
    keys: &[Column::text("gateway_key")],
    order: &["date", "place"],
};

const CAPTURED: Select = Select {
    table: "payments",
    columns: &["id", "gateway_key", "card_part", "status", "created_at", "updated_at"],
    keys: &[Column::text("gateway_key")],
    order: &[],
};

const GIVEN_BACK: Select = Select {
    table: "refunds",
    columns: &["payment_id", "gateway_key", "amount", "state", "created_at"],
    keys: &[Column::text("gateway_key")],
    order: &["gateway_key", "payment_id"],
};

const STANDING: Select = Select {
    table: "payments",
    columns: &["id", "status", "card_part"],
    keys: &[Column::uuid("id")],
    order: &[],
};

pub(super) fn rows(date: NaiveDate, first: i64, entries: &[SettlementEntry]) -> RowSet {
    let date = date.to_string();
    let mut rows = KEEP.rows();
    for (place, entry) in (first..).zip(entries) {
        rows.push([
            date.as_str().into(),
            place.into(),
            entry.movement.name().into(),
            (&*entry.key).into(),
            (&*entry.reference).into(),
            entry.amount.won().into(),
            entry.at.as_micros().into(),
        ]);
    }
    rows
}

pub(super) async fn execute(
    tx: &WriteTransaction,
    statement: Statement,
) -> Result<(), Failure<StorageError>> {
    tx.execute_raw(statement).await?;
    Ok(())
}

pub(super) async fn read(
    tx: &WriteTransaction,
    date: NaiveDate,
    entries: i64,
    at: Timestamp,
) -> Result<(), Failure<StorageError>> {
    let beyond = Query::delete()
        .from_table("settlement_entries")
        .and_where(Expr::col("date").eq(date.to_string()))
        .and_where(Expr::col("place").gte(entries))
        .take();
    tx.execute(&beyond).await?;
    days::read(tx, date, entries, at).await
}

pub(super) async fn purge(
    tx: &WriteTransaction,
    before: NaiveDate,
    limit: u64,
) -> Result<u64, Failure<StorageError>> {
    let key = ["date", "place"];
    let old = Query::select()
        .columns(key)
        .from("settlement_entries")
        .and_where(Expr::col("date").lt(before.to_string()))
        .limit(limit)
        .take();
    // The derived table is for MySQL, which takes no LIMIT in a subquery of IN.
    let keys = Query::select().columns(key).from_subquery(old, "old").take();
    let row = Expr::tuple(key.map(Expr::col));
    let purge = Query::delete().from_table("settlement_entries").and_where(row.in_subquery(keys)).take();
    Ok(tx.execute(&purge).await?.rows_affected())
}

fn entry(row: &mut Columns<'_>) -> Result<SettlementEntry, StorageError> {
    Ok(SettlementEntry {
        movement: row.named("a movement", MoneyMovement::parse)?,
        key: row.text()?,
        reference: row.text()?,
        amount: row.money("settled amount")?,
        at: row.time()?,
    })
}

/// Entries of these keys, of every report that is kept.
pub(super) async fn of_keys(
    reader: &impl ConnectionTrait,
    dialect: Dialect,
    keys: &[Arc<str>],
) -> Result<Vec<Reported>, StorageError> {
    let keys = keys.iter().map(|key| [RowValue::from(&**key)]);
    let rows = reader.query_all_raw(OF_KEYS.by_rows(dialect, Lock::None, keys)).await.map_err(orm)?;
    decoded(&rows, |row| Ok((date(row)?, entry(row)?)))
}

pub(super) async fn page(
    snapshot: &ReadTransaction,
    day: NaiveDate,
    after: i64,
    limit: u64,
) -> Result<ReportPage, StorageError> {
    let statement = Query::select()
        .columns(["place", "movement", "gateway_key", "reference", "amount", "at"])
        .from("settlement_entries")
        .and_where(Expr::col("date").eq(day.to_string()))
        .and_where(Expr::col("place").gt(after))
        .order_by("place", Order::Asc)
        .limit(limit)
        .take();
    let entries = all(snapshot, &statement, |row| Ok((row.take()?, entry(row)?))).await?;
    if entries.is_empty() {
        return Ok(ReportPage::default());
    }
    let keys: BTreeSet<Arc<str>> = entries.iter().map(|(_, entry)| entry.key.clone()).collect();
    let keys: Vec<Arc<str>> = keys.into_iter().collect();
    let reported = of_keys(snapshot, snapshot.dialect(), &keys).await?;
    let mut known = captured(snapshot, &keys).await?;
    known.extend(given_back(snapshot, &keys).await?);
    let references: BTreeSet<PaymentId> = reported.iter().filter_map(|(_, entry)| entry.payment()).collect();
    let payments = standings(snapshot, &references).await?;
    Ok(ReportPage { entries, reported, known, payments })
}

async fn captured(snapshot: &ReadTransaction, keys: &[Arc<str>]) -> Result<Vec<OurMovement>, StorageError> {
    let keys = keys.iter().map(|key| [RowValue::from(&**key)]);
    let rows = snapshot.query_all_raw(CAPTURED.by_rows(snapshot.dialect(), Lock::None, keys)).await;
    let mut known = decoded(&rows.map_err(orm)?, |row| {
        Ok(OurMovement {
            payment: PaymentId(row.take()?),
            movement: MoneyMovement::Capture,
            key: row.text()?,
            amount: row.money("card part")?,
            status: row.named("payment status", PaymentStatus::parse)?,
            is_settled: true,
            from: row.time()?,
            at: row.time()?,
        })
    })?;
    known.retain(|ours| {
        matches!(ours.status, PaymentStatus::Success | PaymentStatus::RefundPending | PaymentStatus::Refunded)
    });
    Ok(known)
}

/// A refund that is due or done tells of its capture as well: of one beyond the one that counts nothing else does.
async fn given_back(snapshot: &ReadTransaction, keys: &[Arc<str>]) -> Result<Vec<OurMovement>, StorageError> {
    let keys = keys.iter().map(|key| [RowValue::from(&**key)]);
    let rows = snapshot.query_all_raw(GIVEN_BACK.by_rows(snapshot.dialect(), Lock::None, keys)).await;
    let refunds = decoded(&rows.map_err(orm)?, |row| {
        let (payment, key, amount) = (PaymentId(row.take()?), row.text()?, row.money("refund")?);
        let is_settled = row.take::<String>()? == REFUND_DONE;
        let status = if is_settled { PaymentStatus::Refunded } else { PaymentStatus::RefundPending };
        let at = row.time()?;
        let movement = MoneyMovement::Refund;
        Ok(OurMovement { payment, movement, key, amount, status, is_settled, from: at, at })
    })?;
    let captures = refunds.clone().into_iter().map(|refund| OurMovement {
        movement: MoneyMovement::Capture,
        is_settled: true,
        ..refund
    });
    Ok(captures.chain(refunds.iter().cloned()).collect())
}

/// Only payments with a card part: of no other can the gateway know.
async fn standings(
    snapshot: &ReadTransaction,
    payments: &BTreeSet<PaymentId>,
) -> Result<BTreeMap<PaymentId, Standing>, StorageError> {
    if payments.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = payments.iter().map(|id| id.0);
    let rows = snapshot.query_all_raw(STANDING.by_uuids(snapshot.dialect(), Lock::None, ids)).await;
    let standings = decoded(&rows.map_err(orm)?, |row| {
        let id = PaymentId(row.take()?);
        let status = row.named("payment status", PaymentStatus::parse)?;
        Ok((id, Standing { status, card_part: row.money("card part")? }))
    })?;
    Ok(standings.into_iter().filter(|(_, standing)| !standing.card_part.is_zero()).collect())
}
