//! Coupons, and who has them.

mod policy;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::ports::{CouponView, IssuedCouponView};
use commerce_api_domain::{
    CouponId, CouponPolicy, IssuedCoupon, IssuedCouponId, IssuedCouponStatus, Outcome, Timestamp, UserId,
};
use commerce_http::{Caller, IdempotencyKey, Json, Page, Path, Query};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use self::policy::{CouponRequest, CouponResponse, GrantResponse};
use super::paging::{PageQuery, after, page, rows};
use super::{Routes, Shared};
use crate::interfaces::answer::{Shown, encode, keyed, respond};
use crate::interfaces::failure::{Answered, Failure, update_refused};
use crate::interfaces::input::{Id, Time};
use crate::interfaces::problems::{
    AdminOnly, Always, AtDesk, BadBody, BadKey, BadParameter, KeyHeader, NumberInPath, problems,
};
use crate::interfaces::refusal::Names;
use crate::interfaces::{auth, public};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_coupons, add_coupon))
        .routes(routes!(issue_coupon))
        .routes(routes!(my_coupons))
}

const ISSUE: &str = "POST /api/v1/coupons/{id}/issues";
const COUPONS: &str = "coupons";
const ISSUED: &str = "issued-coupons";

/// Whether a coupon in hand can be used.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum IssuedStatus {
    /// By an order within its validity.
    Usable,
    /// An order uses it.
    Used,
    /// Its validity is over.
    Expired,
}

/// A coupon in hand.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct IssuedCouponResponse {
    /// What to name in an order as `issuedCouponId`.
    id: Uuid,
    /// What it grants.
    coupon: GrantResponse,
    /// Whether it can be used.
    status: IssuedStatus,
    /// The order that uses it.
    #[schema(required = true)]
    order_id: Option<Uuid>,
    /// Since when you have it.
    issued_at: Time,
}

impl IssuedCouponResponse {
    /// The coupon as it stands at `now`.
    fn at(issued: &IssuedCoupon, policy: &CouponPolicy, now: Timestamp) -> Self {
        let status = match issued.status {
            IssuedCouponStatus::Used => IssuedStatus::Used,
            IssuedCouponStatus::Usable if now >= policy.valid_until => IssuedStatus::Expired,
            IssuedCouponStatus::Usable => IssuedStatus::Usable,
        };
        Self {
            id: issued.id.0,
            coupon: policy.into(),
            status,
            order_id: issued.order.map(|order| order.0),
            issued_at: issued.issued_at.into(),
        }
    }
}

problems! {
    /// Of a coupon to add.
    CouponTaken { 409 => "COUPON_CODE_TAKEN" }
    /// Of an issue.
    IssueProblems {
        404 => "COUPON_NOT_FOUND, USER_NOT_FOUND",
        409 => "COUPON_SOLD_OUT, COUPON_ALREADY_ISSUED",
        422 => "COUPON_NOT_VALID, IDEMPOTENCY_KEY_REUSED",
    }
}

/// Coupons.
#[utoipa::path(
    get, path = "/api/v1/coupons", operation_id = "listCoupons", tag = "coupons",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<CouponResponse>), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn list_coupons(State(api): State<Shared>, Query(query): Query<PageQuery>) -> Answered<Response> {
    let after = after(COUPONS, query.cursor.as_deref())?.map(CouponId);
    let coupons = api.coupons.coupons(after, rows(query.limit)).await?;
    let key = |coupon: &CouponView| coupon.policy.id.0;
    Ok(public(Json(page((COUPONS, query.limit), coupons, key, CouponResponse::from))))
}

/// Adds a coupon.
#[utoipa::path(
    post, path = "/api/v1/coupons", operation_id = "addCoupon", tag = "coupons",
    request_body = CouponRequest,
    responses(
        (status = 201, description = "The coupon", body = CouponResponse),
        BadBody, AdminOnly, CouponTaken, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn add_coupon(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<CouponRequest>,
) -> Answered<Response> {
    let added = api.coupons.add(&auth::caller(caller), request.try_into()?).await;
    let coupon = added.map_err(|error| Failure::from(update_refused(&error, "COUPON_CODE_TAKEN")))?;
    Ok((StatusCode::CREATED, Json(CouponResponse::from(coupon))).into_response())
}

/// Gets a coupon, first come, first served, one for each customer.
#[utoipa::path(
    post, path = "/api/v1/coupons/{id}/issues", operation_id = "issueCoupon", tag = "coupons",
    params(NumberInPath, KeyHeader),
    responses(
        (status = 201, description = "The coupon in hand", body = IssuedCouponResponse),
        BadKey, IssueProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn issue_coupon(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(coupon): Path<Id>,
    key: IdempotencyKey,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let keyed = keyed(&api.idempotency, &caller, (ISSUE, &key), &(coupon,), encode(Names::InPath, issued))?;
    respond(api.coupons.issue(&caller, keyed, CouponId(coupon.get())).await)
}

fn issued(outcome: &Outcome) -> Option<Shown> {
    let Outcome::CouponIssued(issued, policy) = outcome else { return None };
    let response = IssuedCouponResponse::at(issued, policy, issued.issued_at);
    Shown::new(StatusCode::CREATED, None, &response)
}

/// The caller's coupons, latest first.
#[utoipa::path(
    get, path = "/api/v1/users/me/coupons", operation_id = "listMyCoupons", tag = "coupons",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<IssuedCouponResponse>),
        BadParameter, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn my_coupons(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<IssuedCouponResponse>>> {
    let after = after(ISSUED, query.cursor.as_deref())?.map(IssuedCouponId);
    let (coupons, now) = api.coupons.issued_to(UserId(caller.user_id), after, rows(query.limit)).await?;
    let key = |view: &IssuedCouponView| view.issued.id.0;
    let show = |view: IssuedCouponView| IssuedCouponResponse::at(&view.issued, &view.policy, now);
    Ok(Json(page((ISSUED, query.limit), coupons, key, show)))
}
