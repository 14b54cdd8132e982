use axum::extract::State;
use axum::response::Response;
use commerce_boards::{self as boards, Place};
use commerce_http::{Json, PageLimit, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{Day, PageNumber, ProductId};
use crate::interfaces::problems::{Always, BadParameter, ProductInPath};
use crate::interfaces::public;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(ranking)).routes(routes!(product_ranks))
}

/// How long a board's period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Period {
    /// A business day.
    #[default]
    Daily,
    /// An ISO week.
    Weekly,
    /// A month.
    Monthly,
}

impl From<Period> for boards::PeriodKind {
    fn from(period: Period) -> Self {
        match period {
            Period::Daily => Self::Daily,
            Period::Weekly => Self::Weekly,
            Period::Monthly => Self::Monthly,
        }
    }
}

/// What a board ranks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum BoardType {
    /// Views, likes and orders, weighted; scores in tenths.
    #[default]
    All,
    /// Likes.
    Like,
    /// Views.
    View,
    /// Paid orders.
    Order,
}

impl From<BoardType> for boards::Board {
    fn from(board: BoardType) -> Self {
        match board {
            BoardType::All => Self::All,
            BoardType::Like => Self::Like,
            BoardType::View => Self::View,
            BoardType::Order => Self::Order,
        }
    }
}

/// Which page of which board.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RankingQuery {
    /// Length of the period; weeks and months are ranked after every day, by the days that are over.
    #[serde(default)]
    #[param(inline, value_type = Option<Period>, default = "DAILY")]
    period: Period,
    /// What is ranked by.
    #[serde(default, rename = "type")]
    #[param(inline, value_type = Option<BoardType>, default = "ALL")]
    board: BoardType,
    /// Any day of the period, `yyyyMMdd`; today where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{8}$", example = "20261123")]
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

/// A product's place on a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlaceResponse {
    /// 1 for the first.
    #[schema(example = 1)]
    rank: i64,
    /// In tenths on board `ALL`, a count on the others.
    #[schema(example = 13)]
    score: i64,
    /// Rank in the period before; null where it had none.
    #[schema(required = true, example = 3)]
    previous_rank: Option<i64>,
    /// Ranks won since the period before, negative where they were lost; null where it had none.
    #[schema(required = true, example = 2)]
    change: Option<i64>,
}

impl From<&Place> for PlaceResponse {
    fn from(place: &Place) -> Self {
        let change = place.change();
        Self { rank: place.rank, score: place.score, previous_rank: place.previous_rank, change }
    }
}

/// A product on a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RankedProduct {
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    #[serde(flatten)]
    place: PlaceResponse,
}

/// A page of a board.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RankingResponse {
    /// Length of the period.
    period: Period,
    /// What is ranked by.
    #[serde(rename = "type")]
    board: BoardType,
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
    /// The products, best first.
    items: Vec<RankedProduct>,
}

/// A board: ids and scores.
#[utoipa::path(
    get, path = "/api/v1/rankings", operation_id = "getRanking", tag = "rankings",
    params(RankingQuery),
    responses((status = 200, description = "A page", body = RankingResponse), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn ranking(State(api): State<Shared>, Query(query): Query<RankingQuery>) -> Answered<Response> {
    let RankingQuery { period, board, date, page: PageNumber(page), size } = query;
    let day = date.map_or_else(|| api.rankings.today(), |Day(day)| day);
    let found = api.rankings.page(period.into(), board.into(), day, page, size.get()).await?;
    let item = |place: &Place| RankedProduct { product_id: place.product, place: place.into() };
    Ok(public(Json(RankingResponse {
        period,
        board,
        date: Day(day),
        complete: found.complete,
        page,
        size: size.get(),
        total: found.total,
        items: found.places.iter().map(item).collect(),
    })))
}

/// Which boards.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RanksQuery {
    /// Length of the period.
    #[serde(default)]
    #[param(inline, value_type = Option<Period>, default = "DAILY")]
    period: Period,
    /// Any day of the period, `yyyyMMdd`; today where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{8}$", example = "20261123")]
    date: Option<Day>,
}

/// A product's places; null where it is not on a board.
#[derive(Serialize, ToSchema, Default)]
struct RanksResponse {
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

/// A product's places on the boards of a period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductRanksResponse {
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    /// Length of the period.
    period: Period,
    /// The day that was asked for.
    date: Day,
    /// Its places.
    ranks: RanksResponse,
}

/// Where one product stands.
#[utoipa::path(
    get, path = "/api/v1/rankings/products/{id}", operation_id = "getProductRanks", tag = "rankings",
    params(ProductInPath, RanksQuery),
    responses((status = 200, description = "Its places", body = ProductRanksResponse), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn product_ranks(
    State(api): State<Shared>,
    Path(ProductId(product_id)): Path<ProductId>,
    Query(RanksQuery { period, date }): Query<RanksQuery>,
) -> Answered<Response> {
    let day = date.map_or_else(|| api.rankings.today(), |Day(day)| day);
    let places = api.rankings.places(period.into(), day, product_id).await?;
    let mut ranks = RanksResponse::default();
    for (board, place) in places.iter() {
        let shown = match board {
            boards::Board::All => &mut ranks.all,
            boards::Board::Like => &mut ranks.like,
            boards::Board::View => &mut ranks.view,
            boards::Board::Order => &mut ranks.order,
        };
        *shown = Some(place.into());
    }
    Ok(public(Json(ProductRanksResponse { product_id, period, date: Day(day), ranks })))
}
