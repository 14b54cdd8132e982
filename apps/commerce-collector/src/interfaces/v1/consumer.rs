use axum::extract::State;
use axum::response::{IntoResponse, Response};
use commerce_http::{Caller, Problem};
use http::StatusCode;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::problems::{AdminOnly, Always, NotHalted};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(resume))
}

/// Has a consumer that halted go on where it stood. What it halted for, if nothing was done about it, halts it again.
#[utoipa::path(
    post, path = "/api/v1/consumer/resume", operation_id = "resumeConsumer", tag = "operations",
    responses((status = 204, description = "It goes on"), AdminOnly, NotHalted, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn resume(State(api): State<Shared>, Caller(caller): Caller) -> Answered<Response> {
    if api.consumer.resume() {
        tracing::warn!(user = caller.user_id, "an administrator resumes the consumer");
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let title = "The consumer has not halted";
    Err(Problem::new(StatusCode::CONFLICT, "CONSUMER_NOT_HALTED", title).into())
}
