use std::sync::Arc;

use commerce_database::{Column, DatabaseError, Insert, RowValue, Update, WriteTransaction};
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query};
use sea_orm::{ConnectionTrait as _, DbErr};

use super::decode::{Columns, decoded};
use super::{Decision, Storage};
use crate::domain::Variant;

/// Where a callback stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallbackState {
    /// To be sent.
    Pending,
    /// Answered with 2xx.
    Delivered,
    /// Never to be sent, by the script.
    Lost,
    /// Tried for the last time.
    Abandoned,
}

impl CallbackState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Lost => "LOST",
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// A callback that waits to be sent.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub id: i64,
    pub event_id: String,
    pub variant: Variant,
    pub url: String,
    pub body: String,
    pub attempts: u32,
    pub signed_at: Option<i64>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempted {
    pub id: i64,
    pub state: CallbackState,
    pub attempts: u32,
    /// When it is tried again.
    pub due_at: i64,
}

const INSERT: Insert = Insert {
    table: "callbacks",
    columns: &[
        Column::text("event_id"),
        Column::text("transaction_key"),
        Column::text("variant"),
        Column::text("url"),
        Column::text("body"),
        Column::text("state"),
        Column::bool("held"),
        Column::int("attempts"),
        Column::int("due_at"),
        Column::int("signed_at"),
    ],
};

const ATTEMPTED: Update = Update {
    table: "callbacks",
    columns: &[Column::int("id"), Column::text("state"), Column::int("attempts"), Column::int("due_at")],
    keys: &["id"],
    set: &["state", "attempts", "due_at"],
    expect: &[],
};

pub(super) async fn insert_callbacks(
    tx: &WriteTransaction,
    decisions: &[Decision],
) -> Result<(), DatabaseError> {
    let mut rows = INSERT.rows();
    for decision in decisions {
        for callback in &decision.callbacks {
            let state = if callback.lost { CallbackState::Lost } else { CallbackState::Pending };
            let body =
                serde_json::to_string(&callback.body).map_err(|error| DbErr::Type(error.to_string()))?;
            rows.push([
                (&callback.event_id).into(),
                (&callback.body.transaction_key).into(),
                callback.variant.as_str().into(),
                (&decision.callback_url).into(),
                body.into(),
                state.as_str().into(),
                callback.held.into(),
                0_i64.into(),
                callback.due_at.into(),
                RowValue::from(callback.signed_at),
            ]);
        }
    }
    if !rows.is_empty() {
        tx.execute_raw(INSERT.statement(tx.dialect(), &rows)).await?;
    }
    Ok(())
}

impl Storage {
    /// The first `limit` callbacks that are due at `now_us`.
    pub(crate) async fn outgoing(&self, now_us: i64, limit: u64) -> Result<Vec<Outgoing>, DatabaseError> {
        let first = Query::select()
            .columns(["id", "event_id", "variant", "url", "body", "attempts", "signed_at"])
            .from("callbacks")
            .and_where(Expr::col("state").eq(CallbackState::Pending.as_str()))
            .and_where(Expr::col("due_at").lte(now_us))
            .order_by("due_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(limit)
            .take();
        let rows = self.db.reader_named("outgoing").query_all(&first).await?;
        let outgoing = |row: &mut Columns<'_>| {
            Ok(Outgoing {
                id: row.take()?,
                event_id: row.take()?,
                variant: row.named("variant", Variant::parse)?,
                url: row.take()?,
                body: row.take()?,
                attempts: row.take()?,
                signed_at: row.take()?,
            })
        };
        Ok(decoded(&rows, outgoing)?)
    }

    /// When the next callback after `now_us` is due.
    pub(crate) async fn next_outgoing(&self, now_us: i64) -> Result<Option<i64>, DatabaseError> {
        let next = Query::select()
            .column("due_at")
            .from("callbacks")
            .and_where(Expr::col("state").eq(CallbackState::Pending.as_str()))
            .and_where(Expr::col("due_at").gt(now_us))
            .order_by("due_at", Order::Asc)
            .limit(1)
            .take();
        let row = self.db.reader_named("next_outgoing").query_one(&next).await?;
        Ok(row.map(|row| Columns::of(&row).take()).transpose()?)
    }

    /// Whether a callback of that transaction is to be sent.
    pub(crate) async fn has_outgoing(&self, transaction_key: &str) -> Result<bool, DatabaseError> {
        let one = Query::select()
            .column("id")
            .from("callbacks")
            .and_where(Expr::col("transaction_key").eq(transaction_key))
            .and_where(Expr::col("state").eq(CallbackState::Pending.as_str()))
            .limit(1)
            .take();
        Ok(self.db.reader_named("has_outgoing").query_one(&one).await?.is_some())
    }

    /// Keeps what came of attempts, and lets those go at `now_us` that were held back for one of them.
    pub(crate) async fn attempted(&self, attempts: Vec<Attempted>, now_us: i64) -> Result<(), DatabaseError> {
        let attempts = Arc::new(attempts);
        self.db
            .write("attempted", move |tx| {
                let attempts = Arc::clone(&attempts);
                Box::pin(async move { keep_attempts(tx, &attempts, now_us).await })
            })
            .await
    }
}

async fn keep_attempts(
    tx: &WriteTransaction,
    attempts: &[Attempted],
    now_us: i64,
) -> Result<(), DatabaseError> {
    let mut rows = ATTEMPTED.rows();
    for attempt in attempts {
        rows.push([
            attempt.id.into(),
            attempt.state.as_str().into(),
            attempt.attempts.into(),
            attempt.due_at.into(),
        ]);
    }
    tx.execute_raw(ATTEMPTED.statement(tx.dialect(), &rows)).await?;
    let newest =
        attempts.iter().filter(|attempt| attempt.state == CallbackState::Delivered).map(|a| a.id).max();
    let Some(newest) = newest else { return Ok(()) };
    let overtaken = Query::update()
        .table("callbacks")
        .value("due_at", now_us)
        .value("held", false)
        .and_where(Expr::col("state").eq(CallbackState::Pending.as_str()))
        .and_where(Expr::col("held").eq(true))
        .and_where(Expr::col("id").lt(newest))
        .take();
    tx.execute(&overtaken).await?;
    Ok(())
}
