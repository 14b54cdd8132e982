//! The recount of a data directory, by whoever asks for it.

use commerce_api_application::ports::AuditReport;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::setup;

/// Recounts everything that is kept in the data directory. `settled`: what merely lags is a violation.
pub async fn recount(settings: &Settings, settled: bool) -> Result<AuditReport, Failure> {
    let platform = setup::open_existing(&settings.api).await?;
    let report = platform.audit.audit(platform.clock.now(), settled).await;
    platform.database.close().await;
    Ok(report?)
}
