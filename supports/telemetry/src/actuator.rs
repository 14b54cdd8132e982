//! The operator's endpoints, in the shapes of Spring Boot's actuator.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use commerce_http::{Json, Path, Problem, Query};
use commerce_resilience::{BreakerRegistry, BreakerSnapshot};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::exposition;
use crate::guard::{Access, DetailsGuard};
use crate::health::{HealthRegistry, HealthStatus, Probe};
use crate::metrics::MetricsHandle;

/// Media type of Prometheus' text form.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the app is, for `/actuator/info`.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// Name of the app.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `debug` or `release`.
    pub profile: &'static str,
    /// The commit it was built from, where the build knew it.
    pub commit: Option<&'static str>,
}

/// What the endpoints show, and to whom.
#[derive(Clone)]
pub struct ActuatorState(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    info: BuildInfo,
    health: HealthRegistry,
    metrics: MetricsHandle,
    breakers: BreakerRegistry,
    guard: Arc<dyn DetailsGuard>,
    started: Instant,
}

impl ActuatorState {
    /// The state of an app that starts now.
    pub fn new(
        info: BuildInfo,
        health: HealthRegistry,
        metrics: MetricsHandle,
        guard: Arc<dyn DetailsGuard>,
    ) -> Self {
        let breakers = BreakerRegistry::default();
        Self(Arc::new(Inner { info, health, metrics, breakers, guard, started: Instant::now() }))
    }

    /// The same, which also shows these circuit breakers.
    #[must_use]
    pub fn with_breakers(self, breakers: BreakerRegistry) -> Self {
        Self(Arc::new(Inner { breakers, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// The metrics as of now: time alone moves those of breakers.
    fn measured(&self) -> String {
        self.0.breakers.refresh();
        self.0.metrics.render()
    }
}

/// The routes under `/actuator`, to be merged into a router that [`commerce_http::track::track`] is layered on. The status, liveness and readiness are public; the guard decides about the
/// rest, and about the components of a health answer.
pub fn router(state: ActuatorState) -> Router {
    let guarded = Router::new()
        .route("/actuator", get(index))
        .route("/actuator/info", get(info))
        .route("/actuator/metrics", get(metric_names))
        .route("/actuator/metrics/{name}", get(metric))
        .route("/actuator/prometheus", get(prometheus))
        .route("/actuator/circuitbreakers", get(circuit_breakers))
        .route_layer(from_fn_with_state(state.clone(), details_only));
    Router::new()
        .route("/actuator/health", get(|state, parts| health(state, parts, Probe::All)))
        .route("/actuator/health/liveness", get(|state, parts| health(state, parts, Probe::Liveness)))
        .route("/actuator/health/readiness", get(|state, parts| health(state, parts, Probe::Readiness)))
        .merge(guarded)
        .with_state(state)
}

async fn details_only(State(state): State<ActuatorState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let refusal = match state.0.guard.access(&parts).await {
        Access::Granted => return next.run(Request::from_parts(parts, body)).await,
        Access::Denied => Problem::forbidden(),
        Access::Anonymous => Problem::authentication_required(),
    };
    refusal
        .detail(
            "this endpoint is for administrators, for the scrape token, and for callers on the same machine",
        )
        .into_response()
}

async fn index(headers: HeaderMap) -> Json<Value> {
    let base = base_url(&headers);
    let mut links = Map::new();
    let mut link = |name: &str, path: &str| {
        let href = format!("{base}/actuator{path}");
        links.insert(name.to_owned(), json!({"href": href, "templated": path.contains('{')}));
    };
    link("self", "");
    link("health", "/health");
    link("health-path", "/health/{*path}");
    link("info", "/info");
    link("metrics", "/metrics");
    link("metrics-requiredMetricName", "/metrics/{requiredMetricName}");
    link("prometheus", "/prometheus");
    link("circuitbreakers", "/circuitbreakers");
    Json(json!({"_links": links}))
}

/// What the caller reached us by. Without a usable `Host` the links are relative to it.
fn base_url(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()?.parse::<Authority>().ok());
    host.map(|authority| format!("http://{authority}")).unwrap_or_default()
}

async fn health(State(state): State<ActuatorState>, parts: Parts, probe: Probe) -> Response {
    let report = state.0.health.report(probe).await;
    let mut body = json!({"status": report.status});
    if state.0.guard.access(&parts).await == Access::Granted {
        body["components"] = json!(report.components);
    }
    if probe == Probe::All {
        body["groups"] = json!(["liveness", "readiness"]);
    }
    let status = match report.status {
        HealthStatus::Up => StatusCode::OK,
        HealthStatus::Down | HealthStatus::OutOfService => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body)).into_response()
}

async fn info(State(state): State<ActuatorState>) -> Json<Value> {
    let info = state.0.info;
    let mut body = json!({
        "app": {"name": info.name, "version": info.version},
        "build": {"name": info.name, "version": info.version, "profile": info.profile},
        "process": {"uptimeSeconds": state.0.started.elapsed().as_secs()},
    });
    if let Some(commit) = info.commit {
        body["git"] = json!({"commit": {"id": commit}});
    }
    Json(body)
}

async fn metric_names(State(state): State<ActuatorState>) -> Json<Value> {
    let families = exposition::parse(&state.measured());
    Json(json!({"names": families.keys().collect::<Vec<_>>()}))
}

async fn metric(
    State(state): State<ActuatorState>,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Problem> {
    let mut tags = Vec::new();
    for (parameter, value) in &query {
        match value.split_once(':') {
            Some(tag) if parameter == "tag" => tags.push(tag),
            _ => {
                return Err(Problem::invalid_parameter(
                    "tag",
                    "expected tag=name:value, any number of times",
                ));
            }
        }
    }
    let families = exposition::parse(&state.measured());
    exposition::find(&families, &name)
        .and_then(|family| family.to_actuator(&name, &tags))
        .map(Json)
        .ok_or_else(metric_not_found)
}

fn metric_not_found() -> Problem {
    let title = "No metric has this name and these tags";
    Problem::not_found("METRIC_NOT_FOUND", title, "/actuator/metrics lists the names")
}

async fn prometheus(State(state): State<ActuatorState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], state.measured())
}

/// As Resilience4j's endpoint shows them.
async fn circuit_breakers(State(state): State<ActuatorState>) -> Json<Value> {
    let shown = |breaker: BreakerSnapshot| (breaker.name.to_string(), circuit_breaker(&breaker));
    let breakers: Map<_, _> = state.0.breakers.snapshots().into_iter().map(shown).collect();
    Json(json!({"circuitBreakers": breakers}))
}

fn circuit_breaker(breaker: &BreakerSnapshot) -> Value {
    let percent = |rate: f64| format!("{rate:.1}%");
    json!({
        "state": breaker.state.name(),
        "failureRate": percent(breaker.failure_rate),
        "slowCallRate": percent(breaker.slow_call_rate),
        "failureRateThreshold": percent(breaker.failure_rate_threshold.into()),
        "slowCallRateThreshold": percent(breaker.slow_call_rate_threshold.into()),
        "bufferedCalls": breaker.buffered_calls,
        "failedCalls": breaker.failed_calls,
        "slowCalls": breaker.slow_calls,
        "slowFailedCalls": breaker.slow_failed_calls,
        "notPermittedCalls": breaker.not_permitted_calls,
    })
}

#[cfg(test)]
mod tests;
