use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_api_application::ports::{OrderFilter, OrderPosition, OrderQueries, StorageError};
use commerce_api_domain::{
    IssuedCouponId, Order, OrderId, OrderLine, OrderStatus, Payment, PaymentEventRecord, PaymentId,
    Timestamp, UserId,
};
use commerce_database::{Column, Database, Lock, NamedReader, Select};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{self, Expr, ExprTrait, JoinType, Query, SelectStatement};
use uuid::Uuid;

use super::query::{all, decoded, one, page, select};
use crate::sql::decode::{Columns, LINE_COLUMNS, PAYMENT_COLUMNS, PAYMENT_EVENT_COLUMNS};
use crate::sql::error::orm;

/// [`OrderQueries`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlOrders {
    db: Database,
}

impl SqlOrders {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    /// The orders that `statement` finds, with their lines: two statements.
    async fn read(
        &self,
        name: &'static str,
        statement: &SelectStatement,
    ) -> Result<Vec<Order>, StorageError> {
        let reader = self.db.reader_named(name);
        let mut orders = all(&reader, statement, order).await?;
        if !orders.is_empty() {
            add_lines(&self.db, &reader, &mut orders).await?;
        }
        Ok(orders)
    }
}

const LINES: Select = Select {
    table: "order_lines",
    columns: LINE_COLUMNS,
    keys: &[Column::uuid("order_id")],
    order: &["order_id", "product_id"],
};

/// Lines never change and were committed with their order, so they need not be of the same snapshot.
async fn add_lines(db: &Database, reader: &NamedReader, orders: &mut [Order]) -> Result<(), StorageError> {
    let statement = LINES.by_uuids(db.dialect(), Lock::None, orders.iter().map(|order| order.id.0));
    let rows = reader.query_all_raw(statement).await.map_err(orm)?;
    let mut lines: BTreeMap<OrderId, Vec<OrderLine>> = BTreeMap::new();
    for (order, bought) in decoded(&rows, line)? {
        lines.entry(order).or_default().push(bought);
    }
    for order in orders {
        order.lines = lines.remove(&order.id).unwrap_or_default().into();
    }
    Ok(())
}

/// Orders `o` with their payments `p`; the columns of [`order`].
fn orders() -> SelectStatement {
    let mut statement = Query::select();
    let money = ["id", "user_id", "status", "items_total", "discount", "total", "issued_coupon_id"];
    select(&mut statement, "o", &money);
    let rest = ["points_earned", "event_seq", "created_at", "paid_at", "expires_at", "updated_at"];
    select(&mut statement, "o", &rest);
    select(&mut statement, "p", PAYMENT_COLUMNS);
    let of_order = Expr::col(("p", "order_id")).equals(("o", "id"));
    statement.from_as("orders", "o").join_as(JoinType::InnerJoin, "payments", "p", of_order);
    statement
}

/// The columns of [`orders`]; without lines.
fn order(row: &mut Columns<'_>) -> Result<Order, StorageError> {
    Ok(Order {
        id: OrderId(row.take()?),
        user: UserId(row.take()?),
        status: row.named("order status", OrderStatus::parse)?,
        lines: [].into(),
        items_total: row.money("items total")?,
        discount: row.money("discount")?,
        total: row.money("total")?,
        issued_coupon: row.take::<Option<Uuid>>()?.map(IssuedCouponId),
        points_earned: row.money("points earned")?,
        event_seq: row.take()?,
        created_at: row.time()?,
        paid_at: row.optional_time()?,
        expires_at: row.optional_time()?,
        updated_at: row.time()?,
        payment: row.payment()?,
    })
}

fn line(row: &mut Columns<'_>) -> Result<(OrderId, OrderLine), StorageError> {
    row.line()
}

fn payment(row: &mut Columns<'_>) -> Result<Payment, StorageError> {
    row.payment()
}

fn payment_event(row: &mut Columns<'_>) -> Result<PaymentEventRecord, StorageError> {
    row.payment_event()
}

fn filtered(filter: &OrderFilter) -> SelectStatement {
    let mut statement = orders();
    statement
        .and_where_option(filter.user.map(|user| Expr::col(("o", "user_id")).eq(user.0)))
        .and_where_option(filter.status.map(|status| Expr::col(("o", "status")).eq(status.name())));
    let after = filter.after.map(|(at, id)| (at.as_micros().into(), id.0.into()));
    page(&mut statement, (("o", "created_at"), ("o", "id")), &sea_query::Order::Desc, after);
    statement.limit(filter.limit);
    statement
}

