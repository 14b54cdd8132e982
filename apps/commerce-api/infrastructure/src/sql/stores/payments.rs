//! What the dispatcher keeps about payments that have to be visited.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AuditEntry, ClaimedCheck, DueRefund, NextCheck, OpenFilter, OpenPayment, PaymentChecks, PaymentQueries,
    PaymentsInState, SealedCard, StorageError,
};
use commerce_api_domain::{OrderStatus, Payment, PaymentId, PaymentStatus, Timestamp};
use commerce_database::{Column, Database, Lock, RowValue, Select, Template, Update, WriteTransaction};
use sea_orm::sea_query::{self, Expr, ExprTrait, JoinType, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use uuid::Uuid;

use super::query::{Failure, all, one, page, select};
use crate::sql::decode::{Columns, PAYMENT_COLUMNS};
use crate::sql::error::orm;
use crate::sql::unit_of_work::orders::{CHECKS, REFUND_PENDING, due_at};
use crate::sql::unit_of_work::records;

/// [`PaymentChecks`] and [`PaymentQueries`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlPayments {
    db: Database,
}

impl SqlPayments {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn run(&self, name: &'static str, statement: Statement) -> Result<(), StorageError> {
        let done = self.db.write(name, move |tx| {
            let statement = statement.clone();
            Box::pin(async move { Ok::<_, Failure<StorageError>>(tx.execute_raw(statement).await?) })
        });
        done.await.map(|_| ()).map_err(Failure::into_port)
    }
}

/// Raises the fence of checks that nobody has claimed since they were read.
const CLAIM: Update = Update {
    table: "payment_checks",
    columns: &[
        Column::uuid("payment_id"),
        Column::int("next_check_at"),
        Column::uuid("owner"),
        Column::int("fence"),
        Column::int("until"),
        Column::int("fence_before"),
    ],
    keys: &["payment_id"],
    set: &["next_check_at", "owner", "fence", "until"],
    expect: &[("fence", "fence_before")],
};

/// Lets checks go that are still held under the fence of their claim.
const RESCHEDULE: Update = Update {
    table: "payment_checks",
    columns: &[
        Column::uuid("payment_id"),
        Column::int("next_check_at"),
        Column::uuid("owner"),
        Column::int("until"),
        Column::int("tries"),
        Column::int("fence_before"),
    ],
    keys: &["payment_id"],
    set: &["next_check_at", "owner", "until", "tries"],
    expect: &[("fence", "fence_before")],
};

const IS_HELD: &str = "payment_checks.owner IS NOT NULL";

const REFUNDS: Select = Select {
    table: "refunds",
    columns: &["payment_id", "state", "gateway_key", "refund_key", "amount"],
    keys: &[Column::uuid("payment_id")],
    order: &["payment_id", "gateway_key"],
};

fn payment(row: &mut Columns<'_>) -> Result<Payment, StorageError> {
    row.payment()
}

fn fence(row: &mut Columns<'_>) -> Result<i64, StorageError> {
    row.take()
}

fn time(row: &mut Columns<'_>) -> Result<Timestamp, StorageError> {
    row.time()
}

