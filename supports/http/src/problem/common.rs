//! The problems that any interface may answer.

use std::time::Duration;

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
            .fault(pointer.into(), detail.into())
    }

    /// 400 `INVALID_PARAMETER`: a path or query parameter is missing or has a wrong value.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", "A parameter has a wrong value")
            .fault(format!("/{name}"), detail.into())
    }

    /// 400 `UNKNOWN_PARAMETER`: the query has a parameter that does not exist.
    pub fn unknown_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "UNKNOWN_PARAMETER",
            "The query has a parameter that does not exist",
        )
        .fault(format!("/{name}"), detail.into())
    }

    /// The one fault of a request, which is also what happened.
    fn fault(self, pointer: String, detail: String) -> Self {
        self.detail(format!("{pointer}: {detail}")).field(pointer, detail)
    }

    /// 400 `INVALID_CURSOR`: the page cursor was not made by this list.
    pub fn invalid_cursor() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_CURSOR", "The page cursor is not valid for this list")
            .fault(
                "/cursor".to_owned(),
                "use the nextCursor of the page before, with the same sort, or none for the first page"
                    .to_owned(),
            )
    }

    /// 401 with `WWW-Authenticate: Bearer`.
    pub fn unauthorized(code: &'static str, title: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, title)
            .detail(detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 401 `AUTHENTICATION_REQUIRED`: no credentials.
    pub fn authentication_required() -> Self {
        let detail = "send the token of a session as Authorization: Bearer";
        Self::unauthorized("AUTHENTICATION_REQUIRED", "Log in first", detail)
    }

    /// 401 `INVALID_TOKEN`: the token is malformed, unknown or expired; which of them is not told.
    pub fn invalid_token() -> Self {
        let detail = "it is malformed, or its session is over; log in again";
        Self::unauthorized("INVALID_TOKEN", "The session token is not valid", detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
    }

    /// 403 `ACCESS_DENIED`.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "ACCESS_DENIED", "You may not do this")
            .detail("your account has no right to it")
    }

    /// 404 with a code of the resource; also the answer for another user's resource.
    pub fn not_found(code: &'static str, title: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, title).detail(detail)
    }

    /// 404 `ROUTE_NOT_FOUND`: nothing is served at this path.
    pub fn route_not_found() -> Self {
        let detail = "no route has this path; compare it with the API document";
        Self::not_found("ROUTE_NOT_FOUND", "Nothing is served at this path", detail)
    }

    /// 405 `METHOD_NOT_ALLOWED`.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "This path does not answer that method",
        )
        .detail("the Allow header names the methods that it answers")
    }

    /// 408 `REQUEST_TIMEOUT`: the body was not whole within `time_max`.
    pub fn request_timeout(time_max: Duration) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The body took too long to arrive")
            .detail(format!("it must be whole within {} s; nothing was done", time_max.as_secs_f64()))
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

    /// 415 `UNSUPPORTED_MEDIA_TYPE`: only bodies of plain JSON in UTF-8 are read.
    pub fn unsupported_media_type(detail: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "The body is not plain JSON")
            .detail(detail)
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

    /// 429 `RATE_LIMITED`: more than the limit called `limit` allows; `Retry-After` in seconds.
    pub fn rate_limited(limit: &str, retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "Too many requests")
            .detail(format!(
                "the limit {limit} is used up and nothing was done; try again in {retry_after_s} s"
            ))
            .retry_after(retry_after_s)
    }

    /// 500 `INTERNAL_ERROR`. It says nothing but the trace id, under which the log has the cause.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Something went wrong on our side")
            .detail("quote the traceId when you report it")
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(code: &'static str, title: &'static str, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title)
            .detail(format!("try again in {retry_after_s} s"))
            .retry_after(retry_after_s)
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

    /// 422 `IDEMPOTENCY_KEY_REUSED`: the key came before with another request.
    pub fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "IDEMPOTENCY_KEY_REUSED",
            "The Idempotency-Key was used for another request",
        )
        .detail("a new operation needs a new key; a repetition is the same request: path and body")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RequestContext;

    #[test]
    fn every_problem_says_what_happened() {
        let problems = [
            Problem::malformed("why"),
            Problem::unknown_field("/a", "why"),
            Problem::invalid_parameter("a", "why"),
            Problem::unknown_parameter("a", "why"),
            Problem::invalid_cursor(),
            Problem::authentication_required(),
            Problem::invalid_token(),
            Problem::forbidden(),
            Problem::route_not_found(),
            Problem::method_not_allowed(),
            Problem::request_timeout(Duration::from_secs(10)),
            Problem::precondition_failed(),
            Problem::payload_too_large(1),
            Problem::unsupported_media_type("why"),
            Problem::precondition_required(),
            Problem::rate_limited("user-read", 1),
            Problem::internal(),
            Problem::unavailable("DOWN", "Down", 1),
            Problem::idempotency_key_required(),
            Problem::idempotency_key_invalid("why"),
            Problem::idempotency_key_reused(),
        ];
        for problem in problems {
            let body = problem.to_bytes(&RequestContext::detached());
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
        }
    }

    #[test]
    fn a_single_fault_is_what_happened() {
        let body = Problem::invalid_parameter("limit", "expected 1").to_bytes(&RequestContext::detached());
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["detail"], "/limit: expected 1");
        assert_eq!(body["errors"][0]["detail"], "expected 1");
    }
}
