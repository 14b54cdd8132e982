use commerce_api_application::ports::StorageError;
use commerce_api_domain::{OrderStatus, PaymentStatus};
use commerce_database::ReadTransaction;
use sea_orm::{ConnectionTrait, QueryResult, Statement, TryGetable, Value};

use crate::sql::decode::Columns;
use crate::sql::error::orm;

/// One state of the database for all statements of an audit.
pub(super) struct Snapshot {
    tx: ReadTransaction,
}

impl Snapshot {
    pub const fn new(tx: ReadTransaction) -> Self {
        Self { tx }
    }

    pub async fn rows(
        &self,
        sql: impl Into<String>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StorageError> {
        let statement = Statement::from_sql_and_values(self.tx.dialect().backend(), sql, values);
        self.tx.query_all_raw(statement).await.map_err(orm)
    }

    /// The only column of the only row.
    pub async fn value<T: TryGetable>(&self, sql: impl Into<String>) -> Result<T, StorageError> {
        let rows = self.rows(sql, []).await?;
        let row = rows.first().ok_or_else(|| StorageError::Data("an aggregate without a row".into()))?;
        Columns::of(row).take()
    }

    pub async fn count(&self, table: &str) -> Result<u64, StorageError> {
        let rows: i64 = self.value(format!("SELECT COUNT(*) FROM {table}")).await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }
}

/// The live states as an SQL list.
pub(super) fn live() -> String {
    list(OrderStatus::ALL.into_iter().filter(|status| status.is_live()).map(OrderStatus::name))
}

/// The states of payments that nobody visits any more, as an SQL list.
pub(super) fn final_states() -> String {
    list(PaymentStatus::ALL.into_iter().filter(|status| status.is_final()).map(PaymentStatus::name))
}

/// Names of our own enums: they hold nothing to escape.
pub(super) fn list(names: impl IntoIterator<Item = &'static str>) -> String {
    names.into_iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}
