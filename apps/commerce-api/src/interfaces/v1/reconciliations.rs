//! The gateway's settlement reports against our books, for those who run the shop.

use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use commerce_api_application::ports::{
    FindingFilter, ReconciledDay, ReconciliationFinding, ReconciliationState, Resolution, ResolvedHow,
};
use commerce_api_application::reconciliation::ReconcileError;
use commerce_api_domain::{Mismatch, MismatchKind, MoneyMovement, ProposedAction, Timestamp};
use commerce_http::{Caller, Json, Page, PageLimit, Path, Problem, Query};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::paging::{PageQuery, after, page, rows};
use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, Failure};
use crate::interfaces::input::{Day, Reason, Time};
use crate::interfaces::problems::{AdminOnly, Always, BadBody, BadParameter, UuidInPath, problems};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_findings, reconcile))
        .routes(routes!(list_days))
        .routes(routes!(resolve_finding))
}

const FINDINGS: &str = "reconciliation-findings";
const DAYS: &str = "reconciled-days";
const DAYS_PATH: &str = "/api/v1/admin/reconciliations/days";
/// Seconds after which it is worth to look whether a day was reconciled.
const LOOK_AGAIN_S: u64 = 5;

/// Whether anybody has to do something about it.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum FindingState {
    /// Yes.
    Open,
    /// It is gone, or somebody saw to it.
    Resolved,
}

/// How report and books differ.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum FindingKind {
    /// The gateway has a movement that our books do not know.
    MissingHere,
    /// Our books have a movement that no report of the gateway has.
    MissingThere,
    /// Both have it, with different amounts.
    AmountDiffers,
}

impl From<FindingKind> for MismatchKind {
    fn from(kind: FindingKind) -> Self {
        match kind {
            FindingKind::MissingHere => Self::MissingHere,
            FindingKind::MissingThere => Self::MissingThere,
            FindingKind::AmountDiffers => Self::AmountDiffers,
        }
    }
}

impl From<MismatchKind> for FindingKind {
    fn from(kind: MismatchKind) -> Self {
        match kind {
            MismatchKind::MissingHere => Self::MissingHere,
            MismatchKind::MissingThere => Self::MissingThere,
            MismatchKind::AmountDiffers => Self::AmountDiffers,
        }
    }
}

/// Which way money moved.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ReportedMovement {
    /// To us.
    Capture,
    /// Back to the buyer.
    Refund,
}

/// What is to be done.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum FindingAction {
    /// It is in motion: the gateway is asked about the payment, and what our books do not expect goes back by itself.
    Recheck,
    /// Nobody of ours has this reference: find out whose money it is.
    FindOwner,
    /// Ask the gateway's operator why its report has it, or has it not.
    AskGateway,
    /// Find out which amount is right, and settle the difference by hand.
    CompareAmounts,
    /// The buyer got the money back without us: cancel the order.
    CancelOrder,
}

/// How a finding ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum FindingEnd {
    /// A later run did not find it any more.
    Gone,
    /// By somebody, who said why.
    ByHand,
}

/// The end of a finding.
#[derive(Serialize, ToSchema)]
struct ResolutionResponse {
    /// How it ended.
    how: FindingEnd,
    /// What whoever resolved it said.
    reason: Option<String>,
    /// When.
    at: Time,
}

impl From<Resolution> for ResolutionResponse {
    fn from(resolution: Resolution) -> Self {
        let how = match resolution.how {
            ResolvedHow::Gone => FindingEnd::Gone,
            ResolvedHow::ByHand => FindingEnd::ByHand,
        };
        let reason = resolution.reason.map(|reason| reason.to_string());
        Self { how, reason, at: resolution.at.into() }
    }
}

/// What our books say.
#[derive(Serialize, ToSchema)]
struct OurSideResponse {
    /// Won.
    #[schema(example = 12_000)]
    amount: i64,
    /// Where the payment stands.
    #[schema(example = "SUCCESS")]
    status: &'static str,
}

/// What the gateway's report says.
#[derive(Serialize, ToSchema)]
struct TheirSideResponse {
    /// Won.
    #[schema(example = 12_000)]
    amount: i64,
    /// When, as the gateway says.
    at: Time,
}

