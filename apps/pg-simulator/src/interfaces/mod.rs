//! The gateway over HTTP: the protocol with its envelope, and the operator's surface with the platform's problems.

mod admin;
mod envelope;
mod extensions;
mod payments;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use commerce_contracts::gateway::MERCHANT_HEADER;
use commerce_http::extract::BODY_BYTES_MAX;
use commerce_http::track::track;
use commerce_http::{BodyLimit, EntropySource, Problem};
use commerce_runtime::fill_random;
use commerce_telemetry::guard::{Access, DetailsGuard};
use tokio::sync::watch;

use crate::decider::Decider;
use crate::gateway::Gateway;
use crate::recorder::Recorder;
use envelope::Refused;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct App {
    pub gateway: Arc<Gateway>,
    pub recorder: Recorder,
    pub decider: Arc<Decider>,
    /// Who may use the operator's surface.
    pub guard: Arc<dyn DetailsGuard>,
    pub stopping: watch::Receiver<bool>,
}

struct OsEntropy;

impl EntropySource for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        fill_random(bytes);
    }
}

/// Every route. `actuator` decides for itself who may call it.
pub(crate) fn router(app: App, actuator: Router) -> Router {
    let entropy: Arc<dyn EntropySource> = Arc::new(OsEntropy);
    let operator = Router::new()
        .route("/admin/faults", get(admin::faults).merge(put(admin::replace_faults)))
        .route("/admin/transactions", get(admin::transactions))
        .route("/admin/summary", get(admin::summary))
        .route_layer(from_fn_with_state(app.clone(), operators_only))
        .with_state(app.clone())
        .merge(actuator)
        .layer(axum::Extension(BodyLimit(BODY_BYTES_MAX)))
        .layer(from_fn_with_state(entropy, track));
    let protocol = Router::new()
        .route("/api/v1/payments", post(payments::request).get(payments::list))
        .route("/api/v1/payments/{transaction_key}", get(payments::find))
        .route("/api/v1/payments/{transaction_key}/cancel", post(extensions::cancel))
        .route("/api/v1/references/{order_id}/void", post(extensions::void))
        .route("/api/v1/settlements", get(extensions::settlements))
        .route_layer(from_fn_with_state(app.clone(), merchants_only))
        .route_layer(from_fn(count))
        .method_not_allowed_fallback(async || Refused::MethodNotAllowed.into_response())
        .fallback(async || Refused::no_route().into_response())
        .layer(DefaultBodyLimit::max(payments::BODY_BYTES_MAX))
        .with_state(app);
    protocol.merge(operator)
}

async fn merchants_only(State(app): State<App>, request: Request, next: Next) -> Response {
    let merchant = request.headers().get(MERCHANT_HEADER).map(http::HeaderValue::as_bytes);
    match merchant {
        Some(merchant) if merchant == app.gateway.merchant.as_bytes() => next.run(request).await,
        Some(_) => Refused::bad_request("the header X-USER-ID names no merchant that the gateway knows")
            .into_response(),
        None => {
            Refused::bad_request("the header X-USER-ID is missing; it names the merchant").into_response()
        }
    }
}

async fn count(path: MatchedPath, request: Request, next: Next) -> Response {
    let method = if request.method() == http::Method::POST { "POST" } else { "GET" };
    let response = next.run(request).await;
    metrics::counter!(
        "simulator_calls_total",
        "method" => method,
        "call" => path.as_str().to_owned(),
        "status" => response.status().as_str().to_owned(),
    )
    .increment(1);
    response
}

async fn operators_only(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let refusal = match app.guard.access(&parts).await {
        Access::Granted => return next.run(Request::from_parts(parts, body)).await,
        Access::Denied => Problem::forbidden(),
        Access::Anonymous => Problem::authentication_required(),
    };
    refusal
        .detail("this endpoint is for the admin token, and for callers on the same machine")
        .into_response()
}
