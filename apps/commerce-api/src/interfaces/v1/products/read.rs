use axum::extract::State;
use axum::response::Response;
use commerce_api_application::ProductDetail;
use commerce_api_application::ports::{ProductQuery, ProductSort};
use commerce_api_domain::{BrandId, ProductId};
use commerce_http::{Json, MaybeCaller, Page, PageLimit, Path, Query, etag};
use http::Method;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{ProductDetailResponse, ProductResponse, position, product_page};
use crate::interfaces::auth::{Peer, viewer};
use crate::interfaces::failure::{Answered, product_not_found};
use crate::interfaces::input::{Id, SearchText};
use crate::interfaces::problems::{Always, BadParameter, NumberInPath, problems};
use crate::interfaces::public;
use crate::interfaces::v1::rankings::RanksResponse;
use crate::interfaces::v1::{Routes, Shared, names, paging};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_products)).routes(routes!(product))
}

/// Which products to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ProductListQuery {
    /// Substring of the product's or brand's name, upper and lower case alike.
    #[param(value_type = Option<String>, min_length = 2, max_length = 50)]
    search: Option<SearchText>,
    /// Only products of this brand.
    #[param(value_type = Option<i64>, minimum = 1)]
    brand_id: Option<Id>,
    /// How to sort; `LATEST` where it is left out.
    #[param(inline)]
    sort: Option<names::ProductSort>,
    /// `nextCursor` of the page before, with the same sort; none for the first page.
    cursor: Option<String>,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: PageLimit,
}

/// A product, and where it stands.
#[derive(Serialize, ToSchema)]
struct RankedDetailResponse {
    #[serde(flatten)]
    product: ProductDetailResponse,
    /// Its places on today's boards.
    ranks: RanksResponse,
}

problems! {
    /// Of one product.
    NoProduct { 404 => "PRODUCT_NOT_FOUND" }
}

/// Products that match.
#[utoipa::path(
    get, path = "/api/v1/products", operation_id = "listProducts", tag = "products",
    params(ProductListQuery),
    responses((status = 200, description = "A page", body = Page<ProductResponse>), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn list_products(
    State(api): State<Shared>,
    Query(query): Query<ProductListQuery>,
) -> Answered<Response> {
    let sort = query.sort.map_or_else(ProductSort::default, Into::into);
    let products = api
        .catalogue
        .products(&ProductQuery {
            search: query.search.map(SearchText::into_string),
            brand: query.brand_id.map(|id| BrandId(id.get())),
            sort,
            after: position(sort, query.cursor.as_deref())?,
            limit: paging::rows(query.limit),
        })
        .await?;
    Ok(public(Json(product_page(products, sort, query.limit))))
}

/// One product. Reading it counts a view, once per viewer in half an hour; a HEAD counts none.
///
/// Catalogue fields and the `ETag` are those of the last change. Stock is what the last committed order or movement left;
/// where several servers run the shop, it may be up to one second old, and likes, views and ranks always may. Allow one
/// second more for caches on the way (`Cache-Control`). An order decides by the stock itself, never by what was shown.
#[utoipa::path(
    get, path = "/api/v1/products/{id}", operation_id = "getProduct", tag = "products",
    params(NumberInPath),
    responses(
        (
            status = 200, description = "The product", body = RankedDetailResponse,
            headers(("ETag" = String, description = "Version of its catalogue fields, for `If-Match`"))
        ),
        BadParameter, NoProduct, Always
    ),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn product(
    State(api): State<Shared>,
    method: Method,
    caller: MaybeCaller,
    peer: Peer,
    Path(id): Path<Id>,
) -> Answered<Response> {
    let id = ProductId(id.get());
    let ProductDetail { view, ranks } = api.details.of(id).await?.ok_or_else(product_not_found)?;
    // Nobody sees a product by a HEAD, which is answered here as well.
    if method == Method::GET
        && let Some(viewer) = viewer(caller, &peer)
    {
        api.views.record(id, viewer);
    }
    let version = view.version;
    Ok(public((
        [(ETAG, etag(version))],
        Json(RankedDetailResponse { product: view.into(), ranks: ranks.into() }),
    )))
}