/// A difference between the gateway's settlement report of a day and our books.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FindingResponse {
    id: Uuid,
    /// The day that was reconciled.
    date: Day,
    kind: FindingKind,
    movement: ReportedMovement,
    /// The gateway's transaction key.
    #[schema(example = "20270115:TR:9577c5")]
    transaction_key: String,
    /// The reference, as the gateway has it.
    reference: String,
    /// The payment of ours that it is about; null where the reference is nobody's.
    payment_id: Option<Uuid>,
    ours: Option<OurSideResponse>,
    theirs: Option<TheirSideResponse>,
    proposed_action: FindingAction,
    state: FindingState,
    resolution: Option<ResolutionResponse>,
    found_at: Time,
}

impl From<ReconciliationFinding> for FindingResponse {
    fn from(finding: ReconciliationFinding) -> Self {
        let state = match finding.state() {
            ReconciliationState::Open => FindingState::Open,
            ReconciliationState::Resolved => FindingState::Resolved,
        };
        let Mismatch { kind, movement, key, reference, payment, ours, theirs, action } = finding.mismatch;
        Self {
            id: finding.id,
            date: finding.date.into(),
            kind: kind.into(),
            movement: match movement {
                MoneyMovement::Capture => ReportedMovement::Capture,
                MoneyMovement::Refund => ReportedMovement::Refund,
            },
            transaction_key: key.to_string(),
            reference: reference.to_string(),
            payment_id: payment.map(|payment| payment.0),
            ours: ours.map(|ours| OurSideResponse { amount: ours.amount.won(), status: ours.status.name() }),
            theirs: theirs.map(|theirs| TheirSideResponse { amount: theirs.amount, at: theirs.at.into() }),
            proposed_action: match action {
                ProposedAction::Recheck => FindingAction::Recheck,
                ProposedAction::FindOwner => FindingAction::FindOwner,
                ProposedAction::AskGateway => FindingAction::AskGateway,
                ProposedAction::CompareAmounts => FindingAction::CompareAmounts,
                ProposedAction::CancelOrder => FindingAction::CancelOrder,
            },
            state,
            resolution: finding.resolution.map(ResolutionResponse::from),
            found_at: finding.found_at.into(),
        }
    }
}

/// Which findings to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FindingsQuery {
    /// Only of this day.
    date: Option<Day>,
    /// Only in this state.
    #[param(inline)]
    state: Option<FindingState>,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<FindingKind>,
    /// `nextCursor` of the page before; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// Which day to reconcile.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReconcileRequest {
    /// A day that is over.
    date: Day,
}

/// Why a finding needs nothing more.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveFindingRequest {
    /// What was found out, or done; for the audit log.
    reason: Reason,
}

/// What is known of the reconciliation of a day.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DayResponse {
    date: Day,
    /// When the last run began that came to its end; null where none did.
    reconciled_at: Option<Time>,
    /// Entries of the gateway's report.
    entries: i64,
    /// Our movements that were looked for in it.
    ours: i64,
    /// Differences that nobody resolved.
    open_findings: i64,
    /// Payments with an open outcome of which the report knows something; they are being asked about.
    asked: i64,
    /// When the last run failed, if none came to its end since.
    failed_at: Option<Time>,
    /// Why it failed.
    error: Option<String>,
}

impl From<(ReconciledDay, i64)> for DayResponse {
    fn from((day, open_findings): (ReconciledDay, i64)) -> Self {
        Self {
            date: day.date.into(),
            reconciled_at: day.compared_at.map(Time::from),
            entries: day.entries,
            ours: day.ours,
            open_findings,
            asked: day.asked,
            failed_at: day.failed_at.map(Time::from),
            error: day.error.map(|error| error.to_string()),
        }
    }
}

problems! {
    /// Where a day cannot be reconciled.
    NotReconcilable { 422 => "DAY_NOT_RECONCILABLE, NO_SETTLEMENT_REPORT" }
    /// Where there is no such finding.
    NoFinding { 404 => "FINDING_NOT_FOUND" }
}

