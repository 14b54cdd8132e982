//! Reading a JSON body: its media type, its size, the time that it may take.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::problem::Problem;

/// Bytes that a body may have unless a [`BodyLimit`] says otherwise.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Time in which a body must be whole unless a [`BodyDeadline`] says otherwise.
pub const BODY_READ_MAX: Duration = Duration::from_secs(10);

/// Bytes that a body may have, set for a router by `.layer(axum::Extension(BodyLimit(n)))`.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

/// Time in which a body must be whole, counted from when its handler begins to read it; set for a router by
/// `.layer(axum::Extension(BodyDeadline(time)))`.
#[derive(Debug, Clone, Copy)]
pub struct BodyDeadline(pub Duration);

/// The whole body of a request that says that it is JSON.
pub(super) async fn read_json(request: Request) -> Result<Bytes, Problem> {
    check_media_type(request.headers())?;
    let (bytes_max, time_max) = bounds(request.extensions());
    match tokio::time::timeout(time_max, read(request, bytes_max)).await {
        Ok(body) => body,
        // What is left of the body would be taken for the next request.
        Err(_) => {
            Err(Problem::request_timeout(time_max).header(CONNECTION, HeaderValue::from_static("close")))
        }
    }
}

fn bounds(extensions: &Extensions) -> (usize, Duration) {
    let bytes_max = extensions.get::<BodyLimit>().map_or(BODY_BYTES_MAX, |limit| limit.0);
    let time_max = extensions.get::<BodyDeadline>().map_or(BODY_READ_MAX, |deadline| deadline.0);
    (bytes_max, time_max)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !is_json {
        return Err(Problem::unsupported_media_type("send Content-Type: application/json"));
    }
    if !parts.all(is_utf8_or_no_charset) {
        return Err(Problem::unsupported_media_type("JSON is sent in UTF-8; send no other charset"));
    }
    let is_plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if !is_plain {
        return Err(Problem::unsupported_media_type("send the body without a Content-Encoding")
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    Ok(())
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return true };
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

async fn read(request: Request<Body>, bytes_max: usize) -> Result<Bytes, Problem> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(Problem::payload_too_large(bytes_max));
    }
    match Limited::new(request.into_body(), bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if is_too_long(error.as_ref()) => Err(Problem::payload_too_large(bytes_max)),
        Err(_) => Err(Problem::malformed("the body ended early")),
    }
}

fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .any(<dyn std::error::Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::Router;
    use axum::response::Response;
    use axum::routing::post;
    use futures::StreamExt as _;
    use futures::stream;
    use serde_json::Value;

    use super::*;
    use crate::extract::Json;
    use crate::testing;

    fn app() -> Router {
        let echo = || post(|Json(value): Json<Value>| async { Json(value) });
        Router::new()
            .route("/echo", echo())
            .route("/small", echo().layer(axum::Extension(BodyLimit(20))))
            .route("/quick", echo().layer(axum::Extension(BodyDeadline(Duration::from_secs(2)))))
    }

    async fn send(path: &str, headers: &[(&str, &str)], body: Body) -> Response {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        testing::send(&app(), request.body(body).unwrap()).await
    }

    async fn answer(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        (status, testing::json(response).await["code"].as_str().unwrap_or_default().to_owned())
    }

    async fn post_json(path: &str, body: impl Into<Body>) -> (u16, String) {
        answer(send(path, &[("content-type", "application/json")], body.into()).await).await
    }

    fn refused(status: u16, code: &str) -> (u16, String) {
        (status, code.to_owned())
    }

    #[tokio::test]
    async fn only_plain_json_in_utf8_is_read() {
        let good = [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; version=1",
            "application/merge-patch+json",
        ];
        for kind in good {
            let response = send("/echo", &[("content-type", kind)], "{}".into()).await;
            assert_eq!(response.status(), 200, "{kind}");
        }
        let bad = [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "text/application/json",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; Charset=latin1",
        ];
        for kind in bad {
            let response = send("/echo", &[("content-type", kind)], "{}".into()).await;
            assert_eq!(answer(response).await, refused(415, "UNSUPPORTED_MEDIA_TYPE"), "{kind}");
        }
        assert_eq!(answer(send("/echo", &[], "{}".into()).await).await.0, 415);
    }

    #[tokio::test]
    async fn a_coded_body_is_refused() {
        for (coding, status) in [("identity", 200), ("Identity", 200), ("gzip", 415), ("gzip, identity", 415)]
        {
            let headers = [("content-type", "application/json"), ("content-encoding", coding)];
            let response = send("/echo", &headers, "{}".into()).await;
            assert_eq!(response.status(), status, "{coding}");
            assert_eq!(response.headers().contains_key(ACCEPT_ENCODING), status == 415, "{coding}");
        }
    }

    #[tokio::test]
    async fn the_body_is_bounded_to_the_byte() {
        let fitting = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert_eq!(post_json("/echo", fitting(BODY_BYTES_MAX)).await.0, 200);
        let too_large = refused(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(post_json("/echo", fitting(BODY_BYTES_MAX + 1)).await, too_large);
        assert_eq!(post_json("/small", fitting(20)).await.0, 200);
        assert_eq!(post_json("/small", fitting(21)).await, too_large);
    }

    #[tokio::test]
    async fn a_length_only_announced_or_never_announced_is_bounded_too() {
        let length = (BODY_BYTES_MAX + 1).to_string();
        let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
        assert_eq!(send("/echo", &headers, Body::empty()).await.status(), 413);
        let chunks = std::iter::repeat_n(Bytes::from_static(&[b' '; 1024]), 65).map(Ok::<_, io::Error>);
        let endless = Body::from_stream(stream::iter(chunks));
        assert_eq!(post_json("/echo", endless).await, refused(413, "PAYLOAD_TOO_LARGE"));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_malformed() {
        let chunks = [Ok(Bytes::from_static(b"{")), Err(io::Error::other("gone"))];
        let body = Body::from_stream(stream::iter(chunks));
        assert_eq!(post_json("/echo", body).await, refused(400, "MALFORMED_REQUEST"));
    }

    /// A body of `chunks` spaces and a number, one a second.
    fn dripping(chunks: usize) -> Body {
        let spaces = std::iter::repeat_n(Bytes::from_static(b" "), chunks);
        let chunks = spaces.chain([Bytes::from_static(b"7")]).map(Ok::<_, io::Error>);
        Body::from_stream(stream::iter(chunks).then(async |chunk| {
            // tidy: sleep on paused time: what is waited for is the deadline itself
            tokio::time::sleep(Duration::from_secs(1)).await;
            chunk
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_a_deadline_that_no_chunk_extends() {
        assert_eq!(post_json("/echo", dripping(8)).await.0, 200);
        let response = send("/echo", &[("content-type", "application/json")], dripping(10)).await;
        assert_eq!(response.headers()[CONNECTION], "close");
        assert_eq!(answer(response).await, refused(408, "REQUEST_TIMEOUT"));
        assert_eq!(post_json("/quick", dripping(0)).await.0, 200);
        assert_eq!(post_json("/quick", dripping(2)).await, refused(408, "REQUEST_TIMEOUT"));
        let silent = Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
        assert_eq!(post_json("/echo", silent).await, refused(408, "REQUEST_TIMEOUT"));
    }
}
