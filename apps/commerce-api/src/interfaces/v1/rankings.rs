//! Boards of products, with their names and prices, and where one product stands.

use axum::extract::State;
use axum::response::Response;
use commerce_api_application::ports::{BoardType, Place};
use commerce_api_application::{RankedProduct, Ranks};
use commerce_api_domain::ProductId;
use commerce_http::{Json, PageLimit, Path, Query, whole_number};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::names::{self, ProductStatus};
use super::{Routes, Shared};
use crate::interfaces::failure::{Answered, product_not_found};
use crate::interfaces::input::{Day, Id, Won};
use crate::interfaces::problems::{Always, BadParameter, NumberInPath, problems};
use crate::interfaces::public;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(ranking)).routes(routes!(product_ranks))
}

/// Number of a page.
#[derive(Clone, Copy)]
struct PageNumber(u32);

impl PageNumber {
    const MAX: u32 = 1_000_000;
}

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = whole_number(deserializer, 1..=i64::from(Self::MAX))?;
        Ok(Self(u32::try_from(number).unwrap_or(Self::MAX)))
    }
}

/// Which page of which board.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RankingQuery {
    /// Length of the period, `DAILY` where it is left out; weeks and months are ranked after every day, by the days that
    /// are over.
    #[param(inline)]
    period: Option<names::BoardPeriod>,
    /// What is ranked by, `ALL` where it is left out.
    #[serde(rename = "type")]
    #[param(inline)]
    board: Option<names::BoardType>,
    /// Any day of the period, `yyyyMMdd`; today where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$", example = "20261123")]
    date: Option<Day>,
    /// Page, from 1.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000_000, default = 1)]
    page: PageNumber,
    /// Items of the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    size: PageLimit,
}

/// A product on a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RankedProductResponse {
    /// 1 for the first.
    #[schema(example = 1)]
    rank: i64,
    /// Rank in the period before; null where it had none.
    #[schema(required = true, example = 3)]
    previous_rank: Option<i64>,
    /// Ranks won since the period before, negative where they were lost; null where it had none.
    #[schema(required = true, example = 2)]
    change: Option<i64>,
    /// In tenths on board `ALL`, a count on the others.
    #[schema(example = 13)]
    score: i64,
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    /// Its name.
    #[schema(example = "Boseong green tea")]
    name: String,
    /// Its price.
    price: Won,
    /// Whether it is sold.
    status: ProductStatus,
}

impl From<RankedProduct> for RankedProductResponse {
    fn from(RankedProduct { place, product }: RankedProduct) -> Self {
        Self {
            rank: place.rank,
            previous_rank: place.previous_rank,
            change: place.change(),
            score: place.score,
            product_id: product.id.0,
            name: product.name,
            price: product.price.into(),
            status: product.status.into(),
        }
    }
}

/// A page of a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RankingResponse {
    /// Length of the period.
    period: names::BoardPeriod,
    /// What is ranked by.
    #[serde(rename = "type")]
    board: names::BoardType,
    /// The day that was asked for.
    date: Day,
    /// Whether the period is over and was ranked then. Of a week or month that is not, the days that are over count.
    complete: bool,
    /// Page, from 1.
    page: u32,
    /// Items of a full page.
    size: u32,
    /// Products on the board in all.
    #[schema(minimum = 0, example = 120)]
    total: i64,
    /// The products, best first; one that is no more in the catalogue is left out.
    items: Vec<RankedProductResponse>,
}

/// A board.
#[utoipa::path(
    get, path = "/api/v1/rankings", operation_id = "getRanking", tag = "rankings",
    params(RankingQuery),
    responses((status = 200, description = "A page", body = RankingResponse), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn ranking(State(api): State<Shared>, Query(query): Query<RankingQuery>) -> Answered<Response> {
    let RankingQuery { period, board, date, page: PageNumber(page), size } = query;
    let period = period.unwrap_or(names::BoardPeriod::Daily);
    let board = board.unwrap_or(names::BoardType::All);
    let asked = (period.into(), board.into());
    let found = api.rankings.page(asked, date.map(Day::date), page, size.get()).await?;
    Ok(public(Json(RankingResponse {
        period,
        board,
        date: found.day.into(),
        complete: found.complete,
        page,
        size: size.get(),
        total: found.total,
        items: found.products.into_iter().map(Into::into).collect(),
    })))
}

/// Which boards.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RanksQuery {
    /// Length of the period, `DAILY` where it is left out.
    #[param(inline)]
    period: Option<names::BoardPeriod>,
    /// Any day of the period, `yyyyMMdd`; today where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$", example = "20261123")]
    date: Option<Day>,
}

/// A product's place on a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlaceResponse {
    /// 1 for the first.
    #[schema(example = 1)]
    rank: i64,
    /// Rank in the period before; null where it had none.
    #[schema(required = true, example = 3)]
    previous_rank: Option<i64>,
    /// Ranks won since the period before, negative where they were lost; null where it had none.
    #[schema(required = true, example = 2)]
    change: Option<i64>,
    /// In tenths on board `all`, a count on the others.
    #[schema(example = 13)]
    score: i64,
}

impl From<Place> for PlaceResponse {
    fn from(place: Place) -> Self {
        let change = place.change();
        Self { rank: place.rank, previous_rank: place.previous_rank, change, score: place.score }
    }
}

/// A product's places; null where it is not on a board.
#[derive(Serialize, ToSchema, Default)]
pub struct RanksResponse {
    /// Of everything, weighted.
    #[schema(required = true)]
    all: Option<PlaceResponse>,
    /// By likes.
    #[schema(required = true)]
    like: Option<PlaceResponse>,
    /// By views.
    #[schema(required = true)]
    view: Option<PlaceResponse>,
    /// By orders.
    #[schema(required = true)]
    order: Option<PlaceResponse>,
}

impl From<Ranks> for RanksResponse {
    fn from(ranks: Ranks) -> Self {
        let mut shown = Self::default();
        for (board, place) in ranks.places {
            let slot = match board {
                BoardType::All => &mut shown.all,
                BoardType::Like => &mut shown.like,
                BoardType::View => &mut shown.view,
                BoardType::Order => &mut shown.order,
            };
            *slot = Some(place.into());
        }
        shown
    }
}

/// A product's places on the boards of a period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductRanksResponse {
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    /// Length of the period.
    period: names::BoardPeriod,
    /// The day that was asked for.
    date: Day,
    /// Its places.
    ranks: RanksResponse,
}

problems! {
    /// Of the places of a product.
    NoProduct { 404 => "PRODUCT_NOT_FOUND" }
}

/// Where one product stands.
#[utoipa::path(
    get, path = "/api/v1/rankings/products/{id}", operation_id = "getProductRanks", tag = "rankings",
    params(NumberInPath, RanksQuery),
    responses(
        (status = 200, description = "Its places", body = ProductRanksResponse),
        BadParameter, NoProduct, Always
    ),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn product_ranks(
    State(api): State<Shared>,
    Path(id): Path<Id>,
    Query(query): Query<RanksQuery>,
) -> Answered<Response> {
    let period = query.period.unwrap_or(names::BoardPeriod::Daily);
    let found =
        api.rankings.of_product(period.into(), query.date.map(Day::date), ProductId(id.get())).await?;
    let found = found.ok_or_else(product_not_found)?;
    let date = found.day.into();
    Ok(public(Json(ProductRanksResponse { product_id: id.get(), period, date, ranks: found.into() })))
}
