//! Likes.

use axum::extract::State;
use commerce_api_application::LikeError;
use commerce_api_application::ports::LikedProduct;
use commerce_api_domain::{ProductId, Timestamp, UserId};
use commerce_http::{Caller, Json, Page, Path, Principal, Query};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::paging::{PageQuery, after, page, rows};
use super::products::ProductResponse;
use super::{Routes, Shared};
use crate::interfaces::failure::{Answered, Failure, product_not_found};
use crate::interfaces::input::{Id, Time};
use crate::interfaces::problems::{Always, AtDesk, BadParameter, NumberInPath, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(like, unlike)).routes(routes!(my_likes))
}

const LIKES: &str = "likes";

/// Whether the caller likes a product.
#[derive(Serialize, ToSchema)]
struct LikeResponse {
    /// As it is now.
    liked: bool,
    /// Whether it was otherwise before.
    changed: bool,
}

/// A product that the caller likes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LikedProductResponse {
    /// The product.
    product: ProductResponse,
    /// Since when.
    liked_at: Time,
}

impl From<LikedProduct> for LikedProductResponse {
    fn from(liked: LikedProduct) -> Self {
        Self { product: liked.product.into(), liked_at: liked.liked_at.into() }
    }
}

problems! {
    /// Where there is no such product.
    NoProduct { 404 => "PRODUCT_NOT_FOUND" }
}

/// Likes a product; again changes nothing.
#[utoipa::path(
    put, path = "/api/v1/products/{id}/like", operation_id = "likeProduct", tag = "likes",
    params(NumberInPath),
    responses((status = 200, description = "Liked", body = LikeResponse), BadParameter, NoProduct, AtDesk),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn like(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(product): Path<Id>,
) -> Answered<Json<LikeResponse>> {
    set(&api, caller, product, true).await
}

/// Likes a product no more; again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/products/{id}/like", operation_id = "unlikeProduct", tag = "likes",
    params(NumberInPath),
    responses((status = 200, description = "Not liked", body = LikeResponse), BadParameter, NoProduct, AtDesk),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn unlike(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(product): Path<Id>,
) -> Answered<Json<LikeResponse>> {
    set(&api, caller, product, false).await
}

async fn set(api: &Shared, caller: Principal, product: Id, liked: bool) -> Answered<Json<LikeResponse>> {
    let set = api.likes.set(UserId(caller.user_id), ProductId(product.get()), liked).await;
    let changed = set.map_err(|error| match error {
        LikeError::ProductNotFound => product_not_found().into(),
        LikeError::Desk(error) => Failure::from(error),
    })?;
    Ok(Json(LikeResponse { liked, changed }))
}

/// Products that the caller likes, latest first.
#[utoipa::path(
    get, path = "/api/v1/users/me/likes", operation_id = "listMyLikes", tag = "likes",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = Page<LikedProductResponse>),
        BadParameter, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("CUSTOMER")))
)]
async fn my_likes(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Query(query): Query<PageQuery>,
) -> Answered<Json<Page<LikedProductResponse>>> {
    let after = after::<(i64, i64)>(LIKES, query.cursor.as_deref())?
        .map(|(at, product)| (Timestamp::from_micros(at), ProductId(product)));
    let liked = api.likes.liked_by(UserId(caller.user_id), after, rows(query.limit)).await?;
    let key = |liked: &LikedProduct| (liked.liked_at.as_micros(), liked.product.id.0);
    Ok(Json(page((LIKES, query.limit), liked, key, LikedProductResponse::from)))
}
