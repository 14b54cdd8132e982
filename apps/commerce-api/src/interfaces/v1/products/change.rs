use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::ports::{NewProduct, ProductPatch, ProductView, PurchaseLimitChange};
use commerce_api_domain::{BrandId, ProductId};
use commerce_http::{Caller, IfMatch, Json, Path, Principal, etag};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::ProductDetailResponse;
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, Failure, update_refused};
use crate::interfaces::input::{Code, Description, Id, Name, PurchaseLimit, StockCount, Won, invalid};
use crate::interfaces::problems::{AdminOnly, Always, BadBody, IfMatchHeader, NumberInPath, problems};
use crate::interfaces::v1::names::ProductStatus;
use crate::interfaces::v1::{Routes, Shared};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(add_product)).routes(routes!(replace_product, change_product))
}

const TAKEN: &str = "PRODUCT_CODE_TAKEN";

/// A product to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewProductRequest {
    /// The shop's own code, unique; it never changes.
    code: Code,
    /// Its name.
    name: Name,
    /// What it is.
    description: Option<Description>,
    /// Its brand.
    brand_id: Id,
    /// Its price.
    price: Won,
    /// Initial stock, recorded as a receipt.
    stock: StockCount,
    /// Whether it is sold; `ON_SALE` where it is left out.
    status: Option<ProductStatus>,
    /// The most pieces that one customer may hold in orders that are paid or wait for payment; any number where it is left
    /// out.
    purchase_limit: Option<PurchaseLimit>,
}

impl From<NewProductRequest> for NewProduct {
    fn from(request: NewProductRequest) -> Self {
        let status = request.status.unwrap_or(ProductStatus::OnSale);
        Self {
            code: request.code.into_string(),
            name: request.name.into_string(),
            description: request.description.map_or_else(String::new, Description::into_string),
            brand: BrandId(request.brand_id.get()),
            price: request.price.money(),
            stock: request.stock.get(),
            status: status.into(),
            purchase_limit: request.purchase_limit.and_then(PurchaseLimit::quantity),
        }
    }
}

/// All catalogue fields of a product. Stock moves by stock movements only.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReplaceProductRequest {
    /// Its name.
    name: Name,
    /// What it is.
    description: Description,
    /// Its brand.
    brand_id: Id,
    /// Its price; orders placed before keep theirs.
    price: Won,
    /// Whether it is sold.
    status: ProductStatus,
    /// The most pieces that one customer may hold in orders that are paid or wait for payment; any number where it is left
    /// out. Orders placed before stay.
    purchase_limit: Option<PurchaseLimit>,
}

impl From<ReplaceProductRequest> for ProductPatch {
    fn from(request: ReplaceProductRequest) -> Self {
        Self {
            name: Some(request.name.into_string()),
            description: Some(request.description.into_string()),
            brand: Some(BrandId(request.brand_id.get())),
            price: Some(request.price.money()),
            status: Some(request.status.into()),
            purchase_limit: limit_of(request.purchase_limit),
        }
    }
}

/// Catalogue fields to change, at least one; the others stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChangeProductRequest {
    /// Its name.
    name: Option<Name>,
    /// What it is.
    description: Option<Description>,
    /// Its brand.
    brand_id: Option<Id>,
    /// Its price; orders placed before keep theirs.
    price: Option<Won>,
    /// Whether it is sold.
    status: Option<ProductStatus>,
    /// The most pieces that one customer may hold in orders that are paid or wait for payment; `null`: any number. Orders
    /// placed before stay.
    #[serde(default)]
    #[schema(value_type = Option<PurchaseLimit>)]
    purchase_limit: LimitPatch,
}

/// A limit that may be left out, which is another thing than `null`.
#[derive(Default)]
struct LimitPatch(PurchaseLimitChange);

impl<'de> Deserialize<'de> for LimitPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<PurchaseLimit>::deserialize(deserializer).map(|limit| Self(limit_of(limit)))
    }
}

fn limit_of(limit: Option<PurchaseLimit>) -> PurchaseLimitChange {
    PurchaseLimitChange::Set(limit.and_then(PurchaseLimit::quantity))
}

