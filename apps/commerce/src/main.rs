//! The `commerce` command: every app in one process, and what its operators need.

mod apps;
mod audit;
mod banner;
mod cli;
mod client;
mod commands;
mod console;
mod data_dir;
mod demo;
mod failure;
mod gateway;
mod mode;
mod patience;
mod ports;
mod sale;
mod settings;
mod setup;
mod shop;
mod signals;
mod target;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::error(&format!("the async runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(failure) => {
            console::error(&failure.text());
            failure.code()
        }
    }
}
