use axum::extract::State;
use axum::response::Response;
use chrono::Days;
use commerce_collector_domain::Metrics;
use commerce_http::{Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{Day, ProductId};
use crate::interfaces::problems::{Always, BadParameter, ProductInPath};
use crate::interfaces::public;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(product_metrics))
}

/// Days that can be asked for at once.
const DAYS_MAX: i64 = 366;
/// Days before the last one where the first is left out.
const DAYS_BACK: Days = Days::new(29);

/// Which days.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DaysQuery {
    /// The first day, `yyyyMMdd`; 29 days before the last where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{8}$", example = "20261101")]
    from: Option<Day>,
    /// The last day, `yyyyMMdd`, at most 365 days after the first; today where it is left out.
    #[param(value_type = Option<String>, pattern = "^[0-9]{8}$", example = "20261123")]
    to: Option<Day>,
}

/// What was counted. What is taken back counts on the day that it is taken back from, so a day may be negative.
#[derive(Serialize, ToSchema)]
struct MetricsResponse {
    /// Views.
    views: i64,
    /// Likes added less likes removed.
    likes: i64,
    /// Paid orders that contain it, less those cancelled.
    orders: i64,
    /// Pieces sold.
    quantity: i64,
    /// Pieces times prices, before discounts, won.
    amount: i64,
}

impl From<Metrics> for MetricsResponse {
    fn from(Metrics { views, likes, orders, quantity, amount }: Metrics) -> Self {
        Self { views, likes, orders, quantity, amount }
    }
}

/// What was counted on a day.
#[derive(Serialize, ToSchema)]
struct DayResponse {
    /// Business day.
    date: Day,
    #[serde(flatten)]
    metrics: MetricsResponse,
}

/// What was counted of a product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductMetricsResponse {
    /// Which product.
    #[schema(example = 7)]
    product_id: i64,
    /// The first day.
    from: Day,
    /// The last day.
    to: Day,
    /// Of all days that there ever were.
    total: MetricsResponse,
    /// The days on which something was counted, in order.
    items: Vec<DayResponse>,
}

/// What was counted of a product, by day.
#[utoipa::path(
    get, path = "/api/v1/metrics/products/{id}", operation_id = "getProductMetrics", tag = "metrics",
    params(ProductInPath, DaysQuery),
    responses((status = 200, description = "Its metrics", body = ProductMetricsResponse), BadParameter, Always),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn product_metrics(
    State(api): State<Shared>,
    Path(ProductId(product_id)): Path<ProductId>,
    Query(query): Query<DaysQuery>,
) -> Answered<Response> {
    let to = query.to.map_or_else(|| api.rankings.today(), |Day(day)| day);
    let from = query.from.map_or_else(|| to.checked_sub_days(DAYS_BACK).unwrap_or(to), |Day(day)| day);
    if from > to {
        return Err(Problem::invalid_parameter("from", "expected a day that is not after `to`").into());
    }
    if (to - from).num_days() >= DAYS_MAX {
        return Err(Problem::invalid_parameter("from", "expected at most 365 days before `to`").into());
    }
    let (total, days) = api.queries.metrics(product_id, from, to).await?;
    let day = |(day, metrics): (_, Metrics)| DayResponse { date: Day(day), metrics: metrics.into() };
    Ok(public(Json(ProductMetricsResponse {
        product_id,
        from: Day(from),
        to: Day(to),
        total: total.into(),
        items: days.into_iter().map(day).collect(),
    })))
}
