//! Helpers of this crate's tests.

use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::context::EntropySource;

/// Entropy that counts up: every id is new, every run the same.
#[derive(Default)]
pub struct Counting(AtomicU8);

impl EntropySource for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
    }
}

/// Sends one request through the router.
pub async fn send(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

/// The body as text.
pub async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The body as JSON.
pub async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}
