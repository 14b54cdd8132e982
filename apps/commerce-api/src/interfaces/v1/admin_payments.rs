//! Payments, for those who run the shop.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::payments::{ByHand, ByHandError};
use commerce_api_application::ports::{OpenFilter, OpenPayment};
use commerce_api_domain::{PaymentId, PaymentStatus as Status, Timestamp};
use commerce_http::{Caller, IdempotencyKey, Json, Page, PageLimit, Path, Problem, Query};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::orders::{OrderResponse, order_shown};
use super::paging::{after, page, rows};
use super::payments::{PaymentResponse, payment_not_found};
use super::{Routes, Shared};
use crate::interfaces::answer::{encode, keyed, respond};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, Failure};
use crate::interfaces::input::{Reason, Time, TransactionKey, invalid};
use crate::interfaces::problems::{
    AdminOnly, Always, AtDesk, BadKeyed, BadParameter, KeyHeader, UuidInPath, problems,
};
use crate::interfaces::refusal::Names;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(open_payments))
        .routes(routes!(recheck_payment))
        .routes(routes!(resolve_payment))
        .routes(routes!(refund_payment))
}

const RESOLVE: &str = "POST /api/v1/admin/payments/{id}/resolve";
const REFUND: &str = "POST /api/v1/admin/payments/{id}/refund";
const OPEN: &str = "open-payments";

/// Which open payments to list.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OpenState {
    /// Open for longer than is usual, in whatever state.
    Stuck,
    /// Not sent yet.
    Pending,
    /// Being sent.
    Requesting,
    /// The gateway has it.
    Processing,
    /// Sent, and no answer came.
    Unknown,
    /// To be given back.
    RefundPending,
}

impl OpenState {
    const fn status(self) -> Option<Status> {
        match self {
            Self::Stuck => None,
            Self::Pending => Some(Status::Pending),
            Self::Requesting => Some(Status::Requesting),
            Self::Processing => Some(Status::Processing),
            Self::Unknown => Some(Status::Unknown),
            Self::RefundPending => Some(Status::RefundPending),
        }
    }
}

/// Which open payments to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OpenQuery {
    /// Only these; without it all that somebody has to visit.
    #[param(inline)]
    state: Option<OpenState>,
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// A payment that somebody has to visit. At the gateway its reference is its id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenPaymentResponse {
    #[serde(flatten)]
    payment: PaymentResponse,
    /// Attempts at the gateway so far.
    #[schema(example = 1)]
    attempt: i64,
    /// Visits in a row that brought nothing new.
    #[schema(example = 3)]
    tries: i64,
    /// When it is visited next.
    next_check_at: Time,
}

impl From<OpenPayment> for OpenPaymentResponse {
    fn from(open: OpenPayment) -> Self {
        let OpenPayment { payment, tries, next_check_at } = open;
        Self { attempt: payment.attempt, payment: payment.into(), tries, next_check_at: next_check_at.into() }
    }
}

/// What was found out about a payment at the gateway's own desk.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResolveRequest {
    /// What became of it.
    outcome: ResolvedAs,
    /// The gateway's key of the capture; for CAPTURED, and for nothing else.
    transaction_key: Option<TransactionKey>,
    /// Who says so, and why it is believed.
    reason: Reason,
}

/// What became of a payment.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ResolvedAs {
    /// It was captured.
    Captured,
    /// It was not captured and will not be.
    Failed,
    /// What was due was given back.
    Refunded,
}

impl ResolveRequest {
    fn by_hand(&self) -> Result<ByHand, Problem> {
        match (self.outcome, self.transaction_key.clone()) {
            (ResolvedAs::Captured, Some(key)) => Ok(ByHand::Captured { key: key.into() }),
            (ResolvedAs::Captured, None) => Err(invalid("/transactionKey", "is required for CAPTURED")),
            (_, Some(_)) => Err(invalid("/transactionKey", "belongs to CAPTURED only")),
            (ResolvedAs::Failed, None) => Ok(ByHand::Failed),
            (ResolvedAs::Refunded, None) => Ok(ByHand::Refunded),
        }
    }
}

/// Why a payment is given back.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RefundRequest {
    /// For the audit log.
    reason: Reason,
}

problems! {
    /// Where no payment by card has that id.
    NoCardPayment { 404 => "PAYMENT_NOT_FOUND" }
    /// Of what is done to a payment by hand.
    ByHandProblems {
        404 => "PAYMENT_NOT_FOUND",
        409 => "PAYMENT_STATE_CONFLICT, ORDER_STATE_CONFLICT, TRANSACTION_KEY_TAKEN",
        422 => "EARNED_POINTS_SPENT, IDEMPOTENCY_KEY_REUSED",
    }
}