impl From<ChangeProductRequest> for ProductPatch {
    fn from(request: ChangeProductRequest) -> Self {
        Self {
            name: request.name.map(Name::into_string),
            description: request.description.map(Description::into_string),
            brand: request.brand_id.map(|id| BrandId(id.get())),
            price: request.price.map(Won::money),
            status: request.status.map(Into::into),
            purchase_limit: request.purchase_limit.0,
        }
    }
}

problems! {
    /// Of a product to add.
    AddProblems { 409 => "PRODUCT_CODE_TAKEN", 422 => "BRAND_NOT_FOUND" }
    /// Of a product to change.
    ChangeProblems {
        400 => "MALFORMED_REQUEST, UNKNOWN_FIELD, INVALID_PARAMETER, INVALID_IF_MATCH",
        404 => "PRODUCT_NOT_FOUND",
        408 => "REQUEST_TIMEOUT",
        412 => "PRECONDITION_FAILED",
        413 => "PAYLOAD_TOO_LARGE",
        415 => "UNSUPPORTED_MEDIA_TYPE",
        422 => "BRAND_NOT_FOUND",
        428 => "PRECONDITION_REQUIRED",
    }
}

/// Adds a product.
#[utoipa::path(
    post, path = "/api/v1/products", operation_id = "addProduct", tag = "products",
    request_body = NewProductRequest,
    responses(
        (
            status = 201, description = "The product", body = ProductDetailResponse,
            headers(("Location" = String), ("ETag" = String))
        ),
        BadBody, AdminOnly, AddProblems, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn add_product(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<NewProductRequest>,
) -> Answered<Response> {
    let added = api.catalogue.add_product(&auth::caller(caller), request.into()).await;
    let view = added.map_err(|error| Failure::from(update_refused(&error, TAKEN)))?;
    let location = [(LOCATION, format!("/api/v1/products/{}", view.id))];
    Ok((StatusCode::CREATED, location, shown(view)).into_response())
}

/// Replaces the catalogue fields of a product.
#[utoipa::path(
    put, path = "/api/v1/products/{id}", operation_id = "replaceProduct", tag = "products",
    params(NumberInPath, IfMatchHeader), request_body = ReplaceProductRequest,
    responses(
        (status = 200, description = "The product", body = ProductDetailResponse, headers(("ETag" = String))),
        AdminOnly, ChangeProblems, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn replace_product(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Id>,
    version: IfMatch,
    Json(request): Json<ReplaceProductRequest>,
) -> Answered<Response> {
    update(&api, caller, (id, version), request.into()).await
}

/// Changes catalogue fields of a product.
#[utoipa::path(
    patch, path = "/api/v1/products/{id}", operation_id = "changeProduct", tag = "products",
    params(NumberInPath, IfMatchHeader), request_body = ChangeProductRequest,
    responses(
        (status = 200, description = "The product", body = ProductDetailResponse, headers(("ETag" = String))),
        AdminOnly, ChangeProblems, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn change_product(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(id): Path<Id>,
    version: IfMatch,
    Json(request): Json<ChangeProductRequest>,
) -> Answered<Response> {
    let patch = ProductPatch::from(request);
    let ProductPatch { name, description, brand, price, status, purchase_limit } = &patch;
    let changes_nothing = name.is_none()
        && description.is_none()
        && brand.is_none()
        && price.is_none()
        && status.is_none()
        && *purchase_limit == PurchaseLimitChange::Keep;
    if changes_nothing {
        return Err(invalid("", "name at least one field to change").into());
    }
    update(&api, caller, (id, version), patch).await
}

async fn update(
    api: &Shared,
    caller: Principal,
    (id, IfMatch(version)): (Id, IfMatch),
    patch: ProductPatch,
) -> Answered<Response> {
    let id = ProductId(id.get());
    let updated = api.catalogue.update_product(&auth::caller(caller), id, version, patch).await;
    let view = updated.map_err(|error| Failure::from(update_refused(&error, TAKEN)))?;
    Ok(shown(view).into_response())
}

fn shown(view: ProductView) -> impl IntoResponse {
    ([(ETAG, etag(view.version))], Json(ProductDetailResponse::from(view)))
}
