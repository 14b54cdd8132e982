use axum::extract::State;
use commerce_http::{Caller, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::Day;
use crate::interfaces::problems::{AdminOnly, Always, BadJson};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(rebuild_boards))
}

/// Which boards.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RebuildBoardsRequest {
    /// The business day, `yyyyMMdd`.
    #[schema(value_type = String, pattern = "^[0-9]{8}$", example = "20261123")]
    date: Day,
}

/// What was ranked.
#[derive(Serialize, ToSchema)]
struct RebuiltBoardsResponse {
    /// The business day.
    date: Day,
}

/// Ranks the boards of a day anew from its metrics.
#[utoipa::path(
    post, path = "/api/v1/boards/rebuild", operation_id = "rebuildBoards", tag = "operations",
    request_body = RebuildBoardsRequest,
    responses(
        (status = 200, description = "They are ranked", body = RebuiltBoardsResponse), BadJson, AdminOnly, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn rebuild_boards(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Json(RebuildBoardsRequest { date: Day(day) }): Json<RebuildBoardsRequest>,
) -> Answered<Json<RebuiltBoardsResponse>> {
    api.boards.rank_day(day, api.weights).await?;
    tracing::info!(user = caller.user_id, %day, "an administrator had boards ranked");
    Ok(Json(RebuiltBoardsResponse { date: Day(day) }))
}
