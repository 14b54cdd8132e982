use std::process::ExitCode;

use commerce_api::app::{Platform, demo};
use commerce_api::config::Profile;
use tokio::time::Instant;

use crate::apps::Apps;
use crate::banner::Banner;
use crate::cli::Global;
use crate::console;
use crate::data_dir::{self, UpLock};
use crate::failure::Failure;
use crate::mode;
use crate::ports;
use crate::settings::Settings;
use crate::setup;

/// Starts the shop and runs until a signal.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let started_at = Instant::now();
    let settings = setup::configuration(global)?.settings;
    let config = &settings.api;
    commerce_telemetry::logging::init(config.log.format, &config.log.filter)?;
    config.require_own_secrets()?;
    let mut stop = setup::signals()?;
    let mut lock = take_directory(&settings).await?;

    let start = async {
        // Servers may come later than we do.
        let platform = match config.profile {
            Profile::Embedded => Platform::open(config).await?,
            Profile::Servers => commerce_api::process::platform(config).await?,
        };
        if config.is_demo() {
            demo::seed(&platform, demo::PRODUCTS).await?;
        }
        Apps::start(platform, &settings).await
    };
    let apps = tokio::select! {
        apps = start => apps?,
        // Nothing was accepted yet.
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    lock.record(&apps.addresses())?;
    let program = std::env::args().next().unwrap_or_else(|| "commerce".to_owned());
    let banner = Banner {
        apps: apps.addresses(),
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
        () = apps.stop() => {}
        () = stop.requested() => return Ok(ExitCode::FAILURE),
    }
    lock.release()?;
    console::line("Stopped.");
    Ok(ExitCode::SUCCESS)
}

/// Takes the data directory for this run. Nothing is made in it before everything that may refuse has been asked.
async fn take_directory(settings: &Settings) -> Result<UpLock, Failure> {
    let config = &settings.api;
    let dir = &config.data_dir;
    data_dir::refuse_file(dir)?;
    for file in setup::database_files(config) {
        setup::refuse_foreign(&file)?;
    }
    mode::require(config)?;
    // Before the ports: a second `up` of one directory shall be told so, not that the first one has the port.
    let again = UpLock::take_again(dir).await?;
    ports::require_free(settings).await?;
    data_dir::prepare(dir)?;
    let lock = match again {
        Some(lock) => lock,
        None => UpLock::take(dir).await?,
    };
    mode::claim(config)?;
    Ok(lock)
}
