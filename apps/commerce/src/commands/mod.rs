//! What each command does.

mod audit;
mod backup;
mod config;
mod dlq;
mod event_log;
mod job;
mod migrate;
mod nodes;
mod rebuild;
mod reconcile;
mod report;
mod seed;
mod up;
mod user;

use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigCommand, User};
use crate::demo;
use crate::failure::Failure;
use crate::gateway::TakeBack;
use crate::sale;
use crate::setup;

/// Exit code of a command that a signal ended, as shells know it.
const INTERRUPTED: u8 = 130;

/// Does what the command line says.
pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    let command = match cli.command {
        None | Some(Command::Up(_)) => return up::run(global).await,
        Some(Command::Api) => return nodes::api(global).await,
        Some(Command::Collector) => return nodes::collector(global).await,
        Some(Command::PgSimulator) => return nodes::simulator(global).await,
        // It stops at the edge of a chunk when it is told to.
        Some(Command::Job(command)) => return job::job(global, &command).await,
        Some(command) => command,
    };
    let mut stop = setup::signals()?;
    let faults = TakeBack::default();
    let work = async {
        match &command {
            Command::Up(_) | Command::Job(_) | Command::Api | Command::Collector | Command::PgSimulator => {
                Ok(ExitCode::SUCCESS)
            }
            Command::Demo(options) => demo::demo(global, options, &faults).await,
            Command::FlashSale(options) => sale::flash_sale(global, options, &faults).await,
            Command::Load(options) => sale::load(global, options).await,
            Command::Audit(options) => audit::run(global, options).await,
            Command::Reconcile(options) => reconcile::run(global, options).await,
            Command::Report(options) => report::run(global, options).await,
            Command::Migrate => migrate::run(global).await,
            Command::Seed(options) => seed::run(global, options).await,
            Command::Backup(options) => backup::run(global, options).await,
            Command::Rebuild(command) => rebuild::run(global, command).await,
            Command::Dlq(command) => dlq::run(global, command).await,
            Command::Topics(options) => event_log::topics(global, options).await,
            Command::Lag(options) => event_log::lag(global, options).await,
            Command::User(User::Create(options)) => user::create(global, options).await,
            Command::Config(ConfigCommand::Print) => config::print(global),
        }
    };
    let done = tokio::select! {
        done = work => done,
        // Dropping the work removes its temporary data.
        () = stop.requested() => Ok(ExitCode::from(INTERRUPTED)),
    };
    faults.run().await;
    done
}
