//! The problems that any interface may answer.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};

use super::Problem;

impl Problem {
    /// 400 `MALFORMED_REQUEST`: the request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", "The request cannot be read").detail(detail)
    }

    /// 400 `UNKNOWN_FIELD`: the body has a field that does not exist.
    pub fn unknown_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNKNOWN_FIELD", "The body has a field that does not exist")
            .field(pointer, detail)
    }

    /// 400 `INVALID_PARAMETER`: a path or query parameter is missing or has a wrong value.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", "A parameter has a wrong value")
            .field(format!("/{name}"), detail)
    }

    /// 400 `UNKNOWN_PARAMETER`: the query has a parameter that does not exist.
    pub fn unknown_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "UNKNOWN_PARAMETER",
            "The query has a parameter that does not exist",
        )
        .field(format!("/{name}"), detail)
    }

    /// 400 `INVALID_CURSOR`: the page cursor was not made by this list.
    pub fn invalid_cursor() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_CURSOR", "The page cursor is not valid for this list")
            .field(
                "/cursor",
                "use the nextCursor of the page before, with the same sort, or none for the first page",
            )
    }

    /// 401 with `WWW-Authenticate: Bearer`.
    pub fn unauthorized(code: &'static str, title: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, title)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401 `AUTHENTICATION_REQUIRED`: no credentials.
    pub fn authentication_required() -> Self {
        Self::unauthorized("AUTHENTICATION_REQUIRED", "Log in first")
    }

    /// 401 `INVALID_TOKEN`: the token is malformed, unknown or expired; which of them is not told.
    pub fn invalid_token() -> Self {
        Self::unauthorized("INVALID_TOKEN", "The session token is not valid")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
    }

    /// 403 `ACCESS_DENIED`.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "ACCESS_DENIED", "You may not do this")
    }

    /// 404 with a code of the resource; also the answer for another user's resource.
    pub fn not_found(code: &'static str, title: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, title)
    }

    /// 404 `ROUTE_NOT_FOUND`: nothing is served at this path.
    pub fn route_not_found() -> Self {
        Self::not_found("ROUTE_NOT_FOUND", "Nothing is served at this path")
    }

    /// 405 `METHOD_NOT_ALLOWED`.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "This path does not answer that method",
        )
    }

    /// 412 `PRECONDITION_FAILED`: the resource has another version than the caller saw.
    pub fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", "The resource has changed")
            .detail("read it again and repeat the change on the new version")
    }

    /// 413 `PAYLOAD_TOO_LARGE`: the body is above `bytes_max`.
    pub fn payload_too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "The body is too large")
            .detail(format!("at most {bytes_max} bytes"))
    }

    /// 415 `UNSUPPORTED_MEDIA_TYPE`: only JSON bodies are read.
    pub fn unsupported_media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "The body is not JSON")
            .detail("send Content-Type: application/json")
    }

    /// 428 `PRECONDITION_REQUIRED`: the change needs an `If-Match`.
    pub fn precondition_required() -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "PRECONDITION_REQUIRED",
            "The change needs an If-Match header",
        )
        .detail("send the ETag of the version that you have read")
    }

    /// 500 `INTERNAL_ERROR`. It says nothing but the trace id, under which the log has the cause.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Something went wrong on our side")
            .detail("quote the traceId when you report it")
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(code: &'static str, title: &'static str, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title).retry_after(retry_after_s)
    }

    /// 400 `IDEMPOTENCY_KEY_REQUIRED`.
    pub fn idempotency_key_required() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "IDEMPOTENCY_KEY_REQUIRED",
            "This request needs an Idempotency-Key header",
        )
        .detail("send a new unique key for every new operation, and the same key when you repeat one")
    }

    /// 400 `IDEMPOTENCY_KEY_INVALID`.
    pub fn idempotency_key_invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID", "The Idempotency-Key is not valid")
            .detail(detail)
    }

    /// 422 `IDEMPOTENCY_KEY_REUSED`: the key came before with another body.
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "IDEMPOTENCY_KEY_REUSED",
            "The Idempotency-Key was used with another body",
        )
    }
}
