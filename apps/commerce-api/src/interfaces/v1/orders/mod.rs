//! Orders: placing, seeing, cancelling.

mod order;
mod place;

use axum::extract::State;
use axum::response::Response;
use commerce_api_application::ports::OrderFilter;
use commerce_api_domain::{Order, OrderId, OrderStatus, Outcome, Timestamp};
use commerce_http::{Caller, IdempotencyKey, Json, Page, PageLimit, Path, Problem, Query};
use http::StatusCode;
use utoipa_axum::routes;
use uuid::Uuid;

pub use self::order::OrderResponse;
use self::place::PlaceOrderRequest;
use super::paging::{PageQuery, after, page, rows};
use super::{Routes, Shared};
use crate::interfaces::answer::{Shown, encode, keyed, respond};
use crate::interfaces::auth;
use crate::interfaces::failure::Answered;
use crate::interfaces::problems::{
    Always, AtDesk, BadKey, BadKeyed, BadParameter, KeyHeader, UuidInPath, problems,
};
use crate::interfaces::refusal::Names;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(my_orders, place_order)).routes(routes!(order)).routes(routes!(cancel_order))
}

const PLACE: &str = "POST /api/v1/orders";
const CANCEL: &str = "POST /api/v1/orders/{id}/cancel";
const ORDERS: &str = "orders";

problems! {
    /// Of an order to place.
    PlaceProblems {
        404 => "USER_NOT_FOUND",
        409 => "OUT_OF_STOCK, PRODUCT_NOT_ON_SALE, PRICE_CHANGED, COUPON_ALREADY_USED",
        422 => "PRODUCT_NOT_FOUND, PURCHASE_LIMIT_EXCEEDED, INSUFFICIENT_POINTS, PAYMENT_MISMATCH, AMOUNT_TOO_LARGE, QUANTITY_TOO_LARGE, \
                COUPON_NOT_FOUND, COUPON_NOT_VALID, COUPON_MINIMUM_NOT_MET, IDEMPOTENCY_KEY_REUSED",
    }
    /// Of a cancel.
    CancelProblems {
        404 => "ORDER_NOT_FOUND",
        409 => "ORDER_STATE_CONFLICT, PAYMENT_STATE_CONFLICT",
        422 => "EARNED_POINTS_SPENT, IDEMPOTENCY_KEY_REUSED",
    }
    /// Where there is no such order, or it is another customer's.
    NoOrder { 404 => "ORDER_NOT_FOUND" }
}

/// Places an order. Prices are those of the moment it is placed; a product named twice is merged.
///
/// Without a card, points pay all of it and the order is PAID at once. With a card, points pay `points` of it and the
/// card the rest; the order then waits as `PAYMENT_PENDING`.
#[utoipa::path(
    post, path = "/api/v1/orders", operation_id = "placeOrder", tag = "orders",
    params(KeyHeader), request_body = PlaceOrderRequest,
    responses(
        (status = 201, description = "Paid", body = OrderResponse, headers(("Location" = String))),
        (
            status = 202, description = "Waits for the card", body = OrderResponse,
            headers(("Location" = String), ("Retry-After" = u64))
        ),
        BadKeyed, PlaceProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn place_order(
    State(api): State<Shared>,
    Caller(caller): Caller,
    key: IdempotencyKey,
    Json(request): Json<PlaceOrderRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let encode = encode(Names::InBody, |outcome| order_shown(outcome, StatusCode::CREATED));
    let keyed = keyed(&api.idempotency, &caller, (PLACE, &key), &request, encode)?;
    let order = request.command(caller.user);
    respond(match request.card_number() {
        Some(number) => api.orders.place_by_card(&caller, keyed, order, &number).await,
        None => api.orders.place(&caller, keyed, order).await,
    })
}

/// Cancels an order: an unpaid one is closed, a paid one given back.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/cancel", operation_id = "cancelOrder", tag = "orders",
    params(UuidInPath, KeyHeader),
    responses(
        (status = 200, description = "Cancelled", body = OrderResponse, headers(("Location" = String))),
        (
            status = 202, description = "The card part is being given back", body = OrderResponse,
            headers(("Location" = String), ("Retry-After" = u64))
        ),
        BadKey, CancelProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn cancel_order(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
    key: IdempotencyKey,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let encode = encode(Names::InPath, |outcome| order_shown(outcome, StatusCode::OK));
    let keyed = keyed(&api.idempotency, &caller, (CANCEL, &key), &(id,), encode)?;
    respond(api.orders.cancel(&caller, keyed, OrderId(id)).await)
}

/// The order that a command left, under `settled` unless its card part is still to move.
pub fn order_shown(outcome: &Outcome, settled: StatusCode) -> Option<Shown> {
    let Outcome::Order(order) = outcome else { return None };
    let waits = matches!(order.status, OrderStatus::PaymentPending | OrderStatus::CancelPending);
    let status = if waits { StatusCode::ACCEPTED } else { settled };
    Shown::new(status, Some(format!("/api/v1/orders/{}", order.id)), &OrderResponse::from(&**order))
}

/// The caller's orders, newest first.
#[utoipa::path(
    get, path = "/api/v1/orders", operation_id = "listMyOrders", tag = "orders",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<OrderResponse>), BadParameter, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn my_orders(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<OrderResponse>>> {
    let caller = auth::caller(caller);
    let filter = OrderFilter {
        user: Some(caller.user),
        status: None,
        after: position(query.cursor.as_deref())?,
        limit: rows(query.limit),
    };
    Ok(Json(order_page(api.orders.orders(&caller, filter).await?, query.limit)))
}

/// An order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}", operation_id = "getOrder", tag = "orders",
    params(UuidInPath),
    responses((status = 200, description = "The order", body = OrderResponse), BadParameter, NoOrder, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn order(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Uuid>,
) -> Answered<Json<OrderResponse>> {
    let order = api.orders.order(&auth::caller(caller), OrderId(id)).await?;
    Ok(Json((&order.ok_or_else(order_not_found)?).into()))
}

fn order_not_found() -> Problem {
    let detail = "no order of yours has this id";
    Problem::not_found("ORDER_NOT_FOUND", "The order does not exist", detail)
}

/// The position in a list of orders that a cursor names.
pub fn position(cursor: Option<&str>) -> Result<Option<(Timestamp, OrderId)>, Problem> {
    let key = after::<(i64, Uuid)>(ORDERS, cursor)?;
    Ok(key.map(|(at, id)| (Timestamp::from_micros(at), OrderId(id))))
}

/// A page of orders that were read newest first.
pub fn order_page(orders: Vec<Order>, limit: PageLimit) -> Page<OrderResponse> {
    let key = |order: &Order| (order.created_at.as_micros(), order.id.0);
    page((ORDERS, limit), orders, key, |order| OrderResponse::from(&order))
}
