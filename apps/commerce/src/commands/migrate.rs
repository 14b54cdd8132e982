use std::process::ExitCode;
use std::sync::Arc;

use commerce_api::app::EventLog;
use commerce_bus::EmbeddedLog;
use commerce_collector::Collector;
use commerce_runtime::SystemClock;

use crate::apps;
use crate::cli::Global;
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Brings every schema of the data directory up to date; opening a database does. The simulated gateway's is its own.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let shop = setup::open(&settings.api).await?;
    let clock = Arc::new(SystemClock);
    let log = EmbeddedLog::open(EventLog::file_options(&settings.api, false), clock.clone()).await?;
    let collector = Collector::open(apps::collector_options(&settings), clock.as_ref()).await?;
    for database in [&shop.database, log.database(), &collector.database] {
        console::line(&format!("The schema of {} is up to date.", database.place()));
    }
    collector.close().await;
    log.close().await;
    shop.database.close().await;
    Ok(ExitCode::SUCCESS)
}