fn by_hand_failure(error: ByHandError) -> Failure {
    match error {
        ByHandError::NotFound => payment_not_found().into(),
        ByHandError::ForeignKey(owner) => Problem::new(
            StatusCode::CONFLICT,
            "TRANSACTION_KEY_TAKEN",
            "Another payment has this transaction key",
        )
        .detail(format!("payment {owner} is known under this transaction key"))
        .field("/transactionKey", "is another payment's")
        .extra("paymentId", owner.to_string())
        .into(),
        ByHandError::Visited => {
            Problem::new(StatusCode::CONFLICT, "PAYMENT_STATE_CONFLICT", "The payment is being visited")
                .detail(error.to_string())
                .into()
        }
        ByHandError::Storage(error) => error.into(),
        ByHandError::Desk(error) => error.into(),
    }
}

/// Payments by card that somebody has to visit, oldest first.
#[utoipa::path(
    get, path = "/api/v1/admin/payments", operation_id = "listOpenPayments", tag = "admin",
    params(OpenQuery),
    responses(
        (status = 200, description = "A page", body = Page<OpenPaymentResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn open_payments(
    State(api): State<Shared>,
    Query(query): Query<OpenQuery>,
) -> Answered<Json<Page<OpenPaymentResponse>>> {
    let now = api.clock.now();
    let stuck = query.state == Some(OpenState::Stuck);
    let after = after::<(i64, Uuid)>(OPEN, query.cursor.as_deref())?;
    let filter = OpenFilter {
        made_before: if stuck { now.minus(api.stuck_after) } else { Timestamp::from_micros(i64::MAX) },
        status: query.state.and_then(OpenState::status),
        after: after.map(|(at, id)| (Timestamp::from_micros(at), PaymentId(id))),
        limit: rows(query.limit),
    };
    let open = api.payments.open(&filter).await?;
    let key = |open: &OpenPayment| (open.payment.created_at.as_micros(), open.payment.id.0);
    Ok(Json(page((OPEN, query.limit), open, key, OpenPaymentResponse::from)))
}

/// Asks the gateway about a payment now, whatever its state.
#[utoipa::path(
    post, path = "/api/v1/admin/payments/{id}/recheck", operation_id = "recheckPayment", tag = "admin",
    params(UuidInPath),
    responses(
        (status = 204, description = "It is asked now"), BadParameter, AdminOnly, NoCardPayment, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn recheck_payment(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Answered<Response> {
    api.payments.recheck(&auth::caller(caller), PaymentId(id)).await.map_err(by_hand_failure)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Settles a payment by what was found out about it at the gateway's own desk. It goes to the audit log.
#[utoipa::path(
    post, path = "/api/v1/admin/payments/{id}/resolve", operation_id = "resolvePayment", tag = "admin",
    params(UuidInPath, KeyHeader), request_body = ResolveRequest,
    responses(
        (status = 200, description = "Its order", body = OrderResponse, headers(("Location" = String))),
        (
            status = 202, description = "Its order, which is still to move", body = OrderResponse,
            headers(("Location" = String), ("Retry-After" = u64))
        ),
        BadKeyed, AdminOnly, ByHandProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn resolve_payment(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    key: IdempotencyKey,
    Json(request): Json<ResolveRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let by_hand = request.by_hand()?;
    let encode = encode(Names::InPath, |outcome| order_shown(outcome, StatusCode::OK));
    let keyed = keyed(&api.idempotency, &caller, (RESOLVE, &key), &(id, &request), encode)?;
    let reason = request.reason.into_string();
    let reply = api.payments.resolve(&caller, keyed, PaymentId(id), by_hand, &reason).await;
    respond(Ok(reply.map_err(by_hand_failure)?))
}

/// Gives the card part of a paid order back, which cancels the order. It goes to the audit log.
#[utoipa::path(
    post, path = "/api/v1/admin/payments/{id}/refund", operation_id = "refundPayment", tag = "admin",
    params(UuidInPath, KeyHeader), request_body = RefundRequest,
    responses(
        (status = 200, description = "Its order, cancelled", body = OrderResponse, headers(("Location" = String))),
        (
            status = 202, description = "The card part is being given back", body = OrderResponse,
            headers(("Location" = String), ("Retry-After" = u64))
        ),
        BadKeyed, AdminOnly, ByHandProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn refund_payment(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    key: IdempotencyKey,
    Json(request): Json<RefundRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let encode = encode(Names::InPath, |outcome| order_shown(outcome, StatusCode::OK));
    let keyed = keyed(&api.idempotency, &caller, (REFUND, &key), &(id, &request), encode)?;
    let reason = request.reason.into_string();
    let reply = api.payments.refund(&caller, keyed, PaymentId(id), &reason).await;
    respond(Ok(reply.map_err(by_hand_failure)?))
}
