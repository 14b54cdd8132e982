//! The operator's surface: the script of faults, and the books with cards masked.

use std::collections::BTreeMap;

use axum::extract::State;
use commerce_contracts::gateway::{CardType, TransactionStatus};
use commerce_http::{Json, Problem, Query};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use crate::domain::{Recorded, masked, status_name};
use crate::faults::Faults;
use crate::storage::TransactionFilter;

const PAGE_DEFAULT: u64 = 50;
const PAGE_MAX: u64 = 500;

/// The script as it stands.
pub(super) async fn faults(State(app): State<App>) -> Json<Faults> {
    Json(app.gateway.script.now())
}

/// Follows the script of the start with the members of the body from now on.
pub(super) async fn replace_faults(
    State(app): State<App>,
    Json(changes): Json<Value>,
) -> Result<Json<Faults>, Problem> {
    let faults = app.gateway.script.replace(&changes).map_err(|error| {
        Problem::new(
            http::StatusCode::BAD_REQUEST,
            "INVALID_FAULTS",
            "The script of faults cannot be followed",
        )
        .detail(error.to_string())
    })?;
    tracing::info!(changes = %changes, "the script of faults was changed");
    Ok(Json(faults))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TransactionsQuery {
    order_id: Option<String>,
    status: Option<TransactionStatus>,
    before: Option<i64>,
    limit: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct TransactionsPage {
    transactions: Vec<TransactionView>,
    /// For `before=` of the next page.
    next: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionView {
    transaction_key: String,
    order_id: String,
    card_type: CardType,
    card_no: String,
    amount: i64,
    refunded: i64,
    status: TransactionStatus,
    reason: Option<String>,
    /// Times are in microseconds since the epoch.
    recorded_at: i64,
    due_at: i64,
    decided_at: Option<i64>,
}

impl From<Recorded> for TransactionView {
    fn from(recorded: Recorded) -> Self {
        let transaction = recorded.transaction;
        Self {
            transaction_key: transaction.transaction_key,
            order_id: transaction.order_id,
            card_type: transaction.card_type,
            card_no: masked(&transaction.card_no),
            amount: transaction.amount,
            refunded: recorded.refunded,
            status: transaction.status,
            reason: transaction.reason,
            recorded_at: recorded.created_at,
            due_at: recorded.due_at,
            decided_at: recorded.decided_at,
        }
    }
}

/// Transactions, newest first.
pub(super) async fn transactions(
    State(app): State<App>,
    Query(query): Query<TransactionsQuery>,
) -> Result<Json<TransactionsPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid_parameter("limit", format!("from 1 to {PAGE_MAX}")));
    }
    let (order_id, status, before) = (query.order_id, query.status, query.before);
    let filter = TransactionFilter { order_id, status, before, limit };
    let page = app.gateway.storage.page(&filter).await.map_err(broken)?;
    let next = page.last().map(|(id, _)| *id).filter(|_| page.len() as u64 == limit);
    let transactions = page.into_iter().map(|(_, recorded)| recorded.into()).collect();
    Ok(Json(TransactionsPage { transactions, next }))
}

#[derive(Default, Serialize)]
struct StatusView {
    count: i64,
    /// Won.
    amount: i64,
    /// Won given back.
    refunded: i64,
}

#[derive(Serialize)]
pub(super) struct Summary {
    transactions: BTreeMap<&'static str, StatusView>,
    /// Won captured in all.
    captured: i64,
    /// Won given back in all.
    refunded: i64,
    /// Callbacks by state.
    callbacks: BTreeMap<String, i64>,
}

/// The books in short, to be compared with the shop's.
pub(super) async fn summary(State(app): State<App>) -> Result<Json<Summary>, Problem> {
    let sums = app.gateway.storage.sums().await.map_err(broken)?;
    let all = [TransactionStatus::Pending, TransactionStatus::Success, TransactionStatus::Failed];
    let mut transactions: BTreeMap<_, _> =
        all.map(|status| (status_name(status), StatusView::default())).into();
    for sum in &sums.statuses {
        let view = StatusView { count: sum.count, amount: sum.amount, refunded: sum.refunded };
        transactions.insert(status_name(sum.status), view);
    }
    let captured = transactions.get("SUCCESS").map_or(0, |view| view.amount);
    let refunded = transactions.values().map(|view| view.refunded).sum();
    Ok(Json(Summary { transactions, captured, refunded, callbacks: sums.callbacks.into_iter().collect() }))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: commerce_database::DatabaseError) -> Problem {
    tracing::error!(%error, "the simulator's database failed");
    Problem::internal()
}
