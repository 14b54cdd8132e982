//! The collector alone: `commerce-collector --help`.

use std::process::ExitCode;

use clap::Parser;
use commerce_collector::process::{self, ProcessError, ShopError};
use commerce_process::Arguments;

/// Counts the shop's events and ranks its products, one of as many collectors as are needed, on the servers of the
/// profile `servers`.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Every setting can be given as an environment variable, such as COMMERCE_COLLECTOR__BIND."
)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let serving = async {
        let sources = cli.arguments.sources("collector.port");
        let (config, settings) = process::configuration(&sources).map_err(ShopError::from)?;
        process::run(&config, &settings).await
    };
    commerce_process::run(serving, ProcessError::code)
}
