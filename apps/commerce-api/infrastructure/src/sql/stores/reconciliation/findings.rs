//! Differences between reports and our books.

use std::collections::BTreeMap;

use commerce_api_application::ports::{
    AuditEntry, FindingFilter, ReconciliationFinding, ReconciliationState, Resolution, ResolvedHow,
    StorageError,
};
use commerce_api_domain::{
    Mismatch, MismatchKind, MoneyMovement, OurSide, PaymentId, PaymentStatus, ProposedAction, TheirSide,
    Timestamp,
};
use commerce_database::{Column, Lock, Merge, RowSet, RowValue, Select, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use uuid::Uuid;

use super::date;
use crate::sql::decode::{Columns, money, named, undecodable};
use crate::sql::stores::query::{Failure, all, decoded, page};
use crate::sql::unit_of_work::orders::{CHECKS, due_at};
use crate::sql::unit_of_work::records;

type Written<T = ()> = Result<T, Failure<StorageError>>;

const COLUMNS: &[&str] = &[
    "id",
    "date",
    "finding_key",
    "kind",
    "movement",
    "reference",
    "payment_id",
    "our_amount",
    "our_status",
    "their_amount",
    "their_at",
    "action",
    "found_at",
    "seen_at",
    "resolved_at",
    "resolved_how",
    "reason",
];

const SAME: Select = Select {
    table: "reconciliation_findings",
    columns: COLUMNS,
    keys: &[
        Column::text("date"),
        Column::text("finding_key"),
        Column::text("movement"),
        Column::text("kind"),
    ],
    order: &[],
};

const BY_ID: Select =
    Select { table: "reconciliation_findings", columns: COLUMNS, keys: &[Column::uuid("id")], order: &[] };

const KEEP: Upsert = Upsert {
    table: "reconciliation_findings",
    columns: &[
        Column::uuid("id"),
        Column::text("date"),
        Column::text("finding_key"),
        Column::text("kind"),
        Column::text("movement"),
        Column::text("reference"),
        Column::uuid("payment_id"),
        Column::int("our_amount"),
        Column::text("our_status"),
        Column::int("their_amount"),
        Column::int("their_at"),
        Column::text("action"),
        Column::int("found_at"),
        Column::int("seen_at"),
        Column::int("resolved_at"),
        Column::text("resolved_how"),
        Column::text("reason"),
        Column::text("state"),
    ],
    key: &["date", "finding_key", "movement", "kind"],
    update: &[
        ("reference", Merge::Set),
        ("payment_id", Merge::Set),
        ("our_amount", Merge::Set),
        ("our_status", Merge::Set),
        ("their_amount", Merge::Set),
        ("their_at", Merge::Set),
        ("action", Merge::Set),
        ("seen_at", Merge::Set),
        ("resolved_at", Merge::Set),
        ("resolved_how", Merge::Set),
        ("reason", Merge::Set),
        ("state", Merge::Set),
    ],
};

fn push(rows: &mut RowSet, finding: &ReconciliationFinding) {
    let Mismatch { kind, movement, key, reference, payment, ours, theirs, action } = &finding.mismatch;
    let resolution = finding.resolution.as_ref();
    let date = finding.date.to_string();
    rows.push([
        finding.id.into(),
        date.as_str().into(),
        (&**key).into(),
        kind.name().into(),
        movement.name().into(),
        (&**reference).into(),
        payment.map(|payment| payment.0).into(),
        ours.map(|ours| ours.amount.won()).into(),
        ours.map(|ours| ours.status.name()).into(),
        theirs.map(|theirs| theirs.amount).into(),
        theirs.map(|theirs| theirs.at.as_micros()).into(),
        action.name().into(),
        finding.found_at.as_micros().into(),
        finding.seen_at.as_micros().into(),
        resolution.map(|resolution| resolution.at.as_micros()).into(),
        resolution.map(|resolution| resolution.how.name()).into(),
        resolution.and_then(|resolution| resolution.reason.as_deref()).into(),
        finding.state().name().into(),
    ]);
}

fn finding(row: &mut Columns<'_>) -> Result<ReconciliationFinding, StorageError> {
    let (id, date, key) = (row.take()?, date(row)?, row.text()?);
    let kind = row.named("a kind of finding", MismatchKind::parse)?;
    let movement = row.named("a movement", MoneyMovement::parse)?;
    let (reference, payment) = (row.text()?, row.take::<Option<Uuid>>()?.map(PaymentId));
    let ours = match (row.take::<Option<i64>>()?, row.take::<Option<String>>()?) {
        (Some(amount), Some(status)) => Some(OurSide {
            amount: money("our amount", amount)?,
            status: named("payment status", &status, PaymentStatus::parse)?,
        }),
        _ => None,
    };
    let theirs = row.take::<Option<i64>>()?.zip(row.optional_time()?);
    let theirs = theirs.map(|(amount, at)| TheirSide { amount, at });
    let action = row.named("a proposed action", ProposedAction::parse)?;
    let mismatch = Mismatch { kind, movement, key, reference, payment, ours, theirs, action };
    let (found_at, seen_at) = (row.time()?, row.time()?);
    Ok(ReconciliationFinding { id, date, mismatch, found_at, seen_at, resolution: resolution(row)? })
}

fn resolution(row: &mut Columns<'_>) -> Result<Option<Resolution>, StorageError> {
    let (at, how, reason) = (row.optional_time()?, row.take::<Option<String>>()?, row.optional_text()?);
    let Some((at, how)) = at.zip(how) else { return Ok(None) };
    let how = ResolvedHow::parse(&how).ok_or_else(|| undecodable("a way of resolving", &how))?;
    Ok(Some(Resolution { at, how, reason }))
}

type Place = (String, String, &'static str, &'static str);

fn place(finding: &ReconciliationFinding) -> Place {
    let Mismatch { kind, movement, key, .. } = &finding.mismatch;
    (finding.date.to_string(), key.to_string(), movement.name(), kind.name())
}

pub(super) async fn record(
    tx: &WriteTransaction,
    found: Vec<ReconciliationFinding>,
    ask: Vec<PaymentId>,
    at: Timestamp,
) -> Written<Vec<ReconciliationFinding>> {
    if !ask.is_empty() {
        tx.execute_raw(CHECKS.statement(tx.dialect(), &due_at(ask, at))).await?;
    }
    // Sorted by their key, so that two writers lock in one order; of two in one place the first counts.
    let mut places: BTreeMap<Place, ReconciliationFinding> = BTreeMap::new();
    for finding in found {
        places.entry(place(&finding)).or_insert(finding);
    }
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let keys = places.keys().map(|(date, key, movement, kind)| {
        [date.as_str().into(), key.as_str().into(), (*movement).into(), (*kind).into()]
    });
    let keys: Vec<[RowValue<'_>; 4]> = keys.collect();
    let rows = tx.query_all_raw(SAME.by_rows(tx.dialect(), Lock::Update, keys)).await?;
    let mut known: BTreeMap<Place, ReconciliationFinding> =
        decoded(&rows, finding)?.into_iter().map(|finding| (place(&finding), finding)).collect();
    let (mut rows, mut new) = (KEEP.rows(), Vec::new());
    for (place, again) in places {
        let before = known.remove(&place);
        let was_open = before.as_ref().is_some_and(|before| before.resolution.is_none());
        let now = match before {
            Some(before) => before.found_again(again),
            None => again,
        };
        push(&mut rows, &now);
        if !was_open && now.resolution.is_none() {
            new.push(now);
        }
    }
    tx.execute_raw(KEEP.statement(tx.dialect(), &rows)).await?;
    Ok(new)
}

pub(super) async fn resolve(
    tx: &WriteTransaction,
    id: Uuid,
    resolution: Resolution,
    audit: AuditEntry,
) -> Written<Option<ReconciliationFinding>> {
    let rows = tx.query_all_raw(BY_ID.by_uuids(tx.dialect(), Lock::Update, [id])).await?;
    let Some(found) = decoded(&rows, finding)?.pop() else { return Ok(None) };
    if found.resolution.is_some() {
        return Ok(Some(found));
    }
    let resolved = ReconciliationFinding { resolution: Some(resolution), ..found };
    let mut rows = KEEP.rows();
    push(&mut rows, &resolved);
    tx.execute_raw(KEEP.statement(tx.dialect(), &rows)).await?;
    records::audit(tx, &[audit]).await?;
    Ok(Some(resolved))
}

pub(super) async fn list(
    reader: &impl ConnectionTrait,
    filter: &FindingFilter,
) -> Result<Vec<ReconciliationFinding>, StorageError> {
    let mut statement = Query::select();
    statement
        .columns(COLUMNS.iter().copied())
        .from("reconciliation_findings")
        .and_where_option(filter.date.map(|date| Expr::col("date").eq(date.to_string())))
        .and_where_option(filter.state.map(|state| Expr::col("state").eq(state.name())))
        .and_where_option(filter.kind.map(|kind| Expr::col("kind").eq(kind.name())));
    let before = filter.before.map(|(at, id)| (at.as_micros().into(), id.into()));
    page(&mut statement, ("found_at", "id"), &Order::Desc, before);
    statement.limit(filter.limit);
    all(reader, &statement, finding).await
}

pub(super) async fn open(
    reader: &impl ConnectionTrait,
) -> Result<BTreeMap<(MismatchKind, MoneyMovement), i64>, StorageError> {
    let statement = Query::select()
        .columns(["kind", "movement"])
        .expr(Expr::col("id").count())
        .from("reconciliation_findings")
        .and_where(Expr::col("state").eq(ReconciliationState::Open.name()))
        .group_by_columns(["kind", "movement"])
        .take();
    let counts = all(reader, &statement, |row| {
        let kind = row.named("a kind of finding", MismatchKind::parse)?;
        Ok(((kind, row.named("a movement", MoneyMovement::parse)?), row.take()?))
    });
    Ok(counts.await?.into_iter().collect())
}