/// Rows that decode, which start with the payment's id. One that does not stands in nobody's way: a claim of it ends with
/// its lease, so it is told of again.
fn readable<T>(rows: &[QueryResult], decode: impl Fn(&mut Columns<'_>) -> Result<T, StorageError>) -> Vec<T> {
    let read = |row: &QueryResult| match decode(&mut Columns::of(row)) {
        Ok(value) => Some(value),
        Err(error) => {
            let payment = row.try_get_by_index::<Uuid>(0).map(PaymentId).ok();
            let payment = payment.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            tracing::error!(payment, %error, "a payment cannot be read and is left out: mend its rows");
            None
        }
    };
    rows.iter().filter_map(read).collect()
}

fn due(now: Timestamp, limit: u64) -> SelectStatement {
    Query::select()
        .columns(["payment_id", "fence"])
        .from("payment_checks")
        .and_where(Expr::col("next_check_at").lte(now.as_micros()))
        .order_by("next_check_at", sea_query::Order::Asc)
        .limit(limit)
        .take()
}

/// Checks with their payments; the columns of [`checked`].
fn checks() -> SelectStatement {
    let mut statement = Query::select();
    select(&mut statement, "p", PAYMENT_COLUMNS);
    select(&mut statement, "c", &["fence", "tries", "next_check_at"]);
    let of_payment = Expr::col(("p", "id")).equals(("c", "payment_id"));
    statement.from_as("payment_checks", "c").join_as(JoinType::InnerJoin, "payments", "p", of_payment);
    statement
}

struct Checked {
    payment: Payment,
    fence: i64,
    tries: i64,
    next_check_at: Timestamp,
}

fn checked(row: &mut Columns<'_>) -> Result<Checked, StorageError> {
    Ok(Checked {
        payment: row.payment()?,
        fence: row.take()?,
        tries: row.take()?,
        next_check_at: row.time()?,
    })
}

/// What `owner` claimed until `until`, with the orders' states and the card numbers.
fn held(owner: Uuid, until: Timestamp) -> SelectStatement {
    let mut statement = checks();
    select(&mut statement, "o", &["status"]);
    select(&mut statement, "k", &["sealed"]);
    let of_order = Expr::col(("o", "id")).equals(("p", "order_id"));
    let of_payment = Expr::col(("k", "payment_id")).equals(("c", "payment_id"));
    statement
        .join_as(JoinType::InnerJoin, "orders", "o", of_order)
        .join_as(JoinType::LeftJoin, "card_vault", "k", of_payment)
        .and_where(Expr::col(("c", "next_check_at")).eq(until.as_micros()))
        .and_where(Expr::col(("c", "owner")).eq(owner))
        .order_by(("p", "created_at"), sea_query::Order::Asc);
    statement
}

fn claimed(row: &mut Columns<'_>) -> Result<ClaimedCheck, StorageError> {
    let Checked { payment, fence, tries, .. } = checked(row)?;
    let waits = row.named("order status", OrderStatus::parse)? == OrderStatus::PaymentPending;
    let card = row.take::<Option<Vec<u8>>>()?.map(SealedCard);
    let (order, since) = (payment.order, payment.updated_at);
    Ok(ClaimedCheck { payment, order, order_waits: waits, fence, tries, since, card, refunds: Vec::new() })
}

async fn claim(
    tx: &WriteTransaction,
    due: &[(Uuid, i64)],
    owner: Uuid,
    until: Timestamp,
) -> Result<Vec<ClaimedCheck>, Failure<StorageError>> {
    let mut rows = CLAIM.rows();
    for (payment, fence) in due {
        rows.push([
            (*payment).into(),
            until.as_micros().into(),
            owner.into(),
            (fence + 1).into(),
            until.as_micros().into(),
            (*fence).into(),
        ]);
    }
    tx.execute_raw(CLAIM.statement(tx.dialect(), &rows)).await?;
    let mut claimed = readable(&tx.query_all(&held(owner, until)).await?, claimed);
    // An owner that claims twice in one moment gets only what it did not have.
    let fences: BTreeMap<Uuid, i64> = due.iter().copied().collect();
    claimed.retain(|check| fences.get(&check.payment.id.0) == Some(&(check.fence - 1)));
    let payments = claimed.iter().map(|check| check.payment.id.0);
    let refunds =
        tx.query_all_raw(REFUNDS.by_rows(tx.dialect(), Lock::None, payments.map(|id| [RowValue::Uuid(id)])));
    let mut refunds = due_refunds(&refunds.await?);
    for check in &mut claimed {
        check.refunds = refunds.remove(&check.payment.id).unwrap_or_default();
    }
    Ok(claimed)
}

fn due_refunds(rows: &[QueryResult]) -> BTreeMap<PaymentId, Vec<DueRefund>> {
    let mut due: BTreeMap<PaymentId, Vec<DueRefund>> = BTreeMap::new();
    let refunds = readable(rows, |row| {
        let (payment, state) = (PaymentId(row.take()?), row.take::<String>()?);
        let refund =
            DueRefund { gateway_key: row.take()?, refund_key: row.take()?, amount: row.money("refund")? };
        Ok((payment, state, refund))
    });
    for (payment, state, refund) in refunds {
        if state == REFUND_PENDING {
            due.entry(payment).or_default().push(refund);
        }
    }
    due
}

/// Deletes a check that is held under `fence`, of a payment that is final and has no refund that is due.
fn finished() -> Template {
    let open = PaymentStatus::ALL.into_iter().filter(|status| !status.is_final()).map(PaymentStatus::name);
    Template::new(
        "DELETE FROM payment_checks WHERE payment_id = ? AND fence = ? AND owner IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.id = payment_checks.payment_id AND p.status IN ({open})) \
         AND NOT EXISTS (SELECT 1 FROM refunds r WHERE r.payment_id = payment_checks.payment_id AND r.state = ?)",
    )
    .names("open", open)
}

fn open(filter: &OpenFilter) -> SelectStatement {
    let mut statement = checks();
    statement
        .and_where(Expr::col(("p", "created_at")).lt(filter.made_before.as_micros()))
        .and_where_option(filter.status.map(|status| Expr::col(("p", "status")).eq(status.name())));
    let after = filter.after.map(|(at, id)| (at.as_micros().into(), id.0.into()));
    page(&mut statement, (("p", "created_at"), ("p", "id")), &sea_query::Order::Asc, after);
    statement.limit(filter.limit);
    statement
}

fn take_over(now: Timestamp) -> UpdateStatement {
    Query::update()
        .table("payment_checks")
        .value("next_check_at", now.as_micros())
        .value("owner", Option::<Uuid>::None)
        .value("until", Option::<i64>::None)
        .value("tries", 0_i64)
        .and_where(Expr::col("owner").is_not_null())
        .take()
}

fn by_state() -> SelectStatement {
    let open = PaymentStatus::ALL.into_iter().filter(|status| !status.is_final()).map(PaymentStatus::name);
    Query::select()
        .column("status")
        .expr(Expr::col("id").count())
        .expr(Expr::col("created_at").min())
        .from("payments")
        .and_where(Expr::col("status").is_in(open))
        .group_by_col("status")
        .order_by("status", sea_query::Order::Asc)
        .take()
}

#[async_trait]
impl PaymentChecks for SqlPayments {
    /// What is due is read first, outside of the transaction: where nothing is, nobody has to wait for the writer.
    async fn claim(
        &self,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError> {
        let reader = self.db.reader_named("claim_checks");
        let due: Vec<(Uuid, i64)> =
            all(&reader, &due(now, limit), |row| Ok((row.take()?, row.take()?))).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let until = now.plus(ttl);
        let claimed = self.db.write("claim_checks", move |tx| {
            let due = due.clone();
            Box::pin(async move { claim(tx, &due, owner, until).await })
        });
        claimed.await.map_err(Failure::into_port)
    }

    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError> {
        if next.is_empty() {
            return Ok(());
        }
        let mut sorted: Vec<&NextCheck> = next.iter().collect();
        sorted.sort_by_key(|next| next.payment);
        let mut rows = RESCHEDULE.rows();
        for next in sorted {
            rows.push([
                next.payment.0.into(),
                next.at.as_micros().into(),
                RowValue::Null,
                RowValue::Null,
                next.tries.into(),
                next.fence.into(),
            ]);
        }
        let statement = RESCHEDULE.statement_where(self.db.dialect(), &rows, &Template::new(IS_HELD));
        self.run("reschedule_checks", statement).await
    }

    async fn finish(&self, payment: PaymentId, fence: i64) -> Result<(), StorageError> {
        let values = [payment.0.into(), fence.into(), REFUND_PENDING.into()];
        self.run("finish_check", finished().statement(self.db.dialect(), values)).await
    }

    async fn hasten(
        &self,
        payment: PaymentId,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<(), StorageError> {
        let statement = CHECKS.statement(self.db.dialect(), &due_at([payment], at));
        let done = self.db.write("hasten_check", move |tx| {
            let (statement, audit) = (statement.clone(), audit.clone());
            Box::pin(async move {
                tx.execute_raw(statement).await?;
                records::audit(tx, audit.as_slice()).await?;
                Ok::<_, Failure<StorageError>>(())
            })
        });
        done.await.map_err(Failure::into_port)
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StorageError> {
        let taken = self.db.write("take_over_checks", move |tx| {
            Box::pin(async move {
                Ok::<_, Failure<StorageError>>(tx.execute(&take_over(now)).await?.rows_affected())
            })
        });
        taken.await.map_err(Failure::into_port)
    }

    async fn fence(&self, payment: PaymentId) -> Result<Option<i64>, StorageError> {
        let mut statement = Query::select();
        statement
            .column("fence")
            .from("payment_checks")
            .and_where(Expr::col("payment_id").eq(payment.0))
            .and_where(Expr::col("owner").is_null());
        one(&self.db.reader_named("check_fence"), &statement, fence).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError> {
        let mut statement = Query::select();
        statement
            .column("next_check_at")
            .from("payment_checks")
            .order_by("next_check_at", sea_query::Order::Asc)
            .limit(1);
        one(&self.db.reader_named("next_check"), &statement, time).await
    }

    async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError> {
        let reader = self.db.reader_named("open_payments");
        let found = readable(&reader.query_all(&open(filter)).await.map_err(orm)?, checked);
        let open =
            |Checked { payment, tries, next_check_at, .. }| OpenPayment { payment, tries, next_check_at };
        Ok(found.into_iter().map(open).collect())
    }

    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError> {
        let reader = self.db.reader_named("payments_by_state");
        let rows = reader.query_all(&by_state()).await.map_err(orm)?;
        Ok(readable(&rows, |row| {
            Ok(PaymentsInState {
                status: row.named("payment status", PaymentStatus::parse)?,
                count: row.take()?,
                oldest_at: row.optional_time()?,
            })
        }))
    }
}

#[async_trait]
impl PaymentQueries for SqlPayments {
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(PAYMENT_COLUMNS.iter().copied())
            .from("payments")
            .and_where(Expr::col("id").eq(id.0));
        one(&self.db.reader_named("payment"), &statement, payment).await
    }

    async fn payment_of_key(&self, gateway_key: &str) -> Result<Option<PaymentId>, StorageError> {
        let mut statement = Query::select();
        statement.column("id").from("payments").and_where(Expr::col("gateway_key").eq(gateway_key));
        one(&self.db.reader_named("payment_of_key"), &statement, |row| Ok(PaymentId(row.take()?))).await
    }
}

#[cfg(test)]
mod tests {
    use commerce_database::SqliteOptions;
    use sea_orm::{DbBackend, StatementBuilder};

    use super::*;
    use crate::sql::schema::migrate;

    async fn plan(db: &Database, mut statement: Statement) -> String {
        statement.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let rows = db.reader().query_all_raw(statement).await.unwrap();
        let detail = |row: &QueryResult| row.try_get::<String>("", "detail").unwrap();
        rows.iter().map(detail).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn checks_are_found_by_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_sqlite(SqliteOptions::new(dir.path().join("oltp.db"))).await.unwrap();
        migrate(&db, Timestamp::default()).await.unwrap();
        let built = |select: &SelectStatement| StatementBuilder::build(select, &DbBackend::Sqlite);
        let (now, id) = (Timestamp::default(), Uuid::nil());
        for statement in [
            built(&due(now, 10)),
            built(&held(id, now)),
            built(&by_state()),
            CLAIM.statement(db.dialect(), &CLAIM.rows()),
            RESCHEDULE.statement_where(db.dialect(), &RESCHEDULE.rows(), &Template::new(IS_HELD)),
            finished().statement(db.dialect(), [id.into(), 1.into(), REFUND_PENDING.into()]),
        ] {
            let sql = statement.sql.clone();
            let plan = plan(&db, statement).await;
            let scans = plan.lines().filter(|step| step.starts_with("SCAN") && !step.starts_with("SCAN r"));
            assert_eq!(scans.count(), 0, "{sql}\n{plan}");
        }
        let due = plan(&db, built(&due(now, 10))).await;
        assert!(due.contains("idx_payment_checks_next") && !due.contains("TEMP B-TREE"), "{due}");
        db.close().await;
    }
}
