//! Points: balance, ledger, charges.

use axum::extract::State;
use axum::response::Response;
use commerce_api_domain::{LedgerEntry, LedgerId, Outcome, UserId};
use commerce_http::{Caller, IdempotencyKey, Json, Page, Path, Problem, Query};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::names::LedgerKind;
use super::paging::{PageQuery, after, page, rows};
use super::{Routes, Shared};
use crate::interfaces::answer::{Shown, encode, keyed, respond};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, user_not_found};
use crate::interfaces::input::{Id, PositiveWon, Time, Won};
use crate::interfaces::problems::{
    Always, AtDesk, BadKeyed, BadParameter, KeyHeader, NumberInPath, problems,
};
use crate::interfaces::refusal::Names;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(my_points))
        .routes(routes!(charge_my_points))
        .routes(routes!(charge_points_of))
}

const CHARGE_MINE: &str = "POST /api/v1/users/me/points/charges";
const CHARGE_OF: &str = "POST /api/v1/admin/users/{id}/points/charges";
const LEDGER: &str = "ledger";

/// Points to add.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChargeRequest {
    /// How many; there is a limit for one charge and for all of a day.
    amount: PositiveWon,
}

/// One movement of points.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LedgerEntryResponse {
    /// Which movement.
    id: Uuid,
    /// Why.
    kind: LedgerKind,
    /// How many; negative for USE and REVOKE.
    #[schema(example = -12_000)]
    amount: i64,
    /// Balance after it.
    balance_after: Won,
    /// The order that moved them; null for a charge.
    #[schema(required = true)]
    order_id: Option<Uuid>,
    /// When.
    at: Time,
}

impl From<&LedgerEntry> for LedgerEntryResponse {
    fn from(entry: &LedgerEntry) -> Self {
        Self {
            id: entry.id.0,
            kind: entry.kind.into(),
            amount: entry.signed_amount(),
            balance_after: entry.balance_after.into(),
            order_id: entry.order.map(|order| order.0),
            at: entry.at.into(),
        }
    }
}

/// A balance and a page of what led to it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PointsResponse {
    /// Points that can be spent.
    balance: Won,
    /// Movements, latest first.
    items: Vec<LedgerEntryResponse>,
    /// Cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

problems! {
    /// Where the account is gone.
    Gone { 404 => "USER_NOT_FOUND" }
    /// Of a charge.
    ChargeProblems {
        403 => "CHARGE_NOT_ALLOWED, ACCESS_DENIED",
        404 => "USER_NOT_FOUND",
        422 => "CHARGE_TOO_LARGE, DAILY_CHARGE_EXCEEDED, AMOUNT_TOO_LARGE, IDEMPOTENCY_KEY_REUSED",
    }
}

/// The caller's points.
#[utoipa::path(
    get, path = "/api/v1/users/me/points", operation_id = "getMyPoints", tag = "points",
    params(PageQuery),
    responses(
        (status = 200, description = "Balance and movements", body = PointsResponse),
        BadParameter, Gone, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn my_points(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query<PageQuery>,
) -> Answered<Json<PointsResponse>> {
    let after = after(LEDGER, query.cursor.as_deref())?.map(LedgerId);
    let ledger = api.points.ledger(UserId(caller.user_id), after, rows(query.limit)).await?;
    let ledger = ledger.ok_or_else(user_not_found)?;
    let Page { items, next_cursor } = page(
        (LEDGER, query.limit),
        ledger.entries,
        |entry| entry.id.0,
        |entry| LedgerEntryResponse::from(&entry),
    );
    Ok(Json(PointsResponse { balance: ledger.balance.into(), items, next_cursor }))
}

/// Charges points to the caller's account.
#[utoipa::path(
    post, path = "/api/v1/users/me/points/charges", operation_id = "chargeMyPoints", tag = "points",
    params(KeyHeader), request_body = ChargeRequest,
    responses(
        (status = 201, description = "The movement", body = LedgerEntryResponse),
        BadKeyed, ChargeProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn charge_my_points(
    State(api): State<Shared>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(request): Json<ChargeRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    if !api.points.may_charge(&caller) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "CHARGE_NOT_ALLOWED",
            "Customers cannot charge points in this shop",
        )
        .detail("an administrator charges them")
        .into());
    }
    let keyed =
        keyed(&api.idempotency, &caller, (CHARGE_MINE, &key), &request, encode(Names::InPath, charged))?;
    respond(api.points.charge(&caller, keyed, caller.user, request.amount.money()).await)
}

/// Charges points to a user's account.
#[utoipa::path(
    post, path = "/api/v1/admin/users/{id}/points/charges", operation_id = "chargePointsOfUser",
    tag = "admin",
    params(NumberInPath, KeyHeader), request_body = ChargeRequest,
    responses(
        (status = 201, description = "The movement", body = LedgerEntryResponse),
        BadKeyed, ChargeProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn charge_points_of(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(user): Path<Id>,
    key: IdempotencyKey,
    Json(request): Json<ChargeRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let asked = (user, &request);
    let keyed = keyed(&api.idempotency, &caller, (CHARGE_OF, &key), &asked, encode(Names::InPath, charged))?;
    respond(api.points.charge(&caller, keyed, UserId(user.get()), request.amount.money()).await)
}

fn charged(outcome: &Outcome) -> Option<Shown> {
    let Outcome::PointsCharged(entry) = outcome else { return None };
    Shown::new(StatusCode::CREATED, None, &LedgerEntryResponse::from(entry))
}
