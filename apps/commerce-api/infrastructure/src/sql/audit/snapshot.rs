use commerce_api_application::ports::StorageError;
use commerce_api_domain::{OrderStatus, PaymentStatus};
use commerce_database::{ReadTransaction, Template};
use sea_orm::{ConnectionTrait, QueryResult, TryGetable, Value};

use super::sums;
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
        sql: impl Into<Template>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StorageError> {
        let statement = sql.into().statement(self.tx.dialect(), values);
        self.tx.query_all_raw(statement).await.map_err(orm)
    }

    /// The only column of the only row.
    pub async fn value<T: TryGetable>(
        &self,
        sql: impl Into<Template>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<T, StorageError> {
        let rows = self.rows(sql, values).await?;
        let row = rows.first().ok_or_else(|| StorageError::Data("an aggregate without a row".into()))?;
        Columns::of(row).take()
    }

    /// The sum of `value` over the rows of `from`, a table with its conditions.
    pub async fn sum(
        &self,
        value: &'static str,
        from: impl Into<Template>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<i128, StorageError> {
        let sql = Template::new("SELECT {parts} FROM {from}")
            .fragment("parts", sums::parts(value))
            .fragment("from", from);
        let rows = self.rows(sql, values).await?;
        let row = rows.first().ok_or_else(|| StorageError::Data("an aggregate without a row".into()))?;
        sums::take(&mut Columns::of(row))
    }

    pub async fn count(&self, table: &str) -> Result<u64, StorageError> {
        let sql = Template::new("SELECT COUNT(*) FROM {table}").identifier("table", table);
        let rows: i64 = self.value(sql, []).await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }
}

/// The live states of orders.
pub(super) fn live() -> impl Iterator<Item = &'static str> {
    OrderStatus::ALL.into_iter().filter(|status| status.is_live()).map(OrderStatus::name)
}

/// The states of payments that nobody visits any more.
pub(super) fn final_states() -> impl Iterator<Item = &'static str> {
    PaymentStatus::ALL.into_iter().filter(|status| status.is_final()).map(PaymentStatus::name)
}
