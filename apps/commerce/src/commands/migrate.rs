use std::process::ExitCode;

use crate::cli::Global;
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Brings the schema up to date; opening the database does.
pub async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    let platform = setup::open(&config).await?;
    let path = platform.database.path().display().to_string();
    platform.database.close().await;
    console::line(&format!("The schema of {path} is up to date."));
    Ok(ExitCode::SUCCESS)
}
