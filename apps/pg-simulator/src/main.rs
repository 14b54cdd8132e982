//! The payment gateway simulator alone: `pg-simulator --help`.

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use commerce_telemetry::logging;
use pg_simulator::Simulator;

use crate::cli::{Cli, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Failure::new(format!("the async runtime does not start: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    logging::init(cli.log_format, &cli.log_filter)?;
    let options = cli.options()?;
    let signed = options.capabilities.signature;
    let seed = options.seed;
    let running = Simulator::start(options).await?;
    tracing::info!("the gateway listens on http://{} (seed {seed}); Ctrl-C stops it", running.addr());
    if !signed {
        tracing::info!("callbacks are not signed");
    }
    stop_requested().await?;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

#[cfg(unix)]
async fn stop_requested() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be waited for: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn stop_requested() -> Result<(), Failure> {
    let pressed = tokio::signal::ctrl_c().await;
    pressed.map_err(|error| Failure::new(format!("Ctrl-C cannot be waited for: {error}")))
}
