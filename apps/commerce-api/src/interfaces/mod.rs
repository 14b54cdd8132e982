//! The HTTP interface: what callers send is checked here, handed to one use case, and its answer shown.

mod answer;
mod auth;
mod docs;
mod failure;
mod front;
mod input;
mod problems;
mod refusal;
mod signature;
mod v1;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use commerce_api_application::payments::{Callbacks, Payments};
use commerce_api_application::ports::Clock;
use commerce_api_application::reconciliation::Reconciliations;
use commerce_api_application::{
    Accounts, Admin, Breakers, Catalogue, Coupons, Idempotency, Likes, Orders, Points, ProductDetails,
    Rankings, ViewCounter,
};
use commerce_http::extract::BODY_BYTES_MAX;
use commerce_http::limit::{limit_addresses, limit_users};
use commerce_http::policy::enforce;
use commerce_http::track::track;
use commerce_http::{AccessGate, Authenticator, BodyLimit, EntropySource, PolicyTable, Problem};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use utoipa::openapi::OpenApi;

pub use auth::SessionAuthenticator;
pub use docs::{DOCUMENT_PATH, PAGE_PATH};
pub use front::{FrontDoor, LOG_IN_ROUTES};
pub use signature::{SignatureGuard, describe_callback_metrics};

/// The use cases behind the interface.
#[derive(Clone)]
pub struct Facades {
    /// Accounts and sessions.
    pub accounts: Accounts,
    /// What administrators do.
    pub admin: Admin,
    /// Circuit breakers of this node.
    pub breakers: Breakers,
    /// What the gateway tells by itself.
    pub callbacks: Callbacks,
    /// Checks that the gateway tells it; none where the gateway does not sign.
    pub signatures: Option<SignatureGuard>,
    /// Brands, products, stock.
    pub catalogue: Catalogue,
    /// Products as their pages show them.
    pub details: ProductDetails,
    /// Coupons.
    pub coupons: Coupons,
    /// Keys of requests.
    pub idempotency: Idempotency,
    /// Likes.
    pub likes: Likes,
    /// Orders and payments.
    pub orders: Orders,
    /// Payments, for those who run the shop.
    pub payments: Payments,
    /// The gateway's settlement reports against our books.
    pub reconciliations: Reconciliations,
    /// How long after it was made an open payment counts as stuck.
    pub stuck_after: Duration,
    /// Points.
    pub points: Points,
    /// Ranking boards.
    pub rankings: Rankings,
    /// Views of products.
    pub views: Arc<ViewCounter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
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

/// Every route, held to its policy, traced, measured and bounded, and the document of them.
///
/// `operator` is traced, measured and bounded as well, and decides for itself who may call it; the document does not
/// have it.
pub fn router(
    facades: Facades,
    entropy: Arc<dyn EntropySource>,
    authenticator: Arc<dyn Authenticator>,
    operator: axum::Router,
    front: FrontDoor,
) -> Result<(axum::Router, OpenApi), Unguarded> {
    let (router, document) = v1::router().split_for_parts();
    let table = policies(&document)?;
    let gate = Arc::new(AccessGate::new(table, authenticator));
    let serves_docs = facades.docs;
    let FrontDoor { limits, origins } = front;
    let mut router = router.with_state(Arc::new(facades));
    if let Some(limits) = &limits {
        router = router
            .route_layer(from_fn_with_state(limits.clone(), limit_users))
            .layer(Extension(limits.clone()));
    }
    let mut router = router
        .route_layer(from_fn_with_state(gate, enforce))
        .merge(operator)
        .layer(map_response(private_unless_said));
    if serves_docs {
        router = router.merge(docs::router(document.clone()));
    }
    // With a fallback of its own, the answer to an unknown path stays traced when a router without one is merged.
    let mut router =
        router.fallback(async || Problem::route_not_found()).layer(Extension(BodyLimit(BODY_BYTES_MAX)));
    if let Some(limits) = limits {
        router = router.layer(from_fn_with_state(limits, limit_addresses));
    }
    // A refusal by a limit is for the page to read, too.
    if let Some(cors) = front::cors(origins) {
        router = router.layer(cors);
    }
    let router = router.layer(from_fn_with_state(entropy, track)).layer(map_response(front::shielded));
    Ok((router, document))
}

fn policies(document: &OpenApi) -> Result<PolicyTable, Unguarded> {
    PolicyTable::from_openapi(document).map_err(Unguarded)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_without_a_policy_is_refused() {
        let mut document = openapi();
        assert!(policies(&document).is_ok());
        let brands = document.paths.paths.get_mut("/api/v1/brands").unwrap();
        brands.get.as_mut().unwrap().extensions = None;
        let error = policies(&document).err().unwrap();
        assert_eq!(error.to_string(), "routes without a policy: GET /api/v1/brands: no x-policy");
    }
}
