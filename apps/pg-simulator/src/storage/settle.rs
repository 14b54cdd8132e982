use std::sync::Arc;

use commerce_contracts::gateway::{Transaction, TransactionStatus};
use commerce_database::{Column, DatabaseError, Insert, Update, WriteTransaction, execute_exact};
use sea_orm::ConnectionTrait as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query, SelectStatement};

use super::Storage;
use super::callbacks::insert_callbacks;
use super::decode::{Columns, RECORDED_COLUMNS, decoded, parse_status};
use crate::domain::{Callback, Recorded, status_name};

/// A transaction that waits for its decision.
pub(crate) struct Undecided {
    pub recorded: Recorded,
    pub planned_status: TransactionStatus,
    pub planned_reason: String,
}

/// What becomes of it.
#[derive(Clone)]
pub(crate) struct Decision {
    /// As it is from now on.
    pub transaction: Transaction,
    pub callback_url: String,
    pub callbacks: Vec<Callback>,
    pub decided_at: i64,
}

const DECIDE: Update = Update {
    table: "transactions",
    columns: &[
        Column::text("transaction_key"),
        Column::text("expected"),
        Column::text("status"),
        Column::text("reason"),
        Column::int("decided_at"),
    ],
    keys: &["transaction_key"],
    set: &["status", "reason", "decided_at"],
    expect: &[("status", "expected")],
};

pub(super) const MOVE: Insert = Insert {
    table: "movements",
    columns: &[
        Column::text("kind"),
        Column::text("transaction_key"),
        Column::text("order_id"),
        Column::int("amount"),
        Column::text("refund_key"),
        Column::int("at"),
    ],
};

fn undecided() -> SelectStatement {
    Query::select()
        .columns(RECORDED_COLUMNS)
        .columns(["planned_status", "planned_reason"])
        .from("transactions")
        .and_where(Expr::col("status").eq(status_name(TransactionStatus::Pending)))
        .take()
}

fn decode(row: &mut Columns<'_>) -> Result<Undecided, sea_orm::DbErr> {
    Ok(Undecided {
        recorded: row.recorded()?,
        planned_status: row.named("planned status", parse_status)?,
        planned_reason: row.take()?,
    })
}

impl Storage {
    /// The first `limit` transactions whose decision is due at `now_us`.
    pub(crate) async fn undecided(&self, now_us: i64, limit: u64) -> Result<Vec<Undecided>, DatabaseError> {
        let due = undecided()
            .and_where(Expr::col("due_at").lte(now_us))
            .order_by("due_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(limit)
            .take();
        let rows = self.db.reader_named("undecided").query_all(&due).await?;
        Ok(decoded(&rows, decode)?)
    }

    /// When the next decision is due.
    pub(crate) async fn next_undecided(&self) -> Result<Option<i64>, DatabaseError> {
        let next = Query::select()
            .column("due_at")
            .from("transactions")
            .and_where(Expr::col("status").eq(status_name(TransactionStatus::Pending)))
            .order_by("due_at", Order::Asc)
            .limit(1)
            .take();
        let row = self.db.reader_named("next_undecided").query_one(&next).await?;
        Ok(row.map(|row| Columns::of(&row).take()).transpose()?)
    }

    /// That transaction, if it waits for its decision.
    pub(crate) async fn undecided_one(&self, key: &str) -> Result<Option<Undecided>, DatabaseError> {
        let one = undecided().and_where(Expr::col("transaction_key").eq(key)).take();
        let rows = self.db.reader_named("undecided_one").query_all(&one).await?;
        Ok(decoded(&rows, decode)?.pop())
    }

    /// Settles a batch in one transaction: status, captured money, callbacks to send. Refused whole as a conflict where
    /// one of them is decided already.
    pub(crate) async fn settle(&self, decisions: Vec<Decision>) -> Result<(), DatabaseError> {
        let decisions = Arc::new(decisions);
        self.db
            .write("settle", move |tx| {
                let decisions = Arc::clone(&decisions);
                Box::pin(async move { settle_batch(tx, &decisions).await })
            })
            .await
    }
}

async fn settle_batch(tx: &WriteTransaction, decisions: &[Decision]) -> Result<(), DatabaseError> {
    let (mut decided, mut moved) = (DECIDE.rows(), MOVE.rows());
    for Decision { transaction, decided_at, .. } in decisions {
        decided.push([
            (&transaction.transaction_key).into(),
            status_name(TransactionStatus::Pending).into(),
            status_name(transaction.status).into(),
            transaction.reason.as_ref().into(),
            (*decided_at).into(),
        ]);
        if transaction.status == TransactionStatus::Success {
            moved.push([
                "CAPTURE".into(),
                (&transaction.transaction_key).into(),
                (&transaction.order_id).into(),
                transaction.amount.into(),
                None::<&str>.into(),
                (*decided_at).into(),
            ]);
        }
    }
    execute_exact(tx, DECIDE.statement(tx.dialect(), &decided), decisions.len() as u64).await?;
    if !moved.is_empty() {
        tx.execute_raw(MOVE.statement(tx.dialect(), &moved)).await?;
    }
    insert_callbacks(tx, decisions).await
}
