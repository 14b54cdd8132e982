//! The API as a process of its own, one of as many nodes as are needed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use commerce_process::{Stop, Waiting, line, until_there};
use commerce_runtime::SystemClock;
use commerce_telemetry::{LoggingError, logging};

use crate::app::{EventLog, Platform, Running, StartError, demo};
use crate::config::{Config, ConfigError, Profile, Sources, Tables};

/// Sections that other processes read from the same file.
pub const OTHERS: &[&str] = &["collector", "simulator"];

/// Why a process ends without having served.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The logs do not start.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// Several processes cannot share a data directory.
    #[error(
        "the profile embedded is one process: `commerce up`. To run {app} alone set `profile` to servers, and the servers \
         in [mysql], [redis] and [kafka]"
    )]
    OneProcess {
        /// What was to run alone.
        app: &'static str,
    },
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for")]
    Signals(#[source] std::io::Error),
    /// It does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ProcessError {
    /// 2: call it differently; 1: it failed.
    pub fn code(&self) -> ExitCode {
        let differently = match self {
            Self::Config(_) | Self::Logging(_) | Self::OneProcess { .. } => true,
            Self::Start(error) => error.is_for_the_caller(),
            Self::Signals(_) => false,
        };
        if differently { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

/// Reads the configuration of a process that serves only the API.
pub fn configuration(sources: &Sources) -> Result<Config, ConfigError> {
    Tables::default().with::<Config>().beside(OTHERS).read(sources)?.section()
}

/// Serves until a signal: waits for the databases, brings their schema up to date, and finishes what it accepted at the
/// end.
pub async fn run(config: &Config) -> Result<ExitCode, ProcessError> {
    logging::init(config.log.format, &config.log.filter)?;
    require_servers(config, "the API")?;
    config.require_own_secrets()?;
    let mut stop = Stop::listen().map_err(ProcessError::Signals)?;
    let (running, log) = tokio::select! {
        started = start(config) => started?,
        // Nothing was accepted yet.
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    line(&format!("commerce-api listens on http://{}", running.api_addr()));
    stop.requested().await;
    line("Stopping; what was accepted is finished. Once more stops at once.");
    let stopping = async {
        running.stop().await;
        log.close().await;
    };
    tokio::select! {
        () = stopping => Ok(ExitCode::SUCCESS),
        () = stop.requested() => Ok(ExitCode::FAILURE),
    }
}

/// Refuses what only servers can share among processes.
pub fn require_servers(config: &Config, app: &'static str) -> Result<(), ProcessError> {
    match config.profile {
        Profile::Servers => Ok(()),
        Profile::Embedded => Err(ProcessError::OneProcess { app }),
    }
}

/// Opens the shop's databases as soon as they can be reached.
pub async fn platform(config: &Config) -> Result<Platform, StartError> {
    let open = async || Platform::open(config).await;
    until_there("the shop's database", Waiting::default(), open, StartError::is_absent).await
}

async fn start(config: &Config) -> Result<(Running, EventLog), ProcessError> {
    let platform = platform(config).await?;
    if config.is_demo() {
        seed(&platform).await?;
    }
    let log = EventLog::open(config, false, Arc::new(SystemClock)).await?;
    let running = Running::start(platform, config, Some(log.bus()))?;
    Ok((running, log))
}

/// Fills an empty shop. Where another node does so at the same moment, one of them finds the other's rows in its way, and
/// then finds them there.
async fn seed(platform: &Platform) -> Result<(), StartError> {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(200);
    for _ in 1..TRIES {
        match demo::seed(platform, demo::PRODUCTS).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!(%error, "another node fills the shop as well"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    demo::seed(platform, demo::PRODUCTS).await
}
