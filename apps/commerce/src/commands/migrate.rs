use std::process::ExitCode;
use std::sync::Arc;

use commerce_api::app::EventLog;
use commerce_collector::Collector;
use commerce_runtime::SystemClock;

use crate::apps;
use crate::cli::Global;
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Brings every schema up to date, of the data directory or of the servers; opening a database does. The simulated
/// gateway's is its own.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let settings = setup::for_operator(global)?;
    let shop = setup::open(&settings.api).await?;
    let clock = Arc::new(SystemClock);
    let log = EventLog::open(&settings.api, false, clock.clone()).await?;
    let collector = Collector::open(apps::collector_options(&settings)?, clock.as_ref()).await?;
    let up_to_date = |place: &str| console::line(&format!("The schema of {place} is up to date."));
    up_to_date(&shop.database.place());
    match &log {
        EventLog::Embedded(log) => up_to_date(&log.database().place()),
        EventLog::Kafka(bus) => {
            EventLog::make_topics(bus).await?;
            console::line("The topics of the event log are there.");
        }
    }
    up_to_date(&collector.database.place());
    collector.close().await;
    log.close().await;
    shop.database.close().await;
    Ok(ExitCode::SUCCESS)
}
