use commerce_contracts::gateway::{Refund, SettlementEntry, SettlementKind, Transaction, TransactionStatus};
use commerce_database::{Column, DatabaseError, Template, Upsert, WriteTransaction};
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query};
use sea_orm::{ConnectionTrait as _, DbErr, Value};

use super::decode::{Columns, RECORDED_COLUMNS, decoded, parse_status, recorded};
use super::settle::MOVE;
use super::transactions::of_order;
use super::{Failure, Storage};
use crate::domain::Recorded;

/// A capture that is to be given back, in whole or in part.
#[derive(Debug, Clone)]
pub(crate) struct RefundRequest {
    pub transaction_key: String,
    /// All that is left where none.
    pub amount: Option<i64>,
    /// Equal keys, one refund.
    pub refund_key: Option<String>,
    /// In microseconds since the epoch.
    pub now_us: i64,
}

/// Why a refund is not made. Nothing of it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundRefused {
    NotFound,
    NotCaptured,
    /// The amount is not above 0.
    NoAmount,
    /// More than this is asked for.
    TooMuch {
        left: i64,
    },
    /// The key was used for another refund.
    OtherBody,
}

/// A page of the movements of a span of time, and the sums of all of them.
#[derive(Debug, Clone)]
pub(crate) struct SettlementPage {
    pub captured: i64,
    pub refunded: i64,
    /// With their ids, oldest first.
    pub entries: Vec<(i64, SettlementEntry)>,
}

/// How many transactions of one status there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusSum {
    pub status: TransactionStatus,
    pub count: i64,
    pub amount: i64,
    pub refunded: i64,
}

/// The books in short.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub statuses: Vec<StatusSum>,
    /// State and number.
    pub callbacks: Vec<(String, i64)>,
}

const VOID: Upsert = Upsert {
    table: "voids",
    columns: &[Column::text("order_id"), Column::int("at")],
    key: &["order_id"],
    update: &[],
};

impl Storage {
    /// Gives a capture back.
    pub(crate) async fn refund(&self, request: RefundRequest) -> Result<Refund, Failure<RefundRefused>> {
        self.db
            .write("refund", move |tx| {
                let request = request.clone();
                Box::pin(async move { refund(tx, &request).await })
            })
            .await
    }

    /// Closes a reference, drops what is not recorded yet, and gives back what is, newest first.
    pub(crate) async fn void(&self, order_id: &str, now_us: i64) -> Result<Vec<Recorded>, DatabaseError> {
        let order_id = order_id.to_owned();
        self.db
            .write("void", move |tx| {
                let order_id = order_id.clone();
                Box::pin(async move { void(tx, &order_id, now_us).await })
            })
            .await
    }

    /// What moved from `from_us` to before `to_us`, from after the movement `after` on.
    pub(crate) async fn settlements(
        &self,
        (from_us, to_us): (i64, i64),
        after: i64,
        limit: u64,
    ) -> Result<SettlementPage, DatabaseError> {
        let snapshot = self.db.begin_read("settlements").await?;
        let sums = Template::new(
            "SELECT kind, CAST(SUM(amount) AS SIGNED) FROM movements WHERE at >= ? AND at < ? GROUP BY kind",
        );
        let sums = sums.statement(snapshot.dialect(), [from_us.into(), to_us.into()]);
        let rows = snapshot.query_all_raw(sums).await?;
        let sum = |row: &mut Columns<'_>| Ok((row.named("kind", parse_kind)?, row.take::<i64>()?));
        let (mut captured, mut refunded) = (0, 0);
        for (kind, amount) in decoded(&rows, sum)? {
            match kind {
                SettlementKind::Capture => captured = amount,
                SettlementKind::Refund => refunded = amount,
            }
        }
        let page = Query::select()
            .columns(["id", "kind", "transaction_key", "order_id", "amount", "at"])
            .from("movements")
            .and_where(Expr::col("at").gte(from_us))
            .and_where(Expr::col("at").lt(to_us))
            .and_where(Expr::col("id").gt(after))
            .order_by("id", Order::Asc)
            .limit(limit)
            .take();
        let entries = decoded(&snapshot.query_all(&page).await?, entry)?;
        Ok(SettlementPage { captured, refunded, entries })
    }

    /// The books in short, as of one moment.
    pub(crate) async fn sums(&self) -> Result<Sums, DatabaseError> {
        let snapshot = self.db.begin_read("sums").await?;
        let none = || std::iter::empty::<Value>();
        let statuses = Template::new(
            "SELECT status, COUNT(*), CAST(SUM(amount) AS SIGNED), CAST(SUM(refunded) AS SIGNED) \
             FROM transactions GROUP BY status ORDER BY status",
        );
        let rows = snapshot.query_all_raw(statuses.statement(snapshot.dialect(), none())).await?;
        let statuses = decoded(&rows, |row| {
            Ok(StatusSum {
                status: row.named("status", parse_status)?,
                count: row.take()?,
                amount: row.take()?,
                refunded: row.take()?,
            })
        })?;
        let callbacks = Template::new("SELECT state, COUNT(*) FROM callbacks GROUP BY state ORDER BY state");
        let rows = snapshot.query_all_raw(callbacks.statement(snapshot.dialect(), none())).await?;
        let callbacks = decoded(&rows, |row| Ok((row.take()?, row.take()?)))?;
        Ok(Sums { statuses, callbacks })
    }
}

