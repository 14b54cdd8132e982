//! Brands.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::ports::{Brand, NewBrand, ProductQuery, ProductSort};
use commerce_api_domain::BrandId;
use commerce_http::{Caller, Json, Page, PageLimit, Path, Problem, Query};
use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::paging::{PageQuery, after, page, rows};
use super::products::{ProductResponse, product_page};
use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, Failure, update_refused};
use crate::interfaces::input::{Description, Id, Name, Time};
use crate::interfaces::problems::{AdminOnly, Always, BadBody, BadParameter, NumberInPath, problems};
use crate::interfaces::public;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_brands, add_brand)).routes(routes!(brand))
}

const BRANDS: &str = "brands";

/// A brand to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BrandRequest {
    /// Its name, unique.
    name: Name,
    /// What it tells of itself.
    #[serde(default)]
    description: Option<Description>,
}

/// A brand.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BrandResponse {
    /// Which brand.
    #[schema(example = 3)]
    id: i64,
    /// Its name.
    #[schema(example = "Boseong")]
    name: String,
    /// What it tells of itself.
    #[schema(example = "Tea since 1939")]
    description: String,
    /// Since when it is in the catalogue.
    created_at: Time,
}

impl From<Brand> for BrandResponse {
    fn from(brand: Brand) -> Self {
        let Brand { id, name, description, created_at } = brand;
        Self { id: id.0, name, description, created_at: created_at.into() }
    }
}

/// A brand and its best liked products.
#[derive(Serialize, ToSchema)]
struct BrandDetailResponse {
    #[serde(flatten)]
    brand: BrandResponse,
    /// Its products, most liked first: the first page of `productsLink`.
    products: Page<ProductResponse>,
    /// Where the list goes on, with `nextCursor` as `cursor`.
    #[serde(rename = "productsLink")]
    #[schema(example = "/api/v1/products?brandId=3&sort=LIKES_DESC")]
    products_link: String,
}

problems! {
    /// Of one brand.
    NoBrand { 404 => "BRAND_NOT_FOUND" }
    /// Of a brand to add.
    BrandTaken { 409 => "BRAND_NAME_TAKEN" }
}

/// Brands.
#[utoipa::path(
    get, path = "/api/v1/brands", operation_id = "listBrands", tag = "brands",
    params(PageQuery),
    responses((status = 200, description = "A page", body = Page<BrandResponse>), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn list_brands(State(api): State<Shared>, Query(query): Query<PageQuery>) -> Answered<Response> {
    let after = after(BRANDS, query.cursor.as_deref())?.map(BrandId);
    let brands = api.catalogue.brands(after, rows(query.limit)).await?;
    Ok(public(Json(page((BRANDS, query.limit), brands, |brand| brand.id.0, BrandResponse::from))))
}

/// A brand and its products.
#[utoipa::path(
    get, path = "/api/v1/brands/{id}", operation_id = "getBrand", tag = "brands",
    params(NumberInPath),
    responses(
        (status = 200, description = "The brand", body = BrandDetailResponse),
        BadParameter, NoBrand, Always
    ),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn brand(State(api): State<Shared>, Path(id): Path<Id>) -> Answered<Response> {
    let id = BrandId(id.get());
    let brand = api.catalogue.brand(id).await?;
    let brand = brand.ok_or_else(brand_not_found)?;
    let limit = PageLimit::default();
    let sort = ProductSort::LikesDesc;
    let query = ProductQuery { brand: Some(id), sort, limit: rows(limit), ..ProductQuery::default() };
    let products = api.catalogue.products(&query).await?;
    Ok(public(Json(BrandDetailResponse {
        brand: brand.into(),
        products: product_page(products, sort, limit),
        products_link: format!("/api/v1/products?brandId={id}&sort=LIKES_DESC"),
    })))
}

fn brand_not_found() -> Problem {
    Problem::not_found("BRAND_NOT_FOUND", "The brand does not exist", "no brand has this id")
}

/// Adds a brand.
#[utoipa::path(
    post, path = "/api/v1/brands", operation_id = "addBrand", tag = "brands",
    request_body = BrandRequest,
    responses(
        (status = 201, description = "The brand", body = BrandResponse, headers(("Location" = String))),
        BadBody, AdminOnly, BrandTaken, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn add_brand(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<BrandRequest>,
) -> Answered<Response> {
    let description = request.description.map_or_else(String::new, Description::into_string);
    let brand = NewBrand { name: request.name.into_string(), description };
    let added = api.catalogue.add_brand(&auth::caller(caller), brand).await;
    let brand = added.map_err(|error| Failure::from(update_refused(&error, "BRAND_NAME_TAKEN")))?;
    let location = [(LOCATION, format!("/api/v1/brands/{}", brand.id))];
    Ok((StatusCode::CREATED, location, Json(BrandResponse::from(brand))).into_response())
}
