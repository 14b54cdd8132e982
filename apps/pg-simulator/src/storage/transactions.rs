use commerce_contracts::gateway::TransactionStatus;
use commerce_database::DatabaseError;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, DbErr};

use super::Storage;
use super::decode::{Columns, RECORDED_COLUMNS, decoded, recorded};
use crate::domain::{Recorded, status_name};

/// Transactions that the gateway shows at `now_us`.
pub(super) fn shown(now_us: i64) -> SelectStatement {
    Query::select()
        .columns(RECORDED_COLUMNS)
        .from("transactions")
        .and_where(Expr::col("visible_at").lte(now_us))
        .take()
}

/// Transactions of one reference, newest first.
pub(super) fn of_order(order_id: &str, now_us: i64) -> SelectStatement {
    shown(now_us).and_where(Expr::col("order_id").eq(order_id)).order_by("id", Order::Desc).take()
}

/// Which transactions an operator looks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct TransactionFilter {
    pub order_id: Option<String>,
    pub status: Option<TransactionStatus>,
    /// Only those before this one.
    pub before: Option<i64>,
    pub limit: u64,
}

impl Storage {
    /// How many transactions there ever were.
    pub(crate) async fn last_id(&self) -> Result<i64, DatabaseError> {
        let last = Query::select().expr(Func::max(Expr::col("id"))).from("transactions").take();
        let row = self.db.reader_named("last_id").query_one(&last).await?;
        let last = row.map(|row| Columns::of(&row).take::<Option<i64>>()).transpose()?;
        Ok(last.flatten().unwrap_or_default())
    }

    pub(crate) async fn find(&self, key: &str, now_us: i64) -> Result<Option<Recorded>, DatabaseError> {
        let one = shown(now_us).and_where(Expr::col("transaction_key").eq(key)).take();
        let rows = self.db.reader_named("find").query_all(&one).await?;
        Ok(recorded(&rows)?.pop())
    }

    /// The transactions of one reference, newest first.
    pub(crate) async fn of_order(&self, order_id: &str, now_us: i64) -> Result<Vec<Recorded>, DatabaseError> {
        let rows = self.db.reader_named("of_order").query_all(&of_order(order_id, now_us)).await?;
        Ok(recorded(&rows)?)
    }

    /// Any transactions with their ids, newest first.
    pub(crate) async fn page(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<(i64, Recorded)>, DatabaseError> {
        let mut page = Query::select()
            .column("id")
            .columns(RECORDED_COLUMNS)
            .from("transactions")
            .order_by("id", Order::Desc)
            .limit(filter.limit)
            .take();
        if let Some(order_id) = &filter.order_id {
            page.and_where(Expr::col("order_id").eq(order_id.as_str()));
        }
        if let Some(wanted) = filter.status {
            page.and_where(Expr::col("status").eq(status_name(wanted)));
        }
        if let Some(before) = filter.before {
            page.and_where(Expr::col("id").lt(before));
        }
        let rows = self.db.reader_named("page").query_all(&page).await?;
        let decode = |row: &mut Columns<'_>| -> Result<_, DbErr> { Ok((row.take()?, row.recorded()?)) };
        Ok(decoded(&rows, decode)?)
    }
}