fn past_deadline(now: Timestamp, after: Option<OrderPosition>, limit: u64) -> SelectStatement {
    let mut statement = Query::select();
    statement
        .columns(["expires_at", "id"])
        .from("orders")
        .and_where(Expr::col("status").eq(OrderStatus::PaymentPending.name()))
        .and_where(Expr::col("expires_at").lte(now.as_micros()))
        .order_by("expires_at", sea_query::Order::Asc)
        .order_by("id", sea_query::Order::Asc)
        .limit(limit);
    if let Some((deadline, id)) = after {
        let (deadline, id) = (deadline.as_micros(), id.0);
        statement
            .and_where(Expr::col("expires_at").gte(deadline))
            .and_where(Expr::col("expires_at").gt(deadline).or(Expr::col("id").gt(id)));
    }
    statement
}

#[async_trait]
impl OrderQueries for SqlOrders {
    async fn order(&self, id: OrderId) -> Result<Option<Order>, StorageError> {
        let found = self.read("order", orders().and_where(Expr::col(("o", "id")).eq(id.0))).await?;
        Ok(found.into_iter().next())
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<Order>, StorageError> {
        self.read("orders", &filtered(filter)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(PAYMENT_COLUMNS.iter().copied())
            .from("payments")
            .and_where(Expr::col("id").eq(id.0));
        one(&self.db.reader_named("payment"), &statement, payment).await
    }

    async fn payment_history(&self, id: PaymentId) -> Result<Vec<PaymentEventRecord>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(PAYMENT_EVENT_COLUMNS.iter().copied())
            .from("payment_events")
            .and_where(Expr::col("payment_id").eq(id.0))
            .order_by("seq", sea_query::Order::Asc);
        all(&self.db.reader_named("payment_history"), &statement, payment_event).await
    }

    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<OrderPosition>,
        limit: u64,
    ) -> Result<Vec<OrderPosition>, StorageError> {
        let reader = self.db.reader_named("overdue");
        all(&reader, &past_deadline(now, after, limit), |row| Ok((row.time()?, OrderId(row.take()?)))).await
    }
}

#[cfg(test)]
mod tests {
    use commerce_database::SqliteOptions;
    use sea_orm::{DbBackend, QueryResult, StatementBuilder};

    use super::*;
    use crate::sql::schema::migrate;

    async fn plan(db: &Database, statement: &SelectStatement) -> String {
        let mut statement = StatementBuilder::build(statement, &DbBackend::Sqlite);
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let rows = db.reader().query_all_raw(statement).await.unwrap();
        let detail = |row: &QueryResult| row.try_get::<String>("", "detail").unwrap();
        rows.iter().map(detail).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn lists_walk_the_indexes_made_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_sqlite(SqliteOptions::new(dir.path().join("oltp.db"))).await.unwrap();
        migrate(&db, Timestamp::default()).await.unwrap();
        let after = Some((Timestamp::from_micros(5), OrderId(Uuid::from_u128(1))));
        let own = OrderFilter { user: Some(UserId(1)), status: None, after, limit: 20 };
        let first = OrderFilter { after: None, ..own };
        for filter in [own, first] {
            let plan = plan(&db, &filtered(&filter)).await;
            assert!(plan.contains("SEARCH o USING INDEX idx_order_user_created"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
        assert!(plan(&db, &filtered(&own)).await.contains("(user_id=? AND created_at<?)"));
        let everybody = plan(&db, &filtered(&OrderFilter { user: None, ..own })).await;
        assert!(everybody.contains("idx_orders_created (created_at<?)"), "{everybody}");
        assert!(!everybody.contains("TEMP B-TREE"), "{everybody}");
        let first = plan(&db, &past_deadline(Timestamp::default(), None, 10)).await;
        assert!(first.contains("idx_orders_status_expires (status=? AND expires_at<?)"), "{first}");
        let next = plan(&db, &past_deadline(Timestamp::default(), after, 10)).await;
        let range = "idx_orders_status_expires (status=? AND expires_at>? AND expires_at<?)";
        assert!(next.contains(range), "{next}");
        assert!(!first.contains("TEMP B-TREE") && !next.contains("TEMP B-TREE"), "{first}\n{next}");
        db.close().await;
    }
}
