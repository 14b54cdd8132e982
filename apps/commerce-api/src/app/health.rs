use async_trait::async_trait;
use commerce_database::Database;
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
            Ok(()) => Health::up().with("database", "SQLite"),
            Err(error) => {
                tracing::warn!(%error, "the database does not answer");
                Health::down("the database does not answer")
            }
        }
    }
}
