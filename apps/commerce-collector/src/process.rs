//! The collector as a process of its own, one of as many as are needed. The only part of this crate that knows the shop:
//! its configuration, and the sessions of its administrators.

use std::process::ExitCode;
use std::sync::Arc;

use commerce_api::app::{EventLog, Platform};
use commerce_api::config::{Config, ConfigError, Profile, Sources, Tables};
use commerce_api::interfaces::SessionAuthenticator;
pub use commerce_api::process::ProcessError as ShopError;
use commerce_api::process::{platform, require_servers};
use commerce_process::{Stop, Waiting, line, until_there};
use commerce_redis::Redis;
use commerce_runtime::SystemClock;
use commerce_telemetry::logging;

use crate::settings::CollectorSettings;
use crate::{Collector, Options, Running, StartError};

/// Sections that other processes read from the same file.
const OTHERS: &[&str] = &["simulator"];

/// Why a process ends without having served.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// What it shares with the API's processes cannot be used.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ProcessError {
    /// 2: call it differently; 1: it failed.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Shop(error) => error.code(),
            Self::Start(error) if error.is_for_the_caller() => ExitCode::from(2),
            Self::Start(_) => ExitCode::FAILURE,
        }
    }
}

/// Reads the configuration of a process that serves only the collector.
pub fn configuration(sources: &Sources) -> Result<(Config, CollectorSettings), ConfigError> {
    let tables = Tables::default().with::<Config>().with::<CollectorSettings>().beside(OTHERS);
    let values = tables.read(sources)?;
    Ok((values.section()?, values.section()?))
}

/// The collector's options, by its section and by what all apps share.
pub fn options(config: &Config, settings: &CollectorSettings) -> Result<Options, ConfigError> {
    let mut options = Options::new(config.data_dir.join(Options::DATABASE_FILE));
    settings.collector.apply(&mut options);
    options.durable = config.database.durable;
    options.zone = config.zone();
    options.docs = config.docs.enabled;
    options.scrape_token = config.actuator.scrape_token.as_ref().map(|token| token.expose().to_owned());
    if config.profile == Profile::Servers {
        options.server = Some(config.olap_options()?);
        let redis = Redis::open(&config.redis_options());
        options.redis =
            Some(redis.map_err(|error| ConfigError::Unusable { section: "redis", source: error.into() })?);
    }
    Ok(options)
}

/// Serves until a signal: waits for the databases and for the event log, and finishes what it is counting at the end.
pub async fn run(config: &Config, settings: &CollectorSettings) -> Result<ExitCode, ProcessError> {
    logging::init(config.log.format, &config.log.filter).map_err(ShopError::from)?;
    require_servers(config, "the collector")?;
    let mut stop = Stop::listen().map_err(ShopError::Signals)?;
    let started = tokio::select! {
        started = start(config, settings) => started?,
        // Nothing was counted yet.
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    let (running, log, platform) = started;
    line(&format!("commerce-collector listens on http://{}", running.addr()));
    stop.requested().await;
    line("Stopping; what is being counted is finished. Once more stops at once.");
    let stopping = async {
        running.stop().await;
        log.close().await;
        platform.database.close().await;
    };
    tokio::select! {
        () = stopping => Ok(ExitCode::SUCCESS),
        () = stop.requested() => Ok(ExitCode::FAILURE),
    }
}

async fn start(
    config: &Config,
    settings: &CollectorSettings,
) -> Result<(Running, EventLog, Platform), ProcessError> {
    let clock = Arc::new(SystemClock);
    let options = options(config, settings).map_err(ShopError::from)?;
    let open = async || Collector::open(options.clone(), &SystemClock).await;
    let collector =
        until_there("the collector's database", Waiting::default(), open, StartError::is_absent).await?;
    // For the sessions of administrators.
    let platform = platform(config).await.map_err(ShopError::from)?;
    let authenticator = Arc::new(SessionAuthenticator::new(platform.accounts.clone()));
    let log = EventLog::open(config, false, clock.clone()).await.map_err(ShopError::from)?;
    let running = Running::start(collector, log.bus(), authenticator, clock)?;
    Ok((running, log, platform))
}
