//! The `commerce` command: every app in one process, and what its operators need.

mod apps;
mod audit;
mod banner;
mod cli;
mod client;
mod commands;
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
mod target;

use std::process::ExitCode;

use clap::Parser as _;
use commerce_process as console;

use crate::cli::Cli;

fn main() -> ExitCode {
    console::run(commands::run(Cli::parse()), failure::Failure::code)
}
