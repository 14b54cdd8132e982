use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use commerce_api::app::{Platform, Running, StartError, demo};
use commerce_api::config::Config;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use crate::banner::Banner;
use crate::cli::Global;
use crate::console;
use crate::data_dir::{self, UpLock};
use crate::failure::Failure;
use crate::mode;
use crate::patience::patiently;
use crate::setup;
use crate::signals::Stop;

/// Starts the shop and runs until a signal.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let started_at = Instant::now();
    let config = setup::configuration(global)?.settings.api;
    commerce_telemetry::logging::init(config.log.format, &config.log.filter)?;
    config.require_own_secrets()?;
    let mut stop = Stop::listen()?;
    let mut lock = take_directory(&config).await?;

    let platform = Platform::open(&config).await?;
    if config.is_demo() {
        demo::seed(&platform, demo::PRODUCTS).await?;
    }
    let running = Running::start(platform, &config)?;
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

/// Takes the data directory for this run. Nothing is made in it before everything that may refuse has been asked.
async fn take_directory(config: &Config) -> Result<UpLock, Failure> {
    let dir = &config.data_dir;
    data_dir::refuse_file(dir)?;
    setup::refuse_foreign(&setup::database_file(config))?;
    mode::require(config)?;
    // Before the port: a second `up` of one directory shall be told so, not that the first one has the port.
    let again = UpLock::take_again(dir).await?;
    let addr = SocketAddr::new(config.api.bind, config.api.port);
    patiently(|| bind(addr), |error| error.kind() == io::ErrorKind::AddrInUse).await.map_err(|source| {
        match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { addr },
            _ => StartError::Bind { addr, source },
        }
    })?;
    data_dir::prepare(dir)?;
    let lock = match again {
        Some(lock) => lock,
        None => UpLock::take(dir).await?,
    };
    mode::claim(config)?;
    Ok(lock)
}

/// Whether the address can be listened on, as the app will.
fn bind(addr: SocketAddr) -> io::Result<()> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)
}
