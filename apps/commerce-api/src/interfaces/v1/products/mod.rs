//! Products: what everybody reads, and what administrators change.

mod change;
mod read;

use commerce_api_application::ports::{ProductPosition, ProductSort, ProductView};
use commerce_api_domain::ProductId;
use commerce_http::{Page, PageLimit, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::Routes;
use super::names::ProductStatus;
use super::paging::{after, page};
use crate::interfaces::input::{PurchaseLimit, Time, Won};

pub fn routes() -> Routes {
    read::routes().merge(change::routes())
}

/// The brand of a product.
#[derive(Serialize, ToSchema)]
struct BrandName {
    /// Which brand.
    #[schema(example = 3)]
    id: i64,
    /// Its name.
    #[schema(example = "Boseong")]
    name: String,
}

/// A product as lists show it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductResponse {
    /// Which product.
    #[schema(example = 7)]
    id: i64,
    /// The shop's own code.
    #[schema(example = "TEA-001")]
    code: String,
    /// Its name.
    #[schema(example = "Boseong green tea")]
    name: String,
    /// Its brand.
    brand: BrandName,
    /// Its price.
    price: Won,
    /// Pieces that can be sold.
    #[schema(minimum = 0, example = 100)]
    stock: i64,
    /// Whether it is sold.
    status: ProductStatus,
    /// The most pieces that one customer may hold in orders that are paid or wait for payment; `null`: any number.
    purchase_limit: Option<PurchaseLimit>,
    /// Likes, counted every few seconds.
    #[schema(minimum = 0, example = 42)]
    like_count: i64,
    /// Views, counted once per viewer in half an hour and added every few seconds.
    #[schema(minimum = 0, example = 420)]
    view_count: i64,
    /// Since when it is in the catalogue.
    created_at: Time,
}

/// A product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductDetailResponse {
    #[serde(flatten)]
    product: ProductResponse,
    /// What it is.
    #[schema(example = "First flush, hand picked")]
    description: String,
    /// When its catalogue fields last changed.
    updated_at: Time,
}

impl From<ProductView> for ProductResponse {
    fn from(view: ProductView) -> Self {
        Self {
            id: view.id.0,
            code: view.code,
            name: view.name,
            brand: BrandName { id: view.brand.0, name: view.brand_name },
            price: view.price.into(),
            stock: view.stock,
            status: view.status.into(),
            purchase_limit: view.purchase_limit.map(Into::into),
            like_count: view.like_count,
            view_count: view.view_count,
            created_at: view.created_at.into(),
        }
    }
}

impl From<ProductView> for ProductDetailResponse {
    fn from(mut view: ProductView) -> Self {
        let description = std::mem::take(&mut view.description);
        let updated_at = view.updated_at.into();
        Self { product: view.into(), description, updated_at }
    }
}

/// Every sort is a list of its own: a cursor of one is none of another.
fn tag(sort: ProductSort) -> &'static str {
    match sort {
        ProductSort::Latest => "products:LATEST",
        ProductSort::PriceAsc => "products:PRICE_ASC",
        ProductSort::PriceDesc => "products:PRICE_DESC",
        ProductSort::LikesDesc => "products:LIKES_DESC",
        ProductSort::Name => "products:NAME",
    }
}

fn position(sort: ProductSort, cursor: Option<&str>) -> Result<Option<ProductPosition>, Problem> {
    if sort == ProductSort::Name {
        let key = after::<(String, i64)>(tag(sort), cursor)?;
        return Ok(key.map(|(name, id)| ProductPosition::Text(name, ProductId(id))));
    }
    let key = after::<(i64, i64)>(tag(sort), cursor)?;
    Ok(key.map(|(number, id)| ProductPosition::Number(number, ProductId(id))))
}

/// A page of products that were read in the order of `sort`.
pub fn product_page(views: Vec<ProductView>, sort: ProductSort, limit: PageLimit) -> Page<ProductResponse> {
    let list = (tag(sort), limit);
    let by_number = |number: fn(&ProductView) -> i64| move |view: &ProductView| (number(view), view.id.0);
    match sort {
        ProductSort::Latest => {
            page(list, views, by_number(|view| view.created_at.as_micros()), ProductResponse::from)
        }
        ProductSort::PriceAsc | ProductSort::PriceDesc => {
            page(list, views, by_number(|view| view.price.won()), ProductResponse::from)
        }
        ProductSort::LikesDesc => page(list, views, by_number(|view| view.like_count), ProductResponse::from),
        ProductSort::Name => {
            page(list, views, |view| (view.name.to_lowercase(), view.id.0), ProductResponse::from)
        }
    }
}
