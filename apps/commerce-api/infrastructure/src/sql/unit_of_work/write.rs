//! The writes of a batch: one statement a table, and only for tables with rows.

use std::collections::BTreeMap;

use commerce_api_application::ports::{DeskChanges, StorageError};
use commerce_database::{Insert, RowSet, Update, WriteTransaction, execute_exact};
use sea_orm::Statement;

use super::{balances, orders, records};
use crate::sql::error::storage;

pub(super) async fn write(tx: &WriteTransaction, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
    balances::write(tx, changes.set).await?;
    orders::write(tx, changes).await?;
    records::outbox(tx, changes.outbox).await?;
    records::answers(tx, changes).await?;
    records::callbacks(tx, changes.callbacks).await?;
    records::audit(tx, changes.audit).await
}

/// Writes new rows; a row that is there already is refused data.
pub(super) async fn insert(
    tx: &WriteTransaction,
    insert: &Insert,
    rows: &RowSet,
) -> Result<(), StorageError> {
    exactly(tx, || insert.statement(tx.dialect(), rows), rows).await
}

/// Changes rows; one that is gone or not as expected is refused data.
pub(super) async fn update(
    tx: &WriteTransaction,
    update: &Update,
    rows: &RowSet,
) -> Result<(), StorageError> {
    exactly(tx, || update.statement(tx.dialect(), rows), rows).await
}

async fn exactly(
    tx: &WriteTransaction,
    statement: impl FnOnce() -> Statement,
    rows: &RowSet,
) -> Result<(), StorageError> {
    if rows.is_empty() {
        return Ok(());
    }
    execute_exact(tx, statement(), rows.len() as u64).await.map_err(storage)
}

/// The row that a working set says it changed.
pub(super) fn changed<'a, K: Ord + std::fmt::Display, V>(
    rows: &'a BTreeMap<K, V>,
    id: &K,
) -> Result<&'a V, StorageError> {
    rows.get(id)
        .ok_or_else(|| StorageError::Data(format!("the working set lacks the changed row {id}").into()))
}
