use std::net::{IpAddr, SocketAddr};
use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use super::User;

/// Keys that nobody looks at.
static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

/// A request about to be sent.
pub struct Call {
    router: Router,
    request: http::request::Builder,
    body: Bytes,
    name: String,
}

impl Call {
    pub fn new(router: Router, method: &str, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path);
        Self { router, request, body: Bytes::new(), name: format!("{method} {path}") }
    }

    pub fn by(self, user: &User) -> Self {
        self.token(&user.token)
    }

    pub fn token(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn new_key(self) -> Self {
        let number = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        self.key(&format!("key-{number}"))
    }

    pub fn if_match(self, tag: &str) -> Self {
        self.header(IF_MATCH.as_str(), tag)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// As a server would tell who connected.
    pub fn coming_from(mut self, address: IpAddr) -> Self {
        self.request = self.request.extension(ConnectInfo(SocketAddr::new(address, 4_000)));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    /// A body of any text, said to be JSON.
    pub fn text(self, body: &str) -> Self {
        let mut call = self.header(CONTENT_TYPE.as_str(), "application/json");
        call.body = Bytes::from(body.to_owned());
        call
    }

    pub async fn send(self) -> Reply {
        let request = self.request.body(Body::from(self.body)).unwrap();
        let response = self.router.oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        assert_eq!(headers["x-content-type-options"], "nosniff", "{}", self.name);
        assert!(headers.contains_key("traceparent"), "{}", self.name);
        Reply { status, headers, body, json, call: self.name }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub json: Value,
    call: String,
}

impl Reply {
    /// The reply, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.call, self.json);
        self
    }

    /// The reply, which must be a problem of this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.code(), code, "{}: {}", self.call, self.json);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.call);
        assert_eq!(self["status"], status, "{}", self.call);
        assert!(
            self["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{}: {}",
            self.call,
            self.json
        );
        let path = self.call.split([' ', '?']).nth(1).unwrap();
        assert_eq!(self["instance"], path, "{}", self.call);
        // A repetition gets the first answer, with the trace of the request that was decided.
        if !self.headers.contains_key("idempotent-replayed") {
            assert_eq!(self["traceId"], self.header("traceparent")[3..35], "{}", self.call);
        }
        self.expect(status)
    }

    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("no code")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self, field: &str) -> String {
        self.json[field].as_str().unwrap().to_owned()
    }

    /// Field `field` of each item of a page.
    pub fn items(&self, field: &str) -> Vec<Value> {
        self.json["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.json[field]
    }
}
