//! What is known of the reconciliation of a day.

use std::sync::Arc;

use chrono::NaiveDate;
use commerce_api_application::ports::{
    AuditEntry, ComparedDay, ReconciledDay, ReconciliationState, ResolvedHow, StorageError,
};
use commerce_api_domain::Timestamp;
use commerce_database::{Column, Dialect, Merge, RowValue, Template, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::date;
use crate::sql::error::orm;
use crate::sql::stores::query::{Failure, decoded};
use crate::sql::unit_of_work::records;

type Written<T = ()> = Result<T, Failure<StorageError>>;

const READ: Upsert = Upsert {
    table: "reconciled_days",
    columns: &[Column::text("date"), Column::int("fetched_at"), Column::int("entries")],
    key: &["date"],
    update: &[("fetched_at", Merge::Set), ("entries", Merge::Set)],
};

const COMPARED: Upsert = Upsert {
    table: "reconciled_days",
    columns: &[
        Column::text("date"),
        Column::int("compared_at"),
        Column::int("ours"),
        Column::int("asked"),
        Column::int("failed_at"),
        Column::text("error"),
    ],
    key: &["date"],
    update: &[
        ("compared_at", Merge::Set),
        ("ours", Merge::Set),
        ("asked", Merge::Set),
        ("failed_at", Merge::Set),
        ("error", Merge::Set),
    ],
};

const FAILED: Upsert = Upsert {
    table: "reconciled_days",
    columns: &[Column::text("date"), Column::int("failed_at"), Column::text("error")],
    key: &["date"],
    update: &[("failed_at", Merge::Set), ("error", Merge::Set)],
};

const REQUESTED: Upsert = Upsert {
    table: "reconciled_days",
    columns: &[Column::text("date"), Column::int("requested_at")],
    key: &["date"],
    update: &[("requested_at", Merge::Set)],
};

const LIST: &str = "SELECT d.date, d.requested_at, d.fetched_at, d.entries, d.compared_at, d.ours, d.asked, \
     d.failed_at, d.error, (SELECT COUNT(*) FROM reconciliation_findings f WHERE f.date = d.date AND f.state = ?) \
     FROM reconciled_days d WHERE d.date <= ? ORDER BY d.date DESC LIMIT {limit}";

pub(super) async fn read(tx: &WriteTransaction, date: NaiveDate, entries: i64, at: Timestamp) -> Written {
    let date = date.to_string();
    let mut rows = READ.rows();
    rows.push([date.as_str().into(), at.as_micros().into(), entries.into()]);
    tx.execute_raw(READ.statement(tx.dialect(), &rows)).await?;
    Ok(())
}

pub(super) async fn compared(tx: &WriteTransaction, day: ComparedDay, at: Timestamp) -> Written<u64> {
    let ComparedDay { date, began_at, ours, asked } = day;
    let date = date.to_string();
    let gone = Query::update()
        .table("reconciliation_findings")
        .value("state", ReconciliationState::Resolved.name())
        .value("resolved_at", at.as_micros())
        .value("resolved_how", ResolvedHow::Gone.name())
        .and_where(Expr::col("date").eq(date.as_str()))
        .and_where(Expr::col("state").eq(ReconciliationState::Open.name()))
        .and_where(Expr::col("seen_at").lt(began_at.as_micros()))
        .take();
    let gone = tx.execute(&gone).await?.rows_affected();
    let mut rows = COMPARED.rows();
    rows.push([
        date.as_str().into(),
        began_at.as_micros().into(),
        ours.into(),
        asked.into(),
        RowValue::Null,
        RowValue::Null,
    ]);
    tx.execute_raw(COMPARED.statement(tx.dialect(), &rows)).await?;
    Ok(gone)
}

pub(super) async fn failed(
    tx: &WriteTransaction,
    date: NaiveDate,
    at: Timestamp,
    error: Arc<str>,
) -> Written {
    let date = date.to_string();
    let mut rows = FAILED.rows();
    rows.push([date.as_str().into(), at.as_micros().into(), (&*error).into()]);
    tx.execute_raw(FAILED.statement(tx.dialect(), &rows)).await?;
    Ok(())
}

pub(super) async fn request(
    tx: &WriteTransaction,
    date: NaiveDate,
    at: Timestamp,
    audit: AuditEntry,
) -> Written {
    let date = date.to_string();
    let mut rows = REQUESTED.rows();
    rows.push([date.as_str().into(), at.as_micros().into()]);
    tx.execute_raw(REQUESTED.statement(tx.dialect(), &rows)).await?;
    records::audit(tx, &[audit]).await?;
    Ok(())
}

pub(super) async fn list(
    reader: &impl ConnectionTrait,
    dialect: Dialect,
    until: NaiveDate,
    limit: u64,
) -> Result<Vec<(ReconciledDay, i64)>, StorageError> {
    let list = Template::new(LIST).number("limit", i64::try_from(limit).unwrap_or(i64::MAX));
    let values = [ReconciliationState::Open.name().into(), until.to_string().into()];
    let rows = reader.query_all_raw(list.statement(dialect, values)).await.map_err(orm)?;
    decoded(&rows, |row| {
        let day = ReconciledDay {
            date: date(row)?,
            requested_at: row.optional_time()?,
            fetched_at: row.optional_time()?,
            entries: row.take()?,
            compared_at: row.optional_time()?,
            ours: row.take()?,
            asked: row.take()?,
            failed_at: row.optional_time()?,
            error: row.optional_text()?,
        };
        Ok((day, row.take()?))
    })
}
