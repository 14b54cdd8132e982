use std::process::ExitCode;

use chrono::NaiveDate;
use commerce_api::app::{Platform, reconciler};
use commerce_api_application::ports::{FindingFilter, ReconciliationFinding, ReconciliationState};
use commerce_api_application::reconciliation::Reconciled;
use commerce_api_domain::Mismatch;
use serde_json::{Value, json};

use crate::banner::base_url;
use crate::cli::{Global, Reconcile};
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::setup;

/// Findings that are shown.
const SHOWN_MAX: u64 = 1_000;

/// Reconciles a day; 1 where it has an open finding, 2 where that could not be told.
pub async fn run(global: &Global, options: &Reconcile) -> Result<ExitCode, Failure> {
    let (done, open) = match reconcile(global, options.date).await {
        Ok(done) => done,
        Err(failure) => {
            if options.json {
                console::line(&json!({ "error": failure.text() }).to_string());
            }
            return Err(Failure::NotTold(Box::new(failure)));
        }
    };
    console::line(&if options.json { json_of(&done, &open) } else { text_of(&done, &open) });
    Ok(if open.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn reconcile(
    global: &Global,
    date: NaiveDate,
) -> Result<(Reconciled, Vec<ReconciliationFinding>), Failure> {
    let settings = setup::for_operator(global)?;
    let simulates = settings.simulates();
    let mut config = settings.api;
    // The simulator may listen on another port than the configured one.
    if simulates && let Some(gateway) = data_dir::gateway_of(&config.data_dir) {
        config.gateway.url = base_url(gateway);
    }
    let platform = setup::open_existing(&config).await?;
    let done = match reconciler(&platform, &config) {
        Ok(reconciler) => reconciler.reconcile(date).await.map_err(Failure::from),
        Err(error) => Err(error.into()),
    };
    let open = open_findings(&platform, date).await;
    platform.database.close().await;
    Ok((done?, open?))
}

async fn open_findings(platform: &Platform, date: NaiveDate) -> Result<Vec<ReconciliationFinding>, Failure> {
    let state = Some(ReconciliationState::Open);
    let filter = FindingFilter { date: Some(date), state, limit: SHOWN_MAX, ..FindingFilter::default() };
    Ok(platform.reconciliation.findings(&filter).await?)
}

fn text_of(done: &Reconciled, open: &[ReconciliationFinding]) -> String {
    let Reconciled { date, entries, ours, gone, asked, .. } = done;
    let mut lines =
        vec![format!("{date}: {entries} entries of the gateway's report, {ours} movements of ours")];
    if *asked > 0 {
        lines.push(format!("{asked} payments with an open outcome are being asked about"));
    }
    if *gone > 0 {
        lines.push(format!("{gone} earlier findings are gone"));
    }
    for ReconciliationFinding { id, mismatch, .. } in open {
        let Mismatch { kind, movement, key, reference, ours, theirs, action, .. } = mismatch;
        let ours = ours.map_or_else(
            || "nothing".to_owned(),
            |ours| format!("{} won, {}", ours.amount.won(), ours.status.name()),
        );
        let theirs = theirs.map_or_else(|| "nothing".to_owned(), |theirs| format!("{} won", theirs.amount));
        lines.push(format!(
            "{} {} {key} of {reference}: ours {ours}; theirs {theirs}; {}; finding {id}",
            kind.name(),
            movement.name(),
            action.name()
        ));
    }
    lines.push(match open.len() {
        0 => "reconciled: no difference".to_owned(),
        count => format!("reconciled: {count} open findings"),
    });
    lines.join("\n")
}

fn json_of(done: &Reconciled, open: &[ReconciliationFinding]) -> String {
    let finding = |finding: &ReconciliationFinding| -> Value {
        let Mismatch { kind, movement, key, reference, payment, ours, theirs, action } = &finding.mismatch;
        json!({
            "id": finding.id.to_string(),
            "kind": kind.name(),
            "movement": movement.name(),
            "transactionKey": &**key,
            "reference": &**reference,
            "paymentId": payment.map(|payment| payment.to_string()),
            "ours": ours.map(|ours| json!({ "amount": ours.amount.won(), "status": ours.status.name() })),
            "theirs": theirs.map(|theirs| json!({ "amount": theirs.amount, "atUs": theirs.at.as_micros() })),
            "proposedAction": action.name(),
        })
    };
    json!({
        "date": done.date.to_string(),
        "entries": done.entries,
        "ours": done.ours,
        "new": done.new,
        "gone": done.gone,
        "asked": done.asked,
        "openFindings": open.iter().map(finding).collect::<Vec<_>>(),
    })
    .to_string()
}
