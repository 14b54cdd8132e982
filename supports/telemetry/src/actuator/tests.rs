use std::net::SocketAddr;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use tower::ServiceExt as _;

use super::*;
use crate::guard::{AnyOf, LoopbackOr};
use crate::health::{Health, HealthIndicator, Readiness};

struct Db(bool);

#[async_trait]
impl HealthIndicator for Db {
    fn name(&self) -> &'static str {
        "db"
    }

    async fn check(&self) -> Health {
        if self.0 { Health::up().with("database", "SQLite") } else { Health::down("gone") }
    }
}

#[derive(Clone, Copy)]
enum From {
    Local,
    Remote,
    Scraper,
    Customer,
}

/// Knows customers, and lets none of them in.
struct Customers;

#[async_trait]
impl DetailsGuard for Customers {
    async fn access(&self, parts: &Parts) -> Access {
        let is_customer = parts.headers.get("authorization").is_some_and(|value| value == "Bearer customer");
        if is_customer { Access::Denied } else { Access::Anonymous }
    }
}

struct App {
    router: Router,
    readiness: Readiness,
}

impl App {
    fn new(db_works: bool) -> Self {
        Self::showing(db_works, BreakerRegistry::default())
    }

    fn showing(db_works: bool, breakers: BreakerRegistry) -> Self {
        let readiness = Readiness::default();
        let health = HealthRegistry::new(readiness.clone()).with_readiness(Arc::new(Db(db_works)));
        let info =
            BuildInfo { name: "commerce-api", version: "1.2.3", profile: "debug", commit: Some("abc") };
        let guard =
            Arc::new(AnyOf(vec![Arc::new(LoopbackOr::new(Some("scrape".to_owned()))), Arc::new(Customers)]));
        let state = ActuatorState::new(info, health, crate::metrics::install().unwrap(), guard);
        Self { router: router(state.with_breakers(breakers)), readiness }
    }

