//! Logging in and out.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use commerce_api_application::{LogIn, OpenedSession};
use commerce_http::limit::RateLimits;
use commerce_http::{BearerToken, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::names::Role;
use super::users::account_failure;
use super::{Routes, Shared};
use crate::interfaces::failure::Answered;
use crate::interfaces::input::Time;
use crate::interfaces::problems::{Always, BadBody, RATE_LIMITED, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(log_in)).routes(routes!(log_out))
}

/// A log-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogInRequest {
    /// Login id.
    #[schema(example = "shopper1")]
    login_id: String,
    /// Password.
    #[schema(format = Password, example = "correct horse battery")]
    password: String,
}

/// A session just opened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionResponse {
    /// What to send as `Authorization: Bearer`; shown this once.
    #[schema(example = "q5uM1cYwEoJ0mJv3m2y8bqk5cK0o0f0w7b1yZr2Q4xk")]
    token: String,
    /// When the session ends unless it is used before.
    expires_at: Time,
    /// What the user may do.
    role: Role,
    /// Whose session it is.
    #[schema(example = 7)]
    user_id: i64,
}

impl From<OpenedSession> for SessionResponse {
    fn from(session: OpenedSession) -> Self {
        let OpenedSession { token, user, role, expires_at } = session;
        Self { token, expires_at: expires_at.into(), role: role.into(), user_id: user.0 }
    }
}

problems! {
    /// Of a log-in.
    LogInProblems {
        401 => "BAD_CREDENTIALS, INVALID_TOKEN",
        429 => RATE_LIMITED,
        500 => "INTERNAL_ERROR",
        503 => "STORAGE_UNAVAILABLE, SESSIONS_UNAVAILABLE",
    }
}

/// Logs in.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "logIn", tag = "sessions",
    request_body = LogInRequest,
    responses((status = 201, description = "The session", body = SessionResponse), BadBody, LogInProblems),
    security((), ("bearer" = [])),
    extensions(("x-policy" = json!("ANYONE")))
)]
async fn log_in(
    State(api): State<Shared>,
    limits: Option<Extension<Arc<RateLimits>>>,
    Json(request): Json<LogInRequest>,
) -> Answered {
    let LogInRequest { login_id, password } = request;
    // Before anything is looked up: the refusal does not depend on whether there is such an account.
    if let Some(Extension(limits)) = limits {
        limits.log_in(&login_id).await?;
    }
    let session = api.accounts.log_in(LogIn { login_id, password }).await.map_err(account_failure)?;
    Ok((StatusCode::CREATED, Json(SessionResponse::from(session))).into_response())
}

/// Logs out: the session ends at once.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", operation_id = "logOut", tag = "sessions",
    responses((status = 204, description = "The session is over"), Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("OWNER")))
)]
async fn log_out(State(api): State<Shared>, BearerToken(token): BearerToken) -> Answered {
    api.accounts.log_out(&token).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
