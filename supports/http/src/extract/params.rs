//! Path and query parameters with problems that name the parameter.

use std::borrow::Cow;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as TextError, MapDeserializer};
use serde_path_to_error::Error as Located;

use super::reason::{self, Kind, Reason};
use super::text::{MISFIT, PathTexts, Text};
use crate::problem::Problem;

const NOT_UTF8: &str = "expected percent-encoded UTF-8";

/// Path parameters: a struct takes them by name, a tuple in order, every other type is the only one.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// The query string. Unknown parameters are refused when `T` has `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|rejection| undecoded(&rejection))?;
        let texts: Vec<_> = params.iter().collect();
        let names: Vec<_> = texts.iter().map(|(name, _)| *name).collect();
        serde_path_to_error::deserialize(PathTexts(texts))
            .map(Self)
            .map_err(|error| path_refusal(&error, &names))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        let pairs = pairs.into_iter().map(|(name, value)| (name, Text(value)));
        let deserializer = MapDeserializer::<_, TextError>::new(pairs);
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| query_refusal(&error))
    }
}

/// A name and its value, decoded.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

fn pairs(query: &str) -> Result<Vec<Pair<'_>>, Problem> {
    let given = query.split('&').filter(|pair| !pair.is_empty());
    given
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name =
                decode(name).ok_or_else(|| Problem::malformed("the name of a parameter is not UTF-8"))?;
            match decode(value) {
                Some(value) => Ok((name, value)),
                None => Err(Problem::invalid_parameter(&name, NOT_UTF8)),
            }
        })
        .collect()
}

/// `application/x-www-form-urlencoded`, and none where that is not UTF-8: a replaced character would be searched for.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

fn path_refusal(error: &Located<TextError>, names: &[&str]) -> Problem {
    let message = error.inner().to_string();
    let Reason { field, detail, .. } = reason::read(&message, "parameter");
    // A field that is missing or unknown is one that the handler asks for and the route does not have.
    if field.is_some() || message == MISFIT {
        return misuse(&message);
    }
    let place = reason::pointer(error.path(), None);
    let place = place.trim_start_matches('/');
    let in_order = place.parse::<usize>().ok().and_then(|index| names.get(index).copied());
    let name =
        in_order.unwrap_or(if place.is_empty() { names.first().copied().unwrap_or_default() } else { place });
    Problem::invalid_parameter(name, detail)
}

/// A path that is not UTF-8. axum tells the name of the parameter in its text only.
fn undecoded(rejection: &RawPathParamsRejection) -> Problem {
    match rejection {
        RawPathParamsRejection::InvalidUtf8InPathParam(error) => {
            let text = error.body_text();
            Problem::invalid_parameter(text.split('`').nth(1).unwrap_or_default(), NOT_UTF8)
        }
        _ => misuse(rejection),
    }
}

/// The handler asks for what its route does not have: our bug, not the caller's.
fn misuse(reason: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%reason, "path parameters do not fit the route");
    Problem::internal()
}

