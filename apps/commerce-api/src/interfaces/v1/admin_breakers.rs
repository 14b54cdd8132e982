//! Circuit breakers of this node, for those who run the shop.

use axum::extract::State;
use commerce_api_application::ports::{BreakerSwitch, BreakerView};
use commerce_http::{Caller, Json, Page, Path, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Routes, Shared};
use crate::interfaces::auth;
use crate::interfaces::failure::Answered;
use crate::interfaces::input::{Code, Reason};
use crate::interfaces::problems::{AdminOnly, Always, BadBody, problems};

pub fn routes() -> Routes {
    Routes::new().routes(routes!(list_breakers)).routes(routes!(switch_breaker))
}

/// A circuit breaker of the node that answers; other nodes have their own.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BreakerResponse {
    /// Its name.
    #[schema(example = "gateway-charge")]
    name: String,
    /// `CLOSED`, `OPEN`, `HALF_OPEN` or `FORCED_OPEN`.
    #[schema(example = "CLOSED")]
    state: &'static str,
    /// Percent of calls that failed; `null` while there are too few for a verdict.
    #[schema(example = 20.0)]
    failure_rate: Option<f64>,
    /// Percent of calls that were slow; as above.
    #[schema(example = 0.0)]
    slow_call_rate: Option<f64>,
    /// Percent of failed calls that opens it.
    #[schema(example = 50)]
    failure_rate_threshold: u8,
    /// Percent of slow calls that opens it.
    #[schema(example = 50)]
    slow_call_rate_threshold: u8,
    /// Calls that it judges by.
    #[schema(example = 10)]
    buffered_calls: u32,
    /// Of those, failed.
    #[schema(example = 2)]
    failed_calls: u32,
    /// Of those, slow.
    #[schema(example = 0)]
    slow_calls: u32,
    /// Calls that it refused since the node started.
    #[schema(example = 0)]
    not_permitted_calls: u64,
    /// Milliseconds for which it still refuses everything; `null` where time alone does not end it.
    #[schema(example = 10_000)]
    open_for_ms: Option<u64>,
}

impl From<BreakerView> for BreakerResponse {
    fn from(view: BreakerView) -> Self {
        Self {
            name: view.name,
            state: view.state,
            failure_rate: view.failure_rate,
            slow_call_rate: view.slow_call_rate,
            failure_rate_threshold: view.failure_rate_threshold,
            slow_call_rate_threshold: view.slow_call_rate_threshold,
            buffered_calls: view.buffered_calls,
            failed_calls: view.failed_calls,
            slow_calls: view.slow_calls,
            not_permitted_calls: view.not_permitted_calls,
            open_for_ms: view.open_for.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// What to do to a circuit breaker.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchRequest {
    /// How to switch it.
    action: SwitchAction,
    /// For the audit log.
    reason: Reason,
}

/// How to switch a circuit breaker.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SwitchAction {
    /// It refuses every call until somebody closes or resets it, or the node restarts.
    ForceOpen,
    /// It lets calls through again.
    Close,
    /// It is closed and forgets what it counted, from whatever state.
    Reset,
}

impl From<SwitchAction> for BreakerSwitch {
    fn from(action: SwitchAction) -> Self {
        match action {
            SwitchAction::ForceOpen => Self::ForceOpen,
            SwitchAction::Close => Self::Close,
            SwitchAction::Reset => Self::Reset,
        }
    }
}

/// The name in a path.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its document is used")]
struct NameInPath {
    /// Which one.
    #[param(example = "gateway-charge", max_length = 50)]
    name: String,
}

problems! {
    /// Where no circuit breaker has that name.
    NoBreaker { 404 => "BREAKER_NOT_FOUND" }
}

/// Circuit breakers of the node that answers, by name; all of them are one page.
#[utoipa::path(
    get, path = "/api/v1/admin/breakers", operation_id = "listBreakers", tag = "admin",
    responses((status = 200, description = "All", body = Page<BreakerResponse>), AdminOnly, Always),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn list_breakers(State(api): State<Shared>) -> Json<Page<BreakerResponse>> {
    let items = api.breakers.all().into_iter().map(BreakerResponse::from).collect();
    Json(Page { items, next_cursor: None })
}

/// Switches a circuit breaker of the node that answers; other nodes have their own. Once more changes nothing more, so it
/// needs no `Idempotency-Key`. It goes to the audit log.
#[utoipa::path(
    post, path = "/api/v1/admin/breakers/{name}", operation_id = "switchBreaker", tag = "admin",
    params(NameInPath), request_body = SwitchRequest,
    responses(
        (status = 200, description = "The breaker as it is now", body = BreakerResponse),
        BadBody, AdminOnly, NoBreaker, Always
    ),
    security(("bearer" = [])),
    extensions(("x-policy" = json!("ADMIN")))
)]
async fn switch_breaker(
    State(api): State<Shared>,
    Caller(caller): Caller,
    Path(name): Path<Code>,
    Json(request): Json<SwitchRequest>,
) -> Answered<Json<BreakerResponse>> {
    let (name, reason) = (name.into_string(), request.reason.into_string());
    let switched = api.breakers.switch(&auth::caller(caller), &name, request.action.into(), &reason).await?;
    let breaker = switched.ok_or_else(|| {
        let detail = "no circuit breaker of this node has this name";
        Problem::not_found("BREAKER_NOT_FOUND", "The circuit breaker does not exist", detail)
    })?;
    Ok(Json(breaker.into()))
}
