use axum::extract::State;
use commerce_http::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::application::{PartitionProgress, Status};
use crate::interfaces::failure::Answered;
use crate::interfaces::problems::{AdminOnly, Always};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(lag))
}

/// How the consumer is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ConsumerStatus {
    /// Not a member of its group yet.
    Starting,
    /// It counts what comes.
    Running,
    /// Something is not there for now; it tries again.
    Retrying,
    /// It stopped by itself.
    Halted,
    /// It was told to stop.
    Stopped,
}

/// How far a partition is counted.
#[derive(Serialize, ToSchema)]
struct PartitionResponse {
    /// The topic.
    topic: String,
    /// The partition.
    partition: i32,
    /// Offset of the next record that will be published.
    end: i64,
    /// Offset of the next record to count.
    next: i64,
    /// Records in between.
    lag: i64,
}

impl From<PartitionProgress> for PartitionResponse {
    fn from(progress: PartitionProgress) -> Self {
        let PartitionProgress { topic, partition, end, next, lag, .. } = progress;
        Self { topic, partition, end, next, lag }
    }
}

/// How far counting is behind.
#[derive(Serialize, ToSchema)]
struct LagResponse {
    /// How the consumer is.
    consumer: ConsumerStatus,
    /// Why, where it does not run.
    #[schema(required = true)]
    reason: Option<String>,
    /// Records that are not counted yet.
    lag: i64,
    /// Every partition.
    partitions: Vec<PartitionResponse>,
}

/// How far counting is behind, and how the consumer is.
#[utoipa::path(
    get, path = "/api/v1/lag", operation_id = "getLag", tag = "operations",
    responses((status = 200, description = "The lag", body = LagResponse), AdminOnly, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn lag(State(api): State<Shared>) -> Answered<Json<LagResponse>> {
    let progress = api.lag.progress().await?;
    let (consumer, reason) = match api.consumer.status() {
        Status::Starting => (ConsumerStatus::Starting, None),
        Status::Running => (ConsumerStatus::Running, None),
        Status::Retrying(reason) => (ConsumerStatus::Retrying, Some(reason)),
        Status::Halted(reason) => (ConsumerStatus::Halted, Some(reason)),
        Status::Stopped => (ConsumerStatus::Stopped, None),
    };
    Ok(Json(LagResponse {
        consumer,
        reason,
        lag: progress.iter().map(|partition| partition.lag).sum(),
        partitions: progress.into_iter().map(Into::into).collect(),
    }))
}
