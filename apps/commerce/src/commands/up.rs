use std::process::ExitCode;

use commerce_api::app::{Platform, Running, demo};
use tokio::time::Instant;

use crate::banner::Banner;
use crate::cli::Global;
use crate::console;
use crate::data_dir::{self, UpLock};
use crate::failure::Failure;
use crate::setup;
use crate::signals::Stop;

/// Starts the shop and runs until a signal.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let started_at = Instant::now();
    let config = setup::configuration(global)?.config;
    commerce_telemetry::logging::init(config.log.format, &config.log.filter)?;
    config.require_own_secrets()?;
    let mut stop = Stop::listen()?;
    data_dir::prepare(&config.data_dir)?;
    let mut lock = UpLock::take(&config.data_dir)?;

    let platform = Platform::open(&config).await?;
    if config.is_demo() {
        demo::seed(&platform, demo::PRODUCTS).await?;
    }
    let running = Running::start(platform, &config).await?;
    lock.record_api(running.api_addr())?;
    let program = std::env::args().next().unwrap_or_else(|| "commerce".to_owned());
    let banner = Banner {
        api: running.api_addr(),
        data_dir: &config.data_dir,
        program: &program,
        demo: config.is_demo(),
        docs: config.docs.enabled,
        started_in: started_at.elapsed(),
    };
    console::line(&banner.text());

    stop.requested().await;
    console::line("Stopping; what was accepted is finished. Once more Ctrl-C stops at once.");
    tokio::select! {
        () = running.stop() => {}
        () = stop.requested() => return Ok(ExitCode::FAILURE),
    }
    lock.release()?;
    console::line("Stopped.");
    Ok(ExitCode::SUCCESS)
}
