//! RFC 9457 problem details, the one shape of every error answer.

mod common;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::context::RequestContext;

/// Media type of a problem body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Sent when a problem itself cannot be serialised, which would be a bug of ours.
const LAST_RESORT: &[u8] = br#"{"type":"about:blank","title":"Internal server error","status":500}"#;

/// Members that [`Problem::extra`] may not replace.
const RESERVED: [&str; 8] = ["type", "title", "status", "detail", "instance", "code", "traceId", "errors"];

/// An error answer: status, stable machine code, texts for people, and the faults of single fields.
///
/// Everything in it is public text: it goes to the caller as it is.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    headers: HeaderMap,
}

/// One fault of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or `/name` of a path or query parameter or header.
    #[schema(example = "/lines/3/quantity")]
    pub pointer: String,
    /// What is wrong with the value there.
    pub detail: String,
}

/// The body of a problem as the `OpenAPI` document describes it; some codes add members of their own.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDocument {
    /// `urn:commerce:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:commerce:problem:OUT_OF_STOCK")]
    pub kind: String,
    /// The same short text for every occurrence of the code.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stable machine code.
    #[schema(example = "OUT_OF_STOCK")]
    pub code: String,
    /// Trace of the request, 32 hex digits; quote it to support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Faults of single fields, for bad input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(flatten)]
    document: ProblemDocument,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    /// A problem with a stable `code` in `UPPER_SNAKE_CASE` and its fixed `title`.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            title,
            detail: None,
            errors: Vec::new(),
            extra: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a fault of one field; see [`FieldError::pointer`].
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds a member of the code's own, such as `shortfall`. The standard members cannot be replaced.
    #[must_use]
    pub fn extra(mut self, key: &str, value: impl Into<Value>) -> Self {
        debug_assert!(!RESERVED.contains(&key), "{key} is a standard member");
        if !RESERVED.contains(&key) {
            self.0.extra.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Tells the caller to come back in `seconds` (`Retry-After`).
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Sets a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable machine code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The faults of single fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The body, with `instance` and `traceId` of `context`.
    pub fn to_bytes(&self, context: &RequestContext) -> Bytes {
        let parts = &*self.0;
        let wire = Wire {
            document: ProblemDocument {
                kind: format!("urn:commerce:problem:{}", parts.code),
                title: parts.title.to_owned(),
                status: parts.status.as_u16(),
                detail: parts.detail.clone(),
                instance: (!context.path.is_empty()).then(|| context.path.to_string()),
                code: parts.code.to_owned(),
                trace_id: context.is_traced().then(|| context.trace_id_hex()),
                errors: parts.errors.clone(),
            },
            extra: &parts.extra,
        };
        serde_json::to_vec(&wire).map_or(Bytes::from_static(LAST_RESORT), Bytes::from)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.status.as_u16(), self.0.code)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_bytes(&RequestContext::current());
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        // A shared cache may keep a 404 or 405 by its own guess otherwise.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.0.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn context() -> RequestContext {
        RequestContext {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            sampled: true,
            path: Arc::from("/api/v1/orders"),
        }
    }

    #[test]
    fn body_has_every_member() {
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INSUFFICIENT_POINTS", "Not enough points")
                .detail("700 won are missing")
                .field("/payment/points", "above the balance")
                .extra("shortfall", 700);
        let body: Value = serde_json::from_slice(&problem.to_bytes(&context())).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "urn:commerce:problem:INSUFFICIENT_POINTS",
                "title": "Not enough points",
                "status": 422,
                "detail": "700 won are missing",
                "instance": "/api/v1/orders",
                "code": "INSUFFICIENT_POINTS",
                "traceId": "ab".repeat(16),
                "errors": [{"pointer": "/payment/points", "detail": "above the balance"}],
                "shortfall": 700,
            })
        );
    }

    #[test]
    fn empty_members_are_left_out() {
        let body = Problem::new(StatusCode::NOT_FOUND, "ORDER_NOT_FOUND", "No such order")
            .to_bytes(&RequestContext::detached());
        let body: Value = serde_json::from_slice(&body).unwrap();
        for member in ["detail", "instance", "traceId", "errors"] {
            assert!(body.get(member).is_none(), "{member}");
        }
    }

    #[test]
    #[should_panic(expected = "standard member")]
    fn standard_members_cannot_be_replaced() {
        let _ = Problem::internal().extra("status", 200);
    }

    #[tokio::test]
    async fn response_has_status_type_and_headers() {
        let problem = Problem::unavailable("OVERLOADED", "Too busy", 2);
        let response = context().scope(async move { problem.into_response() }).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body = crate::testing::json(response).await;
        assert_eq!(body["traceId"], "ab".repeat(16));
    }

    #[test]
    fn unauthorized_asks_for_a_bearer_token() {
        let response = Problem::authentication_required().into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[http::header::WWW_AUTHENTICATE], "Bearer");
    }
}
