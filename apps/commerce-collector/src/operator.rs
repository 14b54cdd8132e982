//! The actuator of the collector: who may see it, and what is healthy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use commerce_database::{Database, Dialect};
use commerce_http::Authenticator;
use commerce_telemetry::{
    Access, ActuatorState, AnyOf, BuildInfo, DetailsGuard, Health, HealthIndicator, HealthRegistry,
    LoopbackOr, MetricsHandle, Readiness, actuator,
};

use crate::application::{ConsumerState, Status};

/// The actuator's routes.
pub fn router(
    database: Database,
    consumer: ConsumerState,
    authenticator: Arc<dyn Authenticator>,
    scrape_token: Option<String>,
    metrics: MetricsHandle,
    readiness: Readiness,
) -> Router {
    // On a server there may be no event log yet; a file is made with the collector.
    let waits = database.dialect() == Dialect::MySql;
    let mut health = HealthRegistry::new(readiness)
        .with_readiness(Arc::new(DatabaseHealth(database)))
        .with(Arc::new(ConsumerHealth(consumer.clone())));
    if waits {
        health = health.with_readiness(Arc::new(BusReached { consumer, once: AtomicBool::new(false) }));
    }
    let guard = AnyOf(vec![Arc::new(LoopbackOr::new(scrape_token)), Arc::new(AdminSession(authenticator))]);
    let info = BuildInfo {
        name: "commerce-collector",
        version: env!("CARGO_PKG_VERSION"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        commit: option_env!("COMMERCE_COMMIT"),
    };
    actuator::router(ActuatorState::new(info, health, metrics, Arc::new(guard)))
}

/// Whether the database answers reads.
struct DatabaseHealth(Database);

#[async_trait]
impl HealthIndicator for DatabaseHealth {
    fn name(&self) -> &'static str {
        "db"
    }

    async fn check(&self) -> Health {
        match self.0.reader().ping().await {
            Ok(()) => Health::up().with("database", product(&self.0)),
            Err(error) => {
                tracing::warn!(%error, "the database does not answer");
                Health::down("the database does not answer")
            }
        }
    }
}

/// Whether events are counted. Boards and metrics are served all the same, so it does not decide about readiness.
struct ConsumerHealth(ConsumerState);

#[async_trait]
impl HealthIndicator for ConsumerHealth {
    fn name(&self) -> &'static str {
        "consumer"
    }

    async fn check(&self) -> Health {
        let health = match self.0.status() {
            Status::Starting => Health::up().with("status", "STARTING"),
            Status::Running => Health::up().with("status", "RUNNING").with("partitions", self.0.partitions()),
            Status::Retrying(reason) => Health::down(reason).with("status", "RETRYING"),
            Status::Halted(reason) => Health::down(reason).with("status", "HALTED"),
            Status::Stopped => Health::down("the consumer was stopped").with("status", "STOPPED"),
        };
        match self.0.skipped() {
            0 => health,
            skipped => health.with("skipped", skipped),
        }
    }
}

/// Whether the consumer joined its group once. What happens to it later is told by [`ConsumerHealth`].
struct BusReached {
    consumer: ConsumerState,
    once: AtomicBool,
}

#[async_trait]
impl HealthIndicator for BusReached {
    fn name(&self) -> &'static str {
        "bus"
    }

    async fn check(&self) -> Health {
        let runs = matches!(self.consumer.status(), Status::Running);
        if self.once.fetch_or(runs, Ordering::Relaxed) || runs {
            Health::up()
        } else {
            Health::down("the event log was not reached yet")
        }
    }
}

/// Admits an administrator's session to the actuator's details.
struct AdminSession(Arc<dyn Authenticator>);

#[async_trait]
impl DetailsGuard for AdminSession {
    async fn access(&self, parts: &Parts) -> Access {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
            return Access::Anonymous;
        };
        match self.0.authenticate(token.trim()).await {
            Ok(Some(principal)) if principal.admin => Access::Granted,
            Ok(Some(_)) => Access::Denied,
            // A session store that fails closes the door.
            Ok(None) | Err(_) => Access::Anonymous,
        }
    }
}

/// What kind of database it is.
fn product(database: &Database) -> &'static str {
    match database.dialect() {
        Dialect::Sqlite => "SQLite",
        Dialect::MySql => "MySQL",
    }
}
