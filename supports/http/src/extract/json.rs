//! JSON bodies: bounded, strict, with the place of the fault.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::read_json;
use super::reason::{self, Kind};
use super::strict::Strict;
use crate::problem::Problem;

/// Levels of arrays and objects that a body may have.
pub const JSON_DEPTH_MAX: usize = 32;

/// A JSON body, also as a response.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// A JSON body together with the bytes it was read from, for fingerprints and signatures.
#[derive(Debug, Clone)]
pub struct JsonBytes<T> {
    /// What the body says.
    pub value: T,
    /// The body as it came.
    pub raw: Bytes,
}

/// A body that says that it is JSON, unread: for signatures, which are checked before anything is believed of it.
#[derive(Debug, Clone)]
pub struct RawJson(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        read_json(request).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        JsonBytes::from_request(request, state).await.map(|body| Self(body.value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBytes<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let raw = read_json(request).await?;
        let value = parse(&raw)?;
        Ok(Self { value, raw })
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "response cannot be serialised");
                Problem::internal().into_response()
            }
        }
    }
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::malformed("the body is empty"));
    }
    if is_deeper_than(raw, JSON_DEPTH_MAX) {
        return Err(Problem::malformed(format!("the JSON is nested deeper than {JSON_DEPTH_MAX} levels")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let value =
        serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| refusal(&error))?;
    deserializer.end().map_err(|_| Problem::malformed("there is more after the JSON value"))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if !inner.is_data() {
        let (line, column) = (inner.line(), inner.column());
        return Problem::malformed(format!("not valid JSON at line {line}, column {column}"));
    }
    let reason = reason::read(&inner.to_string(), "field");
    let pointer = reason::pointer(error.path(), reason.field.as_deref());
    match reason.kind {
        Kind::UnknownField => Problem::unknown_field(pointer, reason.detail),
        Kind::Other => Problem::malformed("the body has a wrong value").field(pointer, reason.detail),
    }
}

/// Counts brackets outside of strings, before any value is built.
fn is_deeper_than(raw: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in raw {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use http::StatusCode;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Order {
        lines: Vec<Line>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nested: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<Card>,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Line {
        product_id: i64,
        quantity: u32,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Card {
        Samsung,
        Kb,
    }

    fn app() -> Router {
        Router::new()
            .route("/orders", post(|Json(order): Json<Order>| async { Json(order) }))
            .route("/raw", post(|body: JsonBytes<Order>| async move { body.raw }))
            .route("/unread", post(|RawJson(body): RawJson| async move { body }))
    }

    async fn post_to(path: &str, content_type: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let mut request = Request::post(path);
        if !content_type.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let response = testing::send(&app(), request.body(body.into()).unwrap()).await;
        (response.status(), testing::json(response).await)
    }

    async fn refused(body: impl Into<Body>) -> (StatusCode, String, String, String) {
        let (status, body) = post_to("/orders", "application/json", body).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = &body["errors"][0];
        (status, text(&body["code"]), text(&error["pointer"]), text(&error["detail"]))
    }

    #[tokio::test]
    async fn a_good_body_is_read_and_echoed() {
        let order = json!({"lines": [{"productId": 7, "quantity": 2}], "card": "KB"});
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert_eq!(post_to("/orders", kind, order.to_string()).await, (StatusCode::OK, order.clone()));
        }
    }

    #[tokio::test]
    async fn raw_bytes_are_kept_as_they_came() {
        let send = async |path: &str, body: &'static str| {
            let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body));
            testing::text(testing::send(&app(), request.unwrap()).await).await
        };
        let body = r#"{ "lines" : [ ] }"#;
        assert_eq!(
            (send("/raw", body).await, send("/unread", body).await),
            (body.to_owned(), body.to_owned())
        );
        assert_eq!(send("/unread", "not JSON").await, "not JSON");
        assert_eq!(post_to("/unread", "text/plain", body).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[tokio::test]
    async fn wrong_values_are_pointed_at() {
        let cases = [
            (
                r#"{"lines":[{"productId":1,"quantity":1},{"productId":1,"quantity":"x"}]}"#,
                "/lines/1/quantity",
            ),
            (r#"{"lines":[{"productId":1,"quantity":-1}]}"#, "/lines/0/quantity"),
            (r#"{"lines":[{"productId":1,"quantity":9223372036854775808}]}"#, "/lines/0/quantity"),
            (r#"{"lines":[{"productId":1.5,"quantity":1}]}"#, "/lines/0/productId"),
            (r#"{"lines":[{"productId":1}]}"#, "/lines/0/quantity"),
            (r#"{"lines":null}"#, "/lines"),
            (r#"{"lines":[],"lines":[]}"#, "/lines"),
            (r#"{"lines":[],"card":"AMEX"}"#, "/card"),
            ("{}", "/lines"),
            ("7", ""),
            ("[[]]", ""),
            (r#"[[{"productId":1,"quantity":1}],null,null]"#, ""),
            (r#"{"lines":[{"productId":1,"quantity":1},[1,1]]}"#, "/lines/1"),
            (r#"{"lines":{}}"#, "/lines"),
        ];
        for (body, pointer) in cases {
            let (status, code, at, detail) = refused(body).await;
            assert_eq!(
                (status, code.as_str(), at.as_str()),
                (StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", pointer),
                "{body}"
            );
            assert!(!detail.is_empty() && !detail.contains("struct"), "{detail}");
        }
    }

    #[tokio::test]
    async fn what_is_expected_is_said_in_the_words_of_json() {
        let cases = [
            ("[[],null,null]", "expected an object"),
            (r#"{"lines":[[1,1]]}"#, "expected an object"),
            (r#"{"lines":[7]}"#, "expected an object"),
            (r#"{"lines":{}}"#, "expected an array"),
            (r#"{"lines":[],"card":"AMEX"}"#, "expected `SAMSUNG` or `KB`"),
        ];
        for (body, detail) in cases {
            assert_eq!(refused(body).await.3, detail, "{body}");
        }
    }

    #[tokio::test]
    async fn unknown_fields_are_named() {
        let (status, code, at, detail) =
            refused(r#"{"lines":[{"productId":1,"quantity":1,"price":0}]}"#).await;
        assert_eq!(
            (status, code.as_str(), at.as_str()),
            (StatusCode::BAD_REQUEST, "UNKNOWN_FIELD", "/lines/0/price")
        );
        assert_eq!(detail, "there is no such field; expected `productId` or `quantity`");
        assert_eq!(refused(r#"{"lines":[],"a/b":1}"#).await.2, "/a~1b");
    }

    #[tokio::test]
    async fn what_is_not_json_is_malformed() {
        let deep = format!(r#"{{"lines":[],"nested":{}{}}}"#, "[".repeat(32), "]".repeat(32));
        let bomb = "[".repeat(60_000);
        let cases: [&[u8]; 8] =
            [b"", b"  ", b"{", b"{]", br#"{"lines":[]} x"#, b"\xff\xfe", deep.as_bytes(), bomb.as_bytes()];
        for body in cases {
            let (status, code, _, _) = refused(body.to_vec()).await;
            assert_eq!((status, code.as_str()), (StatusCode::BAD_REQUEST, "MALFORMED_REQUEST"));
        }
        let allowed = format!(r#"{{"lines":[],"nested":{}"\"[[{{"{}}}"#, "[".repeat(31), "]".repeat(31));
        assert_eq!(post_to("/orders", "application/json", allowed).await.0, StatusCode::OK);
    }
}