fn query_refusal(error: &Located<TextError>) -> Problem {
    let reason = reason::read(&error.inner().to_string(), "parameter");
    let pointer = reason::pointer(error.path(), reason.field.as_deref());
    let name = pointer.trim_start_matches('/');
    match reason.kind {
        Kind::UnknownField => Problem::unknown_parameter(name, reason.detail),
        Kind::Other => Problem::invalid_parameter(name, reason.detail),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::{Request, StatusCode};
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;
    use crate::cursor::PageLimit;
    use crate::testing;

    #[derive(Debug, Deserialize)]
    struct Ids {
        order: Uuid,
        line: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Search {
        sort: Option<Sort>,
        brand_id: Option<i64>,
        #[serde(default)]
        limit: PageLimit,
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Sort {
        Latest,
        PriceAsc,
    }

    impl std::fmt::Display for Search {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} {:?} {:?} {}", self.name, self.sort, self.brand_id, self.limit.get())
        }
    }

    fn app() -> Router {
        Router::new()
            .route("/orders/{id}", get(|Path(id): Path<Uuid>| async move { id.to_string() }))
            .route("/products/{id}", get(|Path(id): Path<i64>| async move { id.to_string() }))
            .route("/pairs/{a}/{b}", get(|Path((a, b)): Path<(Uuid, i64)>| async move { format!("{a} {b}") }))
            .route(
                "/ids/{order}/{line}",
                get(|Path(i): Path<Ids>| async move { format!("{} {}", i.order, i.line) }),
            )
            .route("/strange/{id}", get(|Path(i): Path<Ids>| async move { i.line.to_string() }))
            .route(
                "/pairs",
                get(|Query(pairs): Query<Vec<(String, String)>>| async move { format!("{pairs:?}") }),
            )
            .route("/wrong/{id}", get(|Path((a, _)): Path<(i64, i64)>| async move { a.to_string() }))
            .route("/search", get(|Query(search): Query<Search>| async move { search.to_string() }))
    }

    async fn fetch(uri: &str) -> (StatusCode, String) {
        let response = testing::send(&app(), Request::get(uri).body(Body::empty()).unwrap()).await;
        (response.status(), testing::text(response).await)
    }

    async fn refused(uri: &str) -> (u16, String, String, String) {
        let (status, body) = fetch(uri).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let error = &body["errors"][0];
        (status.as_u16(), text(&body["code"]), text(&error["pointer"]), text(&error["detail"]))
    }

    #[tokio::test]
    async fn good_parameters_are_read() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(fetch(&format!("/orders/{id}")).await, (StatusCode::OK, id.to_owned()));
        assert_eq!(fetch(&format!("/ids/{id}/3")).await, (StatusCode::OK, format!("{id} 3")));
        let (status, text) = fetch("/search?name=a%20b&sort=PRICE_ASC&limit=100&brandId=4").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(text, "a b Some(PriceAsc) Some(4) 100");
        assert_eq!(fetch("/search?name=x").await.1, "x None None 20");
        assert_eq!(fetch("/search?&name=%EC%B0%A8+%2B&").await.1, "차 + None None 20");
        assert_eq!(fetch("/search?name").await.1, " None None 20");
        assert_eq!(fetch("/pairs?a=1&a=2&b").await.1, r#"[("a", "1"), ("a", "2"), ("b", "")]"#);
    }

    #[tokio::test]
    async fn bad_path_parameters_are_named() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        let cases = [
            ("/orders/nonsense".to_owned(), "/id"),
            ("/products/nonsense".to_owned(), "/id"),
            ("/products/9223372036854775808".to_owned(), "/id"),
            ("/products/%ff".to_owned(), "/id"),
            ("/pairs/nonsense/1".to_owned(), "/a"),
            (format!("/pairs/{id}/nonsense"), "/b"),
            ("/ids/nonsense/1".to_owned(), "/order"),
            (format!("/ids/{id}/nonsense"), "/line"),
        ];
        for (uri, pointer) in cases {
            let (status, code, at, detail) = refused(&uri).await;
            assert_eq!((status, code.as_str(), at.as_str()), (400, "INVALID_PARAMETER", pointer), "{uri}");
            assert!(!detail.is_empty() && !detail.contains("nonsense"), "{uri}: {detail}");
        }
    }

    #[tokio::test]
    async fn what_is_expected_is_said_without_the_parsers_words() {
        let cases = [
            ("/orders/nonsense", "expected a UUID"),
            ("/products/nonsense", "expected a whole number in its range"),
            ("/products/%ff", "expected percent-encoded UTF-8"),
            ("/search?name=x&limit=0", "expected a whole number from 1 to 100"),
            ("/search?name=x&limit=", "expected a whole number from 1 to 100"),
            ("/search?name=x&limit=nonsense", "expected a whole number from 1 to 100"),
            ("/search?name=x&limit=99999999999999999999", "expected a whole number from 1 to 100"),
            ("/search?name=%ff", "expected percent-encoded UTF-8"),
            ("/search?name=%EC%B0", "expected percent-encoded UTF-8"),
            ("/search?name=x&sort=BEST", "expected `LATEST` or `PRICE_ASC`"),
            ("/search", "is required"),
            ("/search?name=x&name=y", "is given twice"),
        ];
        for (uri, expected) in cases {
            assert_eq!(refused(uri).await.3, expected, "{uri}");
        }
        let (.., detail) = refused("/search?name=x&page=1").await;
        assert_eq!(detail, "there is no such parameter; expected one of `sort`, `brandId`, `limit`, `name`");
        assert_eq!(refused("/search?%ff=x").await.1, "MALFORMED_REQUEST");
    }

    #[tokio::test]
    async fn a_handler_that_does_not_fit_its_route_is_our_bug() {
        assert_eq!(refused("/wrong/1").await.0, 500);
        assert_eq!(refused("/strange/1").await.0, 500);
    }

    #[tokio::test]
    async fn bad_query_parameters_are_named() {
        let cases = [
            ("/search?name=x&limit=0", "/limit"),
            ("/search?name=x&limit=101", "/limit"),
            ("/search?name=x&limit=-1", "/limit"),
            ("/search?name=x&limit=", "/limit"),
            ("/search?name=x&limit=99999999999", "/limit"),
            ("/search?name=x&sort=BEST", "/sort"),
            ("/search?name=x&brandId=one", "/brandId"),
            ("/search?name=x&name=y", "/name"),
            ("/search", "/name"),
        ];
        for (uri, pointer) in cases {
            let (status, code, at, _) = refused(uri).await;
            assert_eq!((status, code.as_str(), at.as_str()), (400, "INVALID_PARAMETER", pointer), "{uri}");
        }
        let (status, code, at, _) = refused("/search?name=x&page=1").await;
        assert_eq!((status, code.as_str(), at.as_str()), (400, "UNKNOWN_PARAMETER", "/page"));
    }
}
