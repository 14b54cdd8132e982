//! The outermost middleware: trace, span, metric, log line, and the net under a panicking handler.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::context::{EntropySource, RequestContext, TRACEPARENT};
use crate::problem::Problem;

/// Histogram of seconds until the response head, labelled method, uri, status and outcome as Micrometer
/// names them.
pub const REQUESTS_METRIC: &str = "http_server_requests_seconds";

/// Label of a request that no route matched: the path itself would let callers make labels.
const UNMATCHED: &str = "UNKNOWN";

/// Sets the [`RequestContext`], measures and logs the request, answers 500 where a handler panics, and turns
/// the router's own empty 404 and 405 into problems.
///
/// Apply it last and to the whole router, so that everything else runs inside it:
/// `router.layer(axum::middleware::from_fn_with_state(entropy, track))`.
pub async fn track(State(entropy): State<Arc<dyn EntropySource>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext::from_headers(request.headers(), request.uri().path(), entropy.as_ref());
    let method = method_label(request.method());
    let uri = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let traceparent = context.traceparent_header();
    let span = tracing::info_span!("http_request", method, uri, trace_id = context.trace_id_hex());
    let mut response = context
        .scope(async {
            match AssertUnwindSafe(next.run(request)).catch_unwind().await {
                Ok(response) => name_the_refusal(response),
                Err(panic) => {
                    tracing::error!(panic = panic_text(panic.as_ref()), "handler panicked");
                    Problem::internal().into_response()
                }
            }
        })
        .instrument(span.clone())
        .await;
    if let Some(traceparent) = traceparent {
        response.headers_mut().insert(TRACEPARENT, traceparent);
    }
    let elapsed = started.elapsed();
    span.in_scope(|| log(response.status(), elapsed));
    record(method, uri, response.status(), elapsed);
    response
}

/// The router answers a missing route or method with an empty body.
fn name_the_refusal(response: Response) -> Response {
    if response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let problem = match response.status() {
        StatusCode::NOT_FOUND => Problem::route_not_found(),
        StatusCode::METHOD_NOT_ALLOWED => match response.headers().get(ALLOW) {
            Some(allow) => Problem::method_not_allowed().header(ALLOW, allow.clone()),
            None => Problem::method_not_allowed(),
        },
        _ => return response,
    };
    problem.into_response()
}

fn log(status: StatusCode, elapsed: Duration) {
    let (status_code, elapsed_ms) = (status.as_u16(), elapsed.as_secs_f64() * 1e3);
    if status.is_server_error() {
        tracing::warn!(status = status_code, elapsed_ms, "request failed");
    } else {
        tracing::debug!(status = status_code, elapsed_ms, "request answered");
    }
}

fn record(method: &'static str, uri: String, status: StatusCode, elapsed: Duration) {
    metrics::histogram!(
        REQUESTS_METRIC,
        "method" => method,
        "uri" => uri,
        "status" => status.as_str().to_owned(),
        "outcome" => outcome(status),
    )
    .record(elapsed.as_secs_f64());
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "INFORMATIONAL",
        200..=299 => "SUCCESS",
        300..=399 => "REDIRECTION",
        400..=499 => "CLIENT_ERROR",
        500..=599 => "SERVER_ERROR",
        _ => "UNKNOWN",
    }
}

/// Any token is a method to HTTP; as a label it would be unbounded.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use http::Request;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::testing::{Counting, json, send};

    fn app() -> Router {
        #[expect(clippy::panic, reason = "the handler under test panics")]
        async fn broken() -> &'static str {
            panic!("secret of the house")
        }
        let entropy: Arc<dyn EntropySource> = Arc::new(Counting::default());
        Router::new()
            .route("/things/{id}", get(|| async { RequestContext::current().traceparent() }))
            .route("/broken", get(broken))
            .route("/unavailable", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .nest("/nested", Router::new().route("/{leaf}", get(|| async { "leaf" })))
            .layer(from_fn_with_state(entropy, track))
    }

    fn request(method: &str, uri: &str) -> Request<axum::body::Body> {
        Request::builder().method(method).uri(uri).body(axum::body::Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn every_response_carries_the_trace() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut request = request("GET", "/things/7");
        request.headers_mut().insert(TRACEPARENT, parent.parse().unwrap());
        let response = send(&app(), request).await;
        let header = response.headers()[TRACEPARENT].to_str().unwrap().to_owned();
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{header}");
        assert_ne!(header, parent);
        assert_eq!(crate::testing::text(response).await, header);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_only_its_trace() {
        let app = app();
        let response = send(&app, request("GET", "/broken?secret=1")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let trace = response.headers()[TRACEPARENT].to_str().unwrap()[3..35].to_owned();
        let body = json(response).await;
        assert_eq!(body["code"], "INTERNAL_ERROR");
        assert_eq!(body["traceId"], trace);
        assert_eq!(body["instance"], "/broken");
        assert!(!body.to_string().contains("secret"));
        assert_eq!(send(&app, request("GET", "/nested/a")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn missing_routes_and_methods_are_problems() {
        let response = send(&app(), request("GET", "/nowhere")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(json(response).await["code"], "ROUTE_NOT_FOUND");
        let response = send(&app(), request("DELETE", "/things/1")).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET,HEAD");
        assert_eq!(json(response).await["code"], "METHOD_NOT_ALLOWED");
    }

    #[tokio::test]
    async fn requests_are_measured_by_route_and_never_by_path() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let app = app();
        for uri in ["/things/7", "/things/8?q=hidden", "/nested/a", "/hidden", "/unavailable", "/broken"] {
            send(&app, request("GET", uri)).await;
        }
        send(&app, request("BREW", "/things/7")).await;
        let text = handle.render();
        let count = |labels: &str| {
            let line = format!("{REQUESTS_METRIC}_count{{{labels}}} ");
            text.lines().find_map(|l| l.strip_prefix(&line)).map(str::to_owned)
        };
        let one = Some("1".to_owned());
        assert_eq!(
            count(r#"method="GET",uri="/things/{id}",status="200",outcome="SUCCESS""#),
            Some("2".to_owned()),
            "{text}"
        );
        assert_eq!(count(r#"method="GET",uri="/nested/{leaf}",status="200",outcome="SUCCESS""#), one);
        assert_eq!(count(r#"method="GET",uri="UNKNOWN",status="404",outcome="CLIENT_ERROR""#), one);
        assert_eq!(count(r#"method="GET",uri="/unavailable",status="503",outcome="SERVER_ERROR""#), one);
        assert_eq!(count(r#"method="GET",uri="/broken",status="500",outcome="SERVER_ERROR""#), one);
        assert_eq!(count(r#"method="OTHER",uri="/things/{id}",status="405",outcome="CLIENT_ERROR""#), one);
        assert!(!text.contains("hidden"));
    }
}