fn parse_kind(name: &str) -> Option<SettlementKind> {
    match name {
        "CAPTURE" => Some(SettlementKind::Capture),
        "REFUND" => Some(SettlementKind::Refund),
        _ => None,
    }
}

fn entry(row: &mut Columns<'_>) -> Result<(i64, SettlementEntry), DbErr> {
    let id = row.take()?;
    let entry = SettlementEntry {
        kind: row.named("kind", parse_kind)?,
        transaction_key: row.take()?,
        order_id: row.take()?,
        amount: row.take()?,
        at: row.take()?,
    };
    Ok((id, entry))
}

async fn refund(tx: &WriteTransaction, request: &RefundRequest) -> Result<Refund, Failure<RefundRefused>> {
    let refused = |refused| Err(Failure::Refused(refused));
    let one = Query::select()
        .columns(RECORDED_COLUMNS)
        .from("transactions")
        .and_where(Expr::col("transaction_key").eq(request.transaction_key.as_str()))
        .and_where(Expr::col("visible_at").lte(request.now_us))
        .take();
    let Some(row) = tx.query_one(&one).await? else { return refused(RefundRefused::NotFound) };
    let Recorded { transaction, refunded, .. } = Columns::of(&row).recorded()?;
    if let Some(earlier) = earlier(tx, request).await? {
        let same = earlier.0 == transaction.transaction_key
            && request.amount.is_none_or(|amount| amount == earlier.1);
        if !same {
            return refused(RefundRefused::OtherBody);
        }
        let transaction_key = transaction.transaction_key;
        return Ok(Refund { transaction_key, amount: earlier.1, refunded });
    }
    if transaction.status != TransactionStatus::Success {
        return refused(RefundRefused::NotCaptured);
    }
    let left = transaction.amount - refunded;
    let amount = request.amount.unwrap_or(left);
    if request.amount.is_some_and(|amount| amount <= 0) {
        return refused(RefundRefused::NoAmount);
    }
    if amount > left || left == 0 {
        return refused(RefundRefused::TooMuch { left });
    }
    keep_refund(tx, &transaction, amount, request).await?;
    Ok(Refund { transaction_key: transaction.transaction_key, amount, refunded: refunded + amount })
}

/// Transaction and amount of the refund that was made under the key.
async fn earlier(tx: &WriteTransaction, request: &RefundRequest) -> Result<Option<(String, i64)>, DbErr> {
    let Some(key) = &request.refund_key else { return Ok(None) };
    let made = Query::select()
        .columns(["transaction_key", "amount"])
        .from("movements")
        .and_where(Expr::col("refund_key").eq(key.as_str()))
        .take();
    let row = tx.query_one(&made).await?;
    row.map(|row| {
        let mut row = Columns::of(&row);
        Ok((row.take()?, row.take()?))
    })
    .transpose()
}

async fn keep_refund(
    tx: &WriteTransaction,
    transaction: &Transaction,
    amount: i64,
    request: &RefundRequest,
) -> Result<(), DbErr> {
    let given_back = Query::update()
        .table("transactions")
        .value("refunded", Expr::col("refunded").add(amount))
        .and_where(Expr::col("transaction_key").eq(transaction.transaction_key.as_str()))
        .take();
    tx.execute(&given_back).await?;
    let mut moved = MOVE.rows();
    moved.push([
        "REFUND".into(),
        (&transaction.transaction_key).into(),
        (&transaction.order_id).into(),
        amount.into(),
        request.refund_key.as_ref().into(),
        request.now_us.into(),
    ]);
    tx.execute_raw(MOVE.statement(tx.dialect(), &moved)).await?;
    Ok(())
}

async fn void(tx: &WriteTransaction, order_id: &str, now_us: i64) -> Result<Vec<Recorded>, DatabaseError> {
    let mut voided = VOID.rows();
    voided.push([order_id.into(), now_us.into()]);
    tx.execute_raw(VOID.statement(tx.dialect(), &voided)).await?;
    let not_yet = Query::delete()
        .from_table("transactions")
        .and_where(Expr::col("order_id").eq(order_id))
        .and_where(Expr::col("visible_at").gt(now_us))
        .take();
    tx.execute(&not_yet).await?;
    let rows = tx.query_all(&of_order(order_id, now_us)).await?;
    Ok(recorded(&rows)?)
}
