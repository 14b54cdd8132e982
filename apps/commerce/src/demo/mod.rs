//! A walk through the whole shop over HTTP, which says at every step what was expected and what came.

mod report;
mod steps;
mod walk;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::{Demo, Global};
use crate::console;
use crate::failure::Failure;
use crate::gateway::{SimulatedGateway, TakeBack};
use crate::target::{self, Opened, Patience};
use report::{Report, Step, Told};
use steps::{STEPS, StepDefinition};
use walk::Walk;

/// It walks alone.
const CONNECTIONS: u32 = 2;

/// Walks through a shop and prints what came of it.
pub async fn demo(global: &Global, options: &Demo, faults: &TakeBack) -> Result<ExitCode, Failure> {
    let opened = target::open(global, &options.target, CONNECTIONS, Patience::Short).await?;
    let report = walk_through(&opened, options, faults).await;
    // Also where a step failed in the middle of its faults.
    faults.run().await;
    opened.close().await?;
    let report = report?;
    console::line(&if options.target.json { report.json() } else { report.text() });
    Ok(report.exit_code())
}

async fn walk_through(opened: &Opened, options: &Demo, faults: &TakeBack) -> Result<Report, Failure> {
    let wait = Duration::from_secs(u64::from(options.wait_s));
    let url = options.collector_url.clone().unwrap_or_else(|| opened.collector_url());
    let collector = target::client(&url, CONNECTIONS)?;
    let mut walk = Walk::prepare(opened, collector, wait, options.card_tries).await?;
    walk.gateway = simulated_gateway(opened, options.gateway_url.as_deref(), faults).await;
    let mut report = Report {
        place: opened.place.clone(),
        notes: opened.shortened().to_vec(),
        steps: Vec::new(),
        of: STEPS.len(),
        ranking: Vec::new(),
    };
    for StepDefinition { name, proves, run } in STEPS {
        let begun_at = Instant::now();
        let told = match run(&mut walk).await {
            Ok(told) => told,
            Err(error) => Told { ok: false, ..Told::same("an answer of the shop", error.text()) },
        };
        let ok = told.ok;
        report.steps.push(Step { name, proves: *proves, told, took: begun_at.elapsed(), look: walk.look() });
        if !ok {
            break;
        }
    }
    report.ranking = walk.take_ranking();
    Ok(report)
}

/// The gateway that the walk lets fail; where there is none, why.
async fn simulated_gateway(
    opened: &Opened,
    named: Option<&str>,
    faults: &TakeBack,
) -> Result<Arc<SimulatedGateway>, String> {
    let Some(url) = named.map(str::to_owned).or_else(|| opened.gateway_url()) else {
        return Err("no simulated gateway is known of this shop; a real one is left alone".to_owned());
    };
    let gateway = &opened.settings.api.gateway;
    if !(gateway.idempotency && gateway.refund && gateway.void && gateway.signature) {
        return Err("this gateway lacks keys, refunds, voids or signatures".to_owned());
    }
    let found = SimulatedGateway::find(&url).await.map_err(|failure| failure.text())?;
    let found = Arc::new(found);
    if !opened.is_own() {
        faults.remember(&found);
    }
    Ok(found)
}
