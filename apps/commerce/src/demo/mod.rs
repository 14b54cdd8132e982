//! A walk through the whole shop over HTTP, which says at every step what was expected and what came.

mod report;
mod steps;
mod walk;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::{Demo, Global};
use crate::console;
use crate::failure::Failure;
use crate::target::{self, Opened};
use report::{Report, Step, Told};
use steps::{STEPS, StepDefinition};
use walk::Walk;

/// It walks alone.
const CONNECTIONS: u32 = 2;

/// Walks through a shop and prints what came of it.
pub async fn demo(global: &Global, options: &Demo) -> Result<ExitCode, Failure> {
    let opened = target::open(global, &options.target, CONNECTIONS).await?;
    let report = walk_through(&opened, options).await;
    opened.close().await?;
    let report = report?;
    console::line(&if options.target.json { report.json() } else { report.text() });
    Ok(report.exit_code())
}

async fn walk_through(opened: &Opened, options: &Demo) -> Result<Report, Failure> {
    let wait = Duration::from_secs(u64::from(options.wait_s));
    let url = options.collector_url.clone().unwrap_or_else(|| opened.collector_url());
    let collector = target::client(&url, CONNECTIONS)?;
    let mut walk = Walk::prepare(opened, collector, wait, options.card_tries).await?;
    let mut report =
        Report { place: opened.place.clone(), steps: Vec::new(), of: STEPS.len(), ranking: Vec::new() };
    for StepDefinition { name, run } in STEPS {
        let begun_at = Instant::now();
        let told = match run(&mut walk).await {
            Ok(told) => told,
            Err(error) => {
                Told { expected: "an answer of the shop".to_owned(), came: error.text(), ok: false }
            }
        };
        let ok = told.ok;
        report.steps.push(Step { name, told, took: begun_at.elapsed(), look: walk.look() });
        if !ok {
            break;
        }
    }
    report.ranking = walk.take_ranking();
    Ok(report)
}
