//! What a request leaves in the log.
//!
//! A process of its own with one test: tracing decides once per process whether a call site is of interest,
//! and a test without a subscriber on another thread could decide it first.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use commerce_http::EntropySource;
use commerce_http::track::track;
use http::{Request, StatusCode};
use tower::ServiceExt as _;

struct Fixed;

impl EntropySource for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(2);
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn one_line_a_request_with_its_trace_and_no_value() {
    let entropy: Arc<dyn EntropySource> = Arc::new(Fixed);
    let app = Router::new()
        .route("/things/{id}", get(|| async { "thing" }))
        .route("/unavailable", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .layer(from_fn_with_state(entropy, track));
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for uri in ["/things/secret?token=secret", "/unavailable"] {
        let request = Request::get(uri).header("authorization", "Bearer secret").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap();
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let [answered, failed] = text.lines().collect::<Vec<_>>()[..] else { unreachable!("two lines: {text}") };
    assert!(answered.contains("DEBUG") && answered.contains("status=200"), "{answered}");
    assert!(answered.contains("/things/{id}"), "{answered}");
    assert!(answered.contains(&format!("trace_id=\"{}", "02".repeat(16))), "{answered}");
    assert!(failed.contains("WARN") && failed.contains("status=503"), "{failed}");
    assert!(!text.contains("secret"), "{text}");
}
