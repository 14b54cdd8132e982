//! What the last nightly audit found.

use commerce_api_application::ports::{Audited, StorageError};
use commerce_database::{Column, Database, Merge, Upsert};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use crate::sql::decode::Columns;
use crate::sql::error::{orm, storage};

const NAME: &str = "OLTP";

const KEEP: Upsert = Upsert {
    table: "nightly_audits",
    columns: &[Column::text("name"), Column::int("at"), Column::int("violated"), Column::int("pending")],
    key: &["name"],
    update: &[("at", Merge::Set), ("violated", Merge::Set), ("pending", Merge::Set)],
};

pub(super) async fn keep(db: &Database, audited: Audited) -> Result<(), StorageError> {
    let mut rows = KEEP.rows();
    rows.push([NAME.into(), audited.at.as_micros().into(), audited.violated.into(), audited.pending.into()]);
    let tx = db.begin_write("keep_audit").await.map_err(storage)?;
    tx.execute_raw(KEEP.statement(tx.dialect(), &rows)).await.map_err(orm)?;
    tx.commit().await.map_err(|error| storage(error.into()))
}

pub(super) async fn last(db: &Database) -> Result<Option<Audited>, StorageError> {
    let statement = Query::select()
        .columns(["at", "violated", "pending"])
        .from("nightly_audits")
        .and_where(Expr::col("name").eq(NAME))
        .take();
    let row = db.reader_named("last_audit").query_one(&statement).await.map_err(orm)?;
    let read = |row: &sea_orm::QueryResult| {
        let mut row = Columns::of(row);
        Ok(Audited { at: row.time()?, violated: row.take()?, pending: row.take()? })
    };
    row.as_ref().map(read).transpose()
}
