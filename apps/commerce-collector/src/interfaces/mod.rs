//! The HTTP interface: rankings and metrics for everybody, dead letters and lag for operators.

mod docs;
mod failure;
mod input;
mod mask;
mod problems;
mod v1;

use std::sync::Arc;

use axum::Extension;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use commerce_collector_domain::Weights;
use commerce_http::extract::BODY_BYTES_MAX;
use commerce_http::policy::enforce;
use commerce_http::track::track;
use commerce_http::{AccessGate, Authenticator, BodyLimit, EntropySource, PolicyTable, Problem};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use utoipa::openapi::OpenApi;

pub use docs::{DOCUMENT_PATH, EVENTS_PATH, PAGE_PATH};
pub use mask::Raw;

use crate::application::ports::{BoardStore, Queries};
use crate::application::{ConsumerState, DeadLetterDesk, Jobs, LagWatch, Rankings};

/// The use cases behind the interface.
#[derive(Clone)]
pub struct Facades {
    /// Boards.
    pub rankings: Rankings,
    /// Metrics.
    pub queries: Arc<dyn Queries>,
    /// Ranks days.
    pub boards: Arc<dyn BoardStore>,
    /// What views, likes and orders are worth.
    pub weights: Weights,
    /// What was set aside.
    pub dead_letters: DeadLetterDesk,
    /// Jobs.
    pub jobs: Jobs,
    /// How far counting is behind.
    pub lag: LagWatch,
    /// How the consumer is.
    pub consumer: ConsumerState,
    /// Whether the document and the page that shows it are served.
    pub docs: bool,
}

/// Routes that do not say who may call them.
#[derive(Debug, thiserror::Error)]
#[error("routes without a policy: {}", .0.join("; "))]
pub struct Unguarded(Vec<String>);

/// The `OpenAPI` document of every route.
pub fn openapi() -> OpenApi {
    v1::router().into_openapi()
}

/// Every route, held to its policy, traced, measured and bounded, and the document of them. `operator` decides for
/// itself who may call it; the document does not have it.
pub fn router(
    facades: Facades,
    entropy: Arc<dyn EntropySource>,
    authenticator: Arc<dyn Authenticator>,
    operator: axum::Router,
) -> Result<axum::Router, Unguarded> {
    let (router, document) = v1::router().split_for_parts();
    let table = PolicyTable::from_openapi(&document).map_err(Unguarded)?;
    let gate = Arc::new(AccessGate::new(table, authenticator));
    let serves_docs = facades.docs;
    let mut router = router
        .with_state(Arc::new(facades))
        .route_layer(from_fn_with_state(gate, enforce))
        .merge(operator)
        .layer(map_response(private_unless_said));
    if serves_docs {
        router = router.merge(docs::router(document));
    }
    // With a fallback of its own, the answer to an unknown path stays traced when a router without one is merged.
    Ok(router
        .fallback(async || Problem::route_not_found())
        .layer(Extension(BodyLimit(BODY_BYTES_MAX)))
        .layer(from_fn_with_state(entropy, track))
        .layer(map_response(unsniffed)))
}

/// What is answered is what it says that it is: no browser may guess.
async fn unsniffed(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// No cache may keep what a handler did not call public.
async fn private_unless_said(mut response: Response) -> Response {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An answer that caches may keep for a second: it is the same for everybody.
fn public(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    response
}
