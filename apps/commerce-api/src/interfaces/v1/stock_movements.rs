//! Stock moved by hand.

use axum::extract::State;
use axum::response::Response;
use commerce_api_domain::{MovementId, Outcome, ProductId, StockMovement};
use commerce_http::{Caller, IdempotencyKey, Json, Page, Path, Query};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use super::names::MovementKind;
use super::paging::{PageQuery, after, page, rows};
use super::{Routes, Shared};
use crate::interfaces::answer::{Shown, encode, keyed, respond};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, product_not_found};
use crate::interfaces::input::{Id, Reason, Time};
use crate::interfaces::problems::{
    AdminOnly, Always, AtDesk, BadKeyed, BadParameter, KeyHeader, NumberInPath, problems,
};
use crate::interfaces::refusal::Names;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(move_stock, stock_movements))
}

const MOVE_STOCK: &str = "POST /api/v1/products/{id}/stock-movements";
const MOVEMENTS: &str = "stock-movements";

/// A movement of stock.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MovementRequest {
    /// Why it moves.
    kind: MovementKind,
    /// Pieces: above 0 for a RECEIPT, negative for a loss.
    #[schema(example = 50)]
    quantity: i64,
    /// What to note.
    reason: Option<Reason>,
}

/// A movement of stock.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MovementResponse {
    /// Which movement.
    id: Uuid,
    /// Of which product.
    #[schema(example = 7)]
    product_id: i64,
    /// Why it moved.
    kind: MovementKind,
    /// Pieces; negative for a loss.
    #[schema(example = 50)]
    quantity: i64,
    /// Stock after it.
    #[schema(example = 150)]
    stock_after: i64,
    /// What was noted.
    #[schema(required = true, example = "Delivery of 3 May")]
    reason: Option<String>,
    /// When.
    at: Time,
}

impl From<&StockMovement> for MovementResponse {
    fn from(movement: &StockMovement) -> Self {
        Self {
            id: movement.id.0,
            product_id: movement.product.0,
            kind: movement.kind.into(),
            quantity: movement.quantity,
            stock_after: movement.stock_after,
            reason: movement.reason.as_deref().map(str::to_owned),
            at: movement.at.into(),
        }
    }
}

problems! {
    /// Of a movement.
    MovementProblems {
        404 => "PRODUCT_NOT_FOUND",
        409 => "STOCK_TOO_LOW",
        422 => "MOVEMENT_INVALID, STOCK_TOO_LARGE, IDEMPOTENCY_KEY_REUSED",
    }
    /// Where there is no such product.
    NoProduct { 404 => "PRODUCT_NOT_FOUND" }
}

/// Receives or adjusts stock.
#[utoipa::path(
    post, path = "/api/v1/products/{id}/stock-movements", operation_id = "moveStock", tag = "products",
    params(NumberInPath, KeyHeader), request_body = MovementRequest,
    responses(
        (status = 201, description = "The movement", body = MovementResponse),
        BadKeyed, AdminOnly, MovementProblems, AtDesk
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn move_stock(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(product): Path<Id>,
    key: IdempotencyKey,
    Json(request): Json<MovementRequest>,
) -> Answered<Response> {
    let caller = auth::caller(caller);
    let asked = (product, &request);
    let keyed = keyed(&api.idempotency, &caller, (MOVE_STOCK, &key), &asked, encode(Names::InPath, moved))?;
    let movement = (request.kind.into(), request.quantity);
    let reason = request.reason.map(Into::into);
    let product = ProductId(product.get());
    respond(api.catalogue.move_stock(&caller, keyed, product, movement, reason).await)
}

fn moved(outcome: &Outcome) -> Option<Shown> {
    let Outcome::StockMoved(movement) = outcome else { return None };
    Shown::new(StatusCode::CREATED, None, &MovementResponse::from(movement))
}

/// Movements of a product's stock by hand, latest first; sales are orders.
#[utoipa::path(
    get, path = "/api/v1/products/{id}/stock-movements", operation_id = "listStockMovements",
    tag = "products",
    params(NumberInPath, PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<MovementResponse>),
        BadParameter, AdminOnly, NoProduct, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn stock_movements(
    State(api): State<Shared>,
    Path(product): Path<Id>,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<MovementResponse>>> {
    let after = after(MOVEMENTS, query.cursor.as_deref())?.map(MovementId);
    let product = ProductId(product.get());
    let movements = api.catalogue.movements(product, after, rows(query.limit)).await?;
    let movements = movements.ok_or_else(product_not_found)?;
    let show = |movement: StockMovement| MovementResponse::from(&movement);
    Ok(Json(page((MOVEMENTS, query.limit), movements, |movement| movement.id.0, show)))
}
