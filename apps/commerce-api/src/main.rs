//! The API alone: `commerce-api --help`.

use std::process::ExitCode;

use clap::Parser;
use commerce_api::process::{self, ProcessError};
use commerce_process::Arguments;

/// The shop's API, one node of as many as are needed, on the servers of the profile `servers`.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Every setting can be given as an environment variable, such as COMMERCE_API__BIND."
)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let serving = async {
        let config = process::configuration(&cli.arguments.sources("api.port"))?;
        process::run(&config).await
    };
    commerce_process::run(serving, ProcessError::code)
}