fn refused(error: ReconcileError) -> Failure {
    let (code, title) = match error {
        ReconcileError::Storage(error) => return error.into(),
        ReconcileError::NoReport => ("NO_SETTLEMENT_REPORT", "The gateway has no settlement report"),
        _ => ("DAY_NOT_RECONCILABLE", "The day cannot be reconciled"),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title).detail(error.to_string()).into()
}

/// Differences between the gateway's settlement reports and our books, newest first.
#[utoipa::path(
    get, path = "/api/v1/admin/reconciliations", operation_id = "listReconciliationFindings", tag = "admin",
    params(FindingsQuery),
    responses(
        (status = 200, description = "A page", body = Page<FindingResponse>),
        BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_findings(
    State(api): State<Shared>,
    Query(query): Query<FindingsQuery>,
) -> Answered<Json<Page<FindingResponse>>> {
    let before = after::<(i64, Uuid)>(FINDINGS, query.cursor.as_deref())?;
    let filter = FindingFilter {
        date: query.date.map(Day::date),
        state: query.state.map(|state| match state {
            FindingState::Open => ReconciliationState::Open,
            FindingState::Resolved => ReconciliationState::Resolved,
        }),
        kind: query.kind.map(MismatchKind::from),
        before: before.map(|(at, id)| (Timestamp::from_micros(at), id)),
        limit: rows(query.limit),
    };
    let found = api.reconciliations.findings(&filter).await?;
    let key = |found: &ReconciliationFinding| (found.found_at.as_micros(), found.id);
    Ok(Json(page((FINDINGS, query.limit), found, key, FindingResponse::from)))
}

/// Has a day reconciled, also one that was before: what is found again is the same finding. It goes to the audit log.
#[utoipa::path(
    post, path = "/api/v1/admin/reconciliations", operation_id = "reconcileDay", tag = "admin",
    request_body = ReconcileRequest,
    responses(
        (
            status = 202, description = "It is reconciled within a minute", body = DayResponse,
            headers(("Location" = String), ("Retry-After" = u64))
        ),
        BadBody, AdminOnly, NotReconcilable, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn reconcile(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<ReconcileRequest>,
) -> Answered<Response> {
    let date = request.date.date();
    let day = api.reconciliations.request(&auth::caller(caller), date).await.map_err(refused)?;
    let headers = [(LOCATION, DAYS_PATH.to_owned()), (RETRY_AFTER, LOOK_AGAIN_S.to_string())];
    Ok((StatusCode::ACCEPTED, headers, Json(DayResponse::from(day))).into_response())
}

/// Days that were reconciled, or are to be, newest first.
#[utoipa::path(
    get, path = "/api/v1/admin/reconciliations/days", operation_id = "listReconciledDays", tag = "admin",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<DayResponse>), BadParameter, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_days(
    State(api): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<DayResponse>>> {
    let before = after::<Day>(DAYS, query.cursor.as_deref())?;
    let until = match before {
        Some(day) => day.date().pred_opt().unwrap_or_default(),
        None => api.clock.business_day(api.clock.now()),
    };
    let days = api.reconciliations.days(until, rows(query.limit)).await?;
    let key = |(day, _): &(ReconciledDay, i64)| Day::from(day.date);
    Ok(Json(page((DAYS, query.limit), days, key, DayResponse::from)))
}

/// Says that a finding needs nothing more. One that is resolved already stays as it is. It goes to the audit log.
#[utoipa::path(
    post, path = "/api/v1/admin/reconciliations/{id}/resolve", operation_id = "resolveReconciliationFinding",
    tag = "admin", params(UuidInPath), request_body = ResolveFindingRequest,
    responses(
        (status = 200, description = "The finding", body = FindingResponse),
        BadBody, AdminOnly, NoFinding, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn resolve_finding(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    Json(request): Json<ResolveFindingRequest>,
) -> Answered<Json<FindingResponse>> {
    let reason = request.reason.into_string();
    let found = api.reconciliations.resolve(&auth::caller(caller), id, &reason).await?;
    let found = found.ok_or_else(|| {
        Problem::not_found("FINDING_NOT_FOUND", "The finding does not exist", "no finding has this id")
    })?;
    Ok(Json(found.into()))
}
