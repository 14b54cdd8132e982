//! What stands before every route: limits of callers, pages of other origins, and headers for browsers.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use commerce_http::limit::RateLimits;
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Methods and path templates of what hashes a password.
pub const LOG_IN_ROUTES: &[(Method, &str)] =
    &[(Method::POST, "/api/v1/sessions"), (Method::POST, "/api/v1/users")];

/// How long a browser may remember what a preflight was answered.
const PREFLIGHT_KEPT: Duration = Duration::from_mins(10);

/// Who is let to the routes at all. [`Default`] has no limits and knows no other origin.
#[derive(Clone, Default)]
pub struct FrontDoor {
    /// How much callers may ask.
    pub limits: Option<Arc<RateLimits>>,
    /// Origins whose pages may call the API from a browser.
    pub origins: Vec<HeaderValue>,
}

/// Allows pages of these origins, without cookies; none where there are none, so that a preflight is 405.
pub(super) fn cors(origins: Vec<HeaderValue>) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let named = HeaderName::from_static;
    let exposed = [
        ETAG,
        LOCATION,
        RETRY_AFTER,
        named("idempotent-replayed"),
        named("ratelimit"),
        named("ratelimit-policy"),
        named("traceparent"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            named("idempotency-key"),
            named("traceparent"),
        ])
        .expose_headers(exposed)
        .max_age(PREFLIGHT_KEPT);
    Some(layer)
}

/// No browser may guess what an answer is, show it in a frame, or tell others where it was.
pub(super) async fn shielded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
