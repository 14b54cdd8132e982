//! Health of the process and of what it needs.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use serde::Serialize;
use serde_json::{Map, Value};

/// A check that takes longer counts as down: what answers this slowly does not serve.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Name of the component that tells whether the process takes new work.
const READINESS_STATE: &str = "readinessState";

/// Name of the component that tells that the process answers.
const LIVENESS_STATE: &str = "livenessState";

/// A state as Spring Boot names it. The worst of a group is the group's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HealthStatus {
    /// Works.
    Up,
    /// Works, and takes no new work: it is shutting down.
    OutOfService,
    /// Does not work.
    Down,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// The state.
    pub status: HealthStatus,
    /// Figures and reasons for operators.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl Health {
    /// It works.
    pub fn up() -> Self {
        Self { status: HealthStatus::Up, details: Map::new() }
    }

    /// It does not, for this reason.
    pub fn down(reason: impl Into<String>) -> Self {
        Self { status: HealthStatus::Down, details: Map::new() }.with("error", reason.into())
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

/// Checks one thing that the process needs.
#[async_trait]
pub trait HealthIndicator: Send + Sync {
    /// Name of the component, in camelCase, such as `db`.
    fn name(&self) -> &'static str;

    /// Looks now. Cheap: every probe calls it.
    async fn check(&self) -> Health;
}

/// The switch that takes the process out of the balancer before it stops.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on the process is not ready.
    pub fn set_draining(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the process is on its way out.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Which question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Everything there is.
    All,
    /// Does the process answer? No indicator is asked: a restart repairs none of them.
    Liveness,
    /// Can it serve?
    Readiness,
}

/// The answer to a probe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The worst state of all components.
    pub status: HealthStatus,
    /// The components, by name.
    pub components: BTreeMap<&'static str, Health>,
}

/// The indicators of an app.
#[derive(Clone, Default)]
pub struct HealthRegistry {
    indicators: Vec<(Arc<dyn HealthIndicator>, bool)>,
    readiness: Readiness,
}

impl HealthRegistry {
    /// A registry without indicators, with the app's switch.
    pub fn new(readiness: Readiness) -> Self {
        Self { indicators: Vec::new(), readiness }
    }

    /// Adds an indicator that is shown and does not decide about readiness.
    #[must_use]
    pub fn with(mut self, indicator: Arc<dyn HealthIndicator>) -> Self {
        self.indicators.push((indicator, false));
        self
    }

    /// Adds an indicator without which the app cannot serve.
    #[must_use]
    pub fn with_readiness(mut self, indicator: Arc<dyn HealthIndicator>) -> Self {
        self.indicators.push((indicator, true));
        self
    }

    /// Asks all indicators of the probe at the same time.
    pub async fn report(&self, probe: Probe) -> Report {
        let asked = self.indicators.iter().filter(|(_, for_readiness)| match probe {
            Probe::All => true,
            Probe::Liveness => false,
            Probe::Readiness => *for_readiness,
        });
        let checks =
            asked.map(|(indicator, _)| async { (indicator.name(), check(indicator.as_ref()).await) });
        let mut components: BTreeMap<_, _> = futures::future::join_all(checks).await.into_iter().collect();
        if probe != Probe::Readiness {
            components.insert(LIVENESS_STATE, Health::up());
        }
        if probe != Probe::Liveness {
            let status =
                if self.readiness.is_draining() { HealthStatus::OutOfService } else { HealthStatus::Up };
            components.insert(READINESS_STATE, Health { status, details: Map::new() });
        }
        let status = components.values().map(|health| health.status).max().unwrap_or(HealthStatus::Up);
        Report { status, components }
    }
}

async fn check(indicator: &dyn HealthIndicator) -> Health {
    let guarded = AssertUnwindSafe(indicator.check()).catch_unwind();
    match tokio::time::timeout(CHECK_TIMEOUT, guarded).await {
        Ok(Ok(health)) => health,
        Ok(Err(_)) => Health::down("the check panicked"),
        Err(_) => Health::down(format!("no answer within {} ms", CHECK_TIMEOUT.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str, Health);

    #[async_trait]
    impl HealthIndicator for Fixed {
        fn name(&self) -> &'static str {
            self.0
        }

        async fn check(&self) -> Health {
            self.1.clone()
        }
    }

    struct Hanging(Duration);

    #[async_trait]
    impl HealthIndicator for Hanging {
        fn name(&self) -> &'static str {
            "hanging"
        }

        async fn check(&self) -> Health {
            // tidy: sleep on the paused clock, it stands for a slow dependency
            tokio::time::sleep(self.0).await;
            Health::up()
        }
    }

    struct Panicking;

    #[async_trait]
    impl HealthIndicator for Panicking {
        fn name(&self) -> &'static str {
            "panicking"
        }

        #[expect(clippy::panic, reason = "the check under test panics")]
        async fn check(&self) -> Health {
            panic!("broken check")
        }
    }

    #[tokio::test]
    async fn the_worst_component_decides() {
        let registry = HealthRegistry::default().with_readiness(Arc::new(Fixed("db", Health::up())));
        assert_eq!(registry.report(Probe::All).await.status, HealthStatus::Up);
        let registry = registry.with(Arc::new(Fixed("bus", Health::down("no broker"))));
        let report = registry.report(Probe::All).await;
        assert_eq!(report.status, HealthStatus::Down);
        assert_eq!(report.components["bus"].details["error"], "no broker");
        assert_eq!(report.components["db"].status, HealthStatus::Up);
    }

    #[tokio::test]
    async fn only_readiness_indicators_decide_about_readiness() {
        let registry = HealthRegistry::default().with(Arc::new(Fixed("bus", Health::down("gone"))));
        assert_eq!(registry.report(Probe::Readiness).await.status, HealthStatus::Up);
        let registry = registry.with_readiness(Arc::new(Fixed("db", Health::down("gone"))));
        assert_eq!(registry.report(Probe::Readiness).await.status, HealthStatus::Down);
        assert_eq!(registry.report(Probe::Liveness).await.status, HealthStatus::Up);
    }

    #[tokio::test]
    async fn a_draining_process_is_alive_and_not_ready() {
        let readiness = Readiness::default();
        let registry = HealthRegistry::new(readiness.clone());
        assert_eq!(registry.report(Probe::Readiness).await.status, HealthStatus::Up);
        readiness.set_draining();
        assert_eq!(registry.report(Probe::Readiness).await.status, HealthStatus::OutOfService);
        assert_eq!(registry.report(Probe::Liveness).await.status, HealthStatus::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_check_is_down() {
        let slow = |millis| HealthRegistry::default().with(Arc::new(Hanging(Duration::from_millis(millis))));
        assert_eq!(slow(999).report(Probe::All).await.status, HealthStatus::Up);
        let report = slow(1_001).report(Probe::All).await;
        assert_eq!(report.components["hanging"], Health::down("no answer within 1000 ms"));
    }

    #[tokio::test(start_paused = true)]
    async fn checks_run_at_the_same_time() {
        let hanging = || Arc::new(Hanging(Duration::from_millis(900)));
        let started = tokio::time::Instant::now();
        HealthRegistry::default().with(hanging()).with(hanging()).report(Probe::All).await;
        assert!(started.elapsed() < CHECK_TIMEOUT);
    }

    #[tokio::test]
    async fn a_panicking_check_is_down() {
        let registry = HealthRegistry::default().with(Arc::new(Panicking));
        assert_eq!(
            registry.report(Probe::All).await.components["panicking"],
            Health::down("the check panicked")
        );
    }
}
