use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use commerce_database::{Database, Dialect};
use commerce_redis::Redis;
use commerce_telemetry::{Health, HealthIndicator};

/// Whether the database answers reads.
pub(super) struct DatabaseHealth(pub Database);

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

/// What kind of database it is.
fn product(database: &Database) -> &'static str {
    match database.dialect() {
        Dialect::Sqlite => "SQLite",
        Dialect::MySql => "MySQL",
    }
}

/// Whether the event log was reached once and has its topics. Without it later nothing is lost and orders go on, so it does
/// not take a node out of the balancer again: the lag of the outbox tells.
#[derive(Debug, Clone, Default)]
pub(super) struct BusReached(Arc<AtomicBool>);

impl BusReached {
    /// It was reached.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl HealthIndicator for BusReached {
    fn name(&self) -> &'static str {
        "bus"
    }

    async fn check(&self) -> Health {
        if self.0.load(Ordering::Relaxed) {
            Health::up()
        } else {
            Health::down("the event log was not reached yet")
        }
    }
}

/// Whether Redis answers.
pub(super) struct RedisHealth(pub Redis);

#[async_trait]
impl HealthIndicator for RedisHealth {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> Health {
        match self.0.ping().await {
            Ok(()) => Health::up(),
            Err(error) => Health::down(error.to_string()),
        }
    }
}