    async fn fetch(&self, path: &str, from: From) -> Response {
        let peer: SocketAddr = match from {
            From::Local => "127.0.0.1:4000".parse().unwrap(),
            From::Remote | From::Scraper | From::Customer => "10.0.0.1:4000".parse().unwrap(),
        };
        let mut request = Request::get(path).header(HOST, "localhost:8080");
        request = match from {
            From::Scraper => request.header("authorization", "Bearer scrape"),
            From::Customer => request.header("authorization", "Bearer customer"),
            From::Local | From::Remote => request,
        };
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn json(&self, path: &str, from: From) -> (u16, Value) {
        let response = self.fetch(path, from).await;
        (response.status().as_u16(), serde_json::from_str(&text(response).await).unwrap())
    }
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_index_links_absolutely() {
    let (status, body) = App::new(true).json("/actuator", From::Local).await;
    assert_eq!(status, 200);
    let links = &body["_links"];
    assert_eq!(links["self"], json!({"href": "http://localhost:8080/actuator", "templated": false}));
    assert_eq!(links["prometheus"]["href"], "http://localhost:8080/actuator/prometheus");
    assert_eq!(
        links["metrics-requiredMetricName"],
        json!({"href": "http://localhost:8080/actuator/metrics/{requiredMetricName}", "templated": true})
    );
}

#[test]
fn an_unusable_host_makes_relative_links() {
    let mut headers = HeaderMap::new();
    assert_eq!(base_url(&headers), "");
    headers.insert(HOST, "a b\"<script>".parse().unwrap());
    assert_eq!(base_url(&headers), "");
}

#[tokio::test]
async fn health_shows_components_to_operators_only() {
    let app = App::new(true);
    let groups = json!(["liveness", "readiness"]);
    assert_eq!(
        app.json("/actuator/health", From::Remote).await,
        (200, json!({"status": "UP", "groups": groups}))
    );
    let (status, body) = app.json("/actuator/health", From::Local).await;
    assert_eq!(status, 200);
    assert_eq!(body["components"]["db"], json!({"status": "UP", "details": {"database": "SQLite"}}));
    assert_eq!(body["components"]["readinessState"], json!({"status": "UP"}));
}

#[tokio::test]
async fn a_broken_part_makes_it_503() {
    let app = App::new(false);
    let down = (503, json!({"status": "DOWN"}));
    assert_eq!(app.json("/actuator/health/readiness", From::Remote).await, down);
    assert_eq!(app.json("/actuator/health", From::Remote).await.0, 503);
    assert_eq!(app.json("/actuator/health/liveness", From::Remote).await, (200, json!({"status": "UP"})));
}

#[tokio::test]
async fn draining_takes_readiness_away() {
    let app = App::new(true);
    assert_eq!(app.json("/actuator/health/readiness", From::Remote).await, (200, json!({"status": "UP"})));
    app.readiness.set_draining();
    let out = (503, json!({"status": "OUT_OF_SERVICE"}));
    assert_eq!(app.json("/actuator/health/readiness", From::Remote).await, out);
    assert_eq!(app.json("/actuator/health/liveness", From::Remote).await.0, 200);
}

#[tokio::test]
async fn the_rest_is_guarded() {
    let app = App::new(true);
    let paths = [
        "/actuator",
        "/actuator/info",
        "/actuator/metrics",
        "/actuator/metrics/nothing",
        "/actuator/prometheus",
        "/actuator/circuitbreakers",
    ];
    for path in paths {
        let (status, body) = app.json(path, From::Remote).await;
        assert_eq!((status, &body["code"]), (401, &json!("AUTHENTICATION_REQUIRED")), "{path}");
        assert_eq!(body["status"], 401);
        let (status, body) = app.json(path, From::Customer).await;
        assert_eq!((status, &body["code"]), (403, &json!("ACCESS_DENIED")), "{path}");
        for from in [From::Local, From::Scraper] {
            assert_ne!(app.fetch(path, from).await.status(), 401, "{path}");
        }
    }
    assert_eq!(app.fetch("/actuator/env", From::Local).await.status(), 404);
}

#[tokio::test]
async fn info_tells_the_build() {
    let (_, body) = App::new(true).json("/actuator/info", From::Local).await;
    assert_eq!(body["app"], json!({"name": "commerce-api", "version": "1.2.3"}));
    assert_eq!(body["build"]["profile"], "debug");
    assert_eq!(body["git"]["commit"]["id"], "abc");
    assert!(body["process"]["uptimeSeconds"].is_u64());
}

#[tokio::test]
async fn metrics_are_listed_and_shown() {
    let app = App::new(true);
    metrics::counter!("actuator_test_total", "kind" => "a:b").increment(2);
    metrics::counter!("actuator_test_total", "kind" => "c").increment(3);
    let (_, body) = app.json("/actuator/metrics", From::Scraper).await;
    assert!(body["names"].as_array().unwrap().contains(&json!("actuator_test_total")), "{body}");
    let (status, body) = app.json("/actuator/metrics/actuator_test_total", From::Local).await;
    assert_eq!(status, 200);
    assert_eq!(body["measurements"], json!([{"statistic": "COUNT", "value": 5.0}]));
    assert_eq!(body["availableTags"], json!([{"tag": "kind", "values": ["a:b", "c"]}]));
    let (_, body) = app.json("/actuator/metrics/actuator_test_total?tag=kind:a:b", From::Local).await;
    assert_eq!(body["measurements"][0]["value"], 2.0);
    let none = ["/actuator/metrics/actuator_test_total?tag=kind:z", "/actuator/metrics/nothing"];
    for path in none {
        let (status, body) = app.json(path, From::Local).await;
        assert_eq!((status, &body["code"]), (404, &json!("METRIC_NOT_FOUND")));
    }
    for query in ["tag=kind", "label=kind:a", "tag=kind:%FF"] {
        let path = format!("/actuator/metrics/actuator_test_total?{query}");
        let (status, body) = app.json(&path, From::Local).await;
        assert_eq!((status, &body["code"]), (400, &json!("INVALID_PARAMETER")), "{query}");
    }
}

#[tokio::test]
async fn prometheus_is_plain_text() {
    let app = App::new(true);
    metrics::gauge!("actuator_gauge").set(4.0);
    let response = app.fetch("/actuator/prometheus", From::Scraper).await;
    assert_eq!(response.headers()[CONTENT_TYPE], PROMETHEUS_TEXT);
    let text = text(response).await;
    assert!(text.contains("# TYPE actuator_gauge gauge\nactuator_gauge 4\n"), "{text}");
}

#[tokio::test]
async fn circuit_breakers_are_shown_as_dashboards_know_them() {
    let breakers = BreakerRegistry::default();
    let options = commerce_resilience::BreakerOptions { calls_min: 1, ..Default::default() };
    breakers.register("gateway-query", options).unwrap();
    let charges = breakers.register("gateway-charge", options).unwrap();
    charges.try_acquire().unwrap().settle(commerce_resilience::Verdict::failure());
    charges.try_acquire().unwrap_err();
    let app = App::showing(true, breakers);
    assert_eq!(
        app.json("/actuator/circuitbreakers", From::Scraper).await,
        (
            200,
            json!({"circuitBreakers": {
                "gateway-charge": {
                    "state": "OPEN", "failureRate": "100.0%", "slowCallRate": "0.0%",
                    "failureRateThreshold": "50.0%", "slowCallRateThreshold": "100.0%", "bufferedCalls": 1,
                    "failedCalls": 1, "slowCalls": 0, "slowFailedCalls": 0, "notPermittedCalls": 1,
                },
                "gateway-query": {
                    "state": "CLOSED", "failureRate": "-1.0%", "slowCallRate": "-1.0%",
                    "failureRateThreshold": "50.0%", "slowCallRateThreshold": "100.0%", "bufferedCalls": 0,
                    "failedCalls": 0, "slowCalls": 0, "slowFailedCalls": 0, "notPermittedCalls": 0,
                },
            }})
        )
    );
    let (_, none) = App::new(true).json("/actuator/circuitbreakers", From::Local).await;
    assert_eq!(none, json!({"circuitBreakers": {}}));
}
