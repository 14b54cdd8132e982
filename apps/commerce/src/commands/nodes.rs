//! Apps as processes of their own.

use std::process::ExitCode;

use crate::apps;
use crate::banner::base_url;
use crate::cli::Global;
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::setup;

/// Serves the API alone.
pub async fn api(global: &Global) -> Result<ExitCode, Failure> {
    let settings = setup::configuration(global)?.settings;
    Ok(commerce_api::process::run(&settings.api).await?)
}

/// Serves the collector alone.
pub async fn collector(global: &Global) -> Result<ExitCode, Failure> {
    let settings = setup::configuration(global)?.settings;
    Ok(commerce_collector::process::run(&settings.api, &settings.collector).await?)
}

/// Serves the simulated gateway alone, in either profile: it keeps a file of its own in the data directory.
pub async fn simulator(global: &Global) -> Result<ExitCode, Failure> {
    let settings = setup::configuration(global)?.settings;
    let config = &settings.api;
    commerce_telemetry::logging::init(config.log.format, &config.log.filter)?;
    let mut stop = setup::signals()?;
    data_dir::prepare(&config.data_dir)?;
    let running =
        pg_simulator::Simulator::start(apps::simulator_options(&settings, setup::webhook_secrets(config)?))
            .await?;
    console::line(&format!("pg-simulator listens on {}", base_url(running.addr())));
    stop.requested().await;
    console::line("Stopping.");
    tokio::select! {
        () = running.stop() => Ok(ExitCode::SUCCESS),
        () = stop.requested() => Ok(ExitCode::FAILURE),
    }
}
