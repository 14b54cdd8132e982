//! What a batch leaves for others: events to publish, answers to give again, what was done by hand.

use commerce_api_application::ports::{
    AuditEntry, DeskChanges, InboxEntry, OutboxRecord, StorageError, Verdict,
};
use commerce_database::{Column, Insert, Merge, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;

use super::write::insert;
use crate::sql::error::orm;

pub(super) const OUTBOX: Insert = Insert {
    table: "outbox",
    columns: &[
        Column::uuid("event_id"),
        Column::text("aggregate_type"),
        Column::text("aggregate_id"),
        Column::int("sequence"),
        Column::text("topic"),
        Column::text("headers"),
        Column::text("payload"),
        Column::int("shard"),
        Column::int("at"),
    ],
};

pub(super) const KEYS: Insert = Insert {
    table: "idempotency_keys",
    columns: &[
        Column::int("user_id"),
        Column::text("route"),
        Column::text("idem_key"),
        Column::bytes("fingerprint"),
        Column::int("status"),
        Column::text("location"),
        Column::blob("body"),
        Column::int("expires_at"),
        Column::int("created_at"),
    ],
};

pub(super) const AUDIT: Insert = Insert {
    table: "audit_log",
    columns: &[
        Column::uuid("id"),
        Column::text("actor"),
        Column::text("action"),
        Column::text("target"),
        Column::text("detail"),
        Column::int("at"),
    ],
};

/// A callback that came before has no verdict, or gets one that is as true.
pub(super) const CALLBACKS: Upsert = Upsert {
    table: "callback_inbox",
    columns: &[
        Column::text("event_id"),
        Column::text("headers"),
        Column::blob("body"),
        Column::text("verdict"),
        Column::int("received_at"),
    ],
    key: &["event_id"],
    update: &[("verdict", Merge::Set)],
};

/// Keeps callbacks with the verdicts on them.
pub(in crate::sql) async fn callbacks(
    tx: &WriteTransaction,
    callbacks: &[(InboxEntry, Verdict)],
) -> Result<(), StorageError> {
    if callbacks.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = callbacks.iter().collect();
    sorted.sort_by_key(|(entry, _)| &entry.event_id);
    let mut rows = CALLBACKS.rows();
    for (entry, verdict) in sorted {
        rows.push([
            (&entry.event_id).into(),
            (&entry.headers).into(),
            (&entry.body).into(),
            verdict.name().into(),
            entry.received_at.as_micros().into(),
        ]);
    }
    tx.execute_raw(CALLBACKS.statement(tx.dialect(), &rows)).await.map_err(orm)?;
    Ok(())
}

/// Events keep the order they happened in: the relay publishes by insertion.
pub(in crate::sql) async fn outbox(
    tx: &WriteTransaction,
    records: &[OutboxRecord],
) -> Result<(), StorageError> {
    let mut rows = OUTBOX.rows();
    for record in records {
        rows.push([
            record.event_id.into(),
            record.aggregate_type.into(),
            (&record.aggregate_id).into(),
            record.sequence.into(),
            record.topic.into(),
            (&record.headers).into(),
            (&record.payload).into(),
            i64::from(record.shard).into(),
            record.at.as_micros().into(),
        ]);
    }
    insert(tx, &OUTBOX, &rows).await
}

pub(super) async fn answers(tx: &WriteTransaction, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = changes.answers.iter().collect();
    sorted.sort_by_key(|(scope, _)| scope);
    let mut rows = KEYS.rows();
    for (scope, stored) in sorted {
        let body =
            std::str::from_utf8(&stored.answer.body).map_err(|error| StorageError::Data(error.into()))?;
        rows.push([
            scope.user.0.into(),
            scope.route.into(),
            (&*scope.key).into(),
            stored.fingerprint.0.as_slice().into(),
            i64::from(stored.answer.status).into(),
            stored.answer.location.as_deref().into(),
            body.into(),
            changes.answers_expire_at.as_micros().into(),
            changes.now.as_micros().into(),
        ]);
    }
    insert(tx, &KEYS, &rows).await
}

pub(in crate::sql) async fn audit(tx: &WriteTransaction, entries: &[AuditEntry]) -> Result<(), StorageError> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.id);
    let mut rows = AUDIT.rows();
    for entry in sorted {
        rows.push([
            entry.id.into(),
            (&entry.actor).into(),
            entry.action.into(),
            (&entry.target).into(),
            (&entry.detail).into(),
            entry.at.as_micros().into(),
        ]);
    }
    insert(tx, &AUDIT, &rows).await
}
