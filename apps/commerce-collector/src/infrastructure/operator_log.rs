use async_trait::async_trait;
use commerce_database::{Column, Insert, Template, WriteTransaction};
use sea_orm::ConnectionTrait as _;

use super::columns::Columns;
use super::error::Failure;
use super::store::SqlCollector;
use crate::application::dead_letters::{Note, OperatorLog};
use crate::application::ports::StoreError;

const NOTE: Insert = Insert {
    table: "operator_log",
    columns: &[
        Column::int("at"),
        Column::text("actor"),
        Column::text("action"),
        Column::text("target"),
        Column::text("detail"),
    ],
};

const NOTES: &str =
    "SELECT at, actor, action, target, detail FROM operator_log WHERE target = ? ORDER BY id LIMIT 1000";

/// Writes what was done by hand in the transaction that does it.
pub(super) async fn write(tx: &WriteTransaction, notes: &[Note]) -> Result<(), Failure> {
    if notes.is_empty() {
        return Ok(());
    }
    let mut rows = NOTE.rows();
    for Note { at_us, actor, action, target, detail } in notes {
        rows.push([(*at_us).into(), actor.into(), action.into(), target.into(), detail.into()]);
    }
    tx.execute_raw(NOTE.statement(tx.dialect(), &rows)).await?;
    Ok(())
}

#[async_trait]
impl OperatorLog for SqlCollector {
    async fn note(&self, note: Note) -> Result<(), StoreError> {
        let written = self.db.write("operator_log", move |tx| {
            let note = note.clone();
            Box::pin(async move { write(tx, &[note]).await })
        });
        written.await.map_err(Failure::into)
    }

    async fn notes(&self, target: &str) -> Result<Vec<Note>, StoreError> {
        let rows = self.rows("operator_log", Template::new(NOTES), vec![target.into()]).await?;
        let notes = rows.iter().map(|row| {
            let mut row = Columns::of(row);
            Ok(Note {
                at_us: row.take()?,
                actor: row.take()?,
                action: row.take()?,
                target: row.take()?,
                detail: row.take()?,
            })
        });
        notes.collect()
    }
}
