//! Demo mode.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_api_application::{DemoBuyer, DemoError};
use commerce_api_domain::Money;
use commerce_http::{Caller, Json, Problem};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::{Answered, Failure};
use crate::interfaces::input::{BuyerCount, Time, Won};
use crate::interfaces::problems::{Always, BadBody, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(make_buyers))
}

/// Buyers to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BuyersRequest {
    /// How many.
    count: BuyerCount,
    /// Points of each; 0 where it is left out.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64, example = 1_000_000)]
    points: Option<Won>,
}

/// Buyers just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BuyersResponse {
    /// Who, with an open session each.
    buyers: Vec<BuyerResponse>,
    /// When their sessions end unless they are used before.
    expires_at: Time,
}

/// A buyer just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BuyerResponse {
    /// Which account.
    #[schema(example = 7)]
    user_id: i64,
    /// What to send as `Authorization: Bearer`.
    #[schema(example = "q5uM1cYwEoJ0mJv3m2y8bqk5cK0o0f0w7b1yZr2Q4xk")]
    token: String,
}

impl From<DemoBuyer> for BuyerResponse {
    fn from(buyer: DemoBuyer) -> Self {
        Self { user_id: buyer.user.0, token: buyer.token }
    }
}

problems! {
    /// Who may not, and what is too much.
    DemoProblems { 403 => "NOT_DEMO_MODE, ACCESS_DENIED", 422 => "TOO_MANY_POINTS" }
}

/// Makes many buyers with points and sessions at once, for load.
#[utoipa::path(
    post, path = "/api/v1/demo/buyers", operation_id = "makeDemoBuyers", tag = "demo",
    request_body = BuyersRequest,
    responses((status = 201, description = "The buyers", body = BuyersResponse), BadBody, DemoProblems, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn make_buyers(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(request): Json<BuyersRequest>,
) -> Answered<Response> {
    let count = usize::try_from(request.count.get()).map_err(|_| Problem::internal())?;
    let points = request.points.map_or(Money::ZERO, Won::money);
    let made = api.admin.demo_buyers(&auth::caller(caller), count, points).await;
    let (buyers, expires_at) = made.map_err(|error| match error {
        DemoError::NotDemoMode => Failure::from(
            Problem::new(StatusCode::FORBIDDEN, "NOT_DEMO_MODE", "This is not a demonstration")
                .detail("demonstration buyers exist in demo mode only"),
        ),
        DemoError::TooManyPoints { max } => Failure::from(
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "TOO_MANY_POINTS",
                "A buyer cannot have so many points",
            )
            .detail(format!("a demonstration's buyer has at most {max} points"))
            .field("/points", format!("expected at most {max}"))
            .extra("max", max.won()),
        ),
        DemoError::Storage(error) => error.into(),
    })?;
    let buyers = buyers.into_iter().map(Into::into).collect();
    let response = BuyersResponse { buyers, expires_at: expires_at.into() };
    Ok((StatusCode::CREATED, Json(response)).into_response())
}
