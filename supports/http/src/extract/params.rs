//! Path and query parameters with problems that name the parameter.

use std::error::Error;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::reason::{self, Kind};
use crate::problem::Problem;

/// Path parameters, as [`axum::extract::Path`] reads them.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// The query string, as [`axum::extract::Query`] reads it. Unknown parameters are refused when `T` has
/// `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_refusal(rejection, parts, state).await),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_refusal(&rejection)),
        }
    }
}

async fn path_refusal<S: Send + Sync>(rejection: PathRejection, parts: &mut Parts, state: &S) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else { return misuse(&rejection) };
    let names: Vec<String> = RawPathParams::from_request_parts(parts, state)
        .await
        .map(|params| params.iter().map(|(name, _)| name.to_owned()).collect())
        .unwrap_or_default();
    let only = || names.first().filter(|_| names.len() == 1).cloned();
    let (name, detail) = match error.into_kind() {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => (Some(key), expected(expected_type)),
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => {
            (names.get(index).cloned(), expected(expected_type))
        }
        ErrorKind::ParseError { expected_type, .. } => (only(), expected(expected_type)),
        ErrorKind::DeserializeError { key, message, .. } => (Some(key), reason::read(&message).detail),
        ErrorKind::Message(message) => (only(), reason::read(&message).detail),
        ErrorKind::InvalidUtf8InPathParam { key } => (Some(key), "not UTF-8".to_owned()),
        kind => return misuse(&kind),
    };
    Problem::invalid_parameter(name.as_deref().unwrap_or_default(), detail)
}

/// The handler asks for what its route does not have: our bug, not the caller's.
fn misuse(reason: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%reason, "path parameters do not fit the route");
    Problem::internal()
}

fn expected(type_name: &str) -> String {
    format!("expected {}", reason::plain(type_name))
}

fn query_refusal(rejection: &QueryRejection) -> Problem {
    type Located = serde_path_to_error::Error<serde::de::value::Error>;
    // axum hides the error with the path behind its own; the chain still has it.
    let located = std::iter::successors(rejection.source(), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Located>());
    let Some(located) = located else { return Problem::malformed("the query string cannot be read") };
    let reason = reason::read(&located.inner().to_string());
    let pointer = reason::pointer(located.path(), reason.field.as_deref());
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
    async fn a_handler_that_does_not_fit_its_route_is_our_bug() {
        assert_eq!(refused("/wrong/1").await.0, 500);
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
