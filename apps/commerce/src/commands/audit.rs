use std::process::ExitCode;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use commerce_api_application::ports::{AuditReport, FindingState};
use serde_json::{Map, Value, json};

use crate::audit;
use crate::cli::{Audit, Global};
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Recounts everything in one snapshot; 1 where a rule is broken, and only there.
pub async fn run(global: &Global, options: &Audit) -> Result<ExitCode, Failure> {
    let report = match recount(global, options).await {
        Ok(report) => report,
        Err(failure) => {
            if options.json {
                console::line(&json!({ "error": failure.text() }).to_string());
            }
            return Err(Failure::NotAudited(Box::new(failure)));
        }
    };
    console::line(&if options.json { json_of(&report) } else { text_of(&report) });
    Ok(if report.is_violated() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn recount(global: &Global, options: &Audit) -> Result<AuditReport, Failure> {
    let settings = setup::for_operator(global)?;
    audit::recount(&settings, options.settled).await
}

const fn state_name(state: FindingState) -> &'static str {
    match state {
        FindingState::Violated => "VIOLATED",
        FindingState::Pending => "PENDING",
    }
}

fn text_of(report: &AuditReport) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    let rows = report.checked.iter().map(|(name, rows)| (format!("checked {name}"), rows.to_string()));
    let sums = report.totals.iter().map(|(name, sum)| ((*name).to_owned(), sum.to_string()));
    for (name, value) in rows.chain(sums) {
        table.add_row([name, value]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut lines = vec![table.to_string()];
    for finding in &report.findings {
        let state = state_name(finding.state);
        lines.push(format!(
            "{state} invariant {}: {}: {}",
            finding.invariant, finding.subject, finding.detail
        ));
    }
    if report.truncated {
        lines.push("and more of the same".to_owned());
    }
    let pending = report.findings.iter().filter(|finding| finding.state == FindingState::Pending).count();
    lines.push(match (report.is_violated(), pending) {
        (true, _) => format!("audit VIOLATED: {} findings", report.findings.len()),
        (false, 0) => "audit clean".to_owned(),
        (false, _) => format!("audit clean; {pending} pending"),
    });
    lines.join("\n")
}

fn json_of(report: &AuditReport) -> String {
    let checked: Map<_, _> =
        report.checked.iter().map(|(name, rows)| ((*name).to_owned(), Value::from(*rows))).collect();
    let totals: Map<_, _> =
        report.totals.iter().map(|(name, sum)| ((*name).to_owned(), Value::from(*sum))).collect();
    let findings = report.findings.iter().map(|finding| {
        json!({
            "invariant": finding.invariant,
            "state": state_name(finding.state),
            "subject": finding.subject,
            "detail": finding.detail,
        })
    });
    json!({
        "clean": !report.is_violated(),
        "checked": checked,
        "totals": totals,
        "findings": findings.collect::<Vec<_>>(),
        "truncated": report.truncated,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use commerce_api_application::ports::Finding;

    use super::*;

    fn report(states: &[FindingState]) -> AuditReport {
        let finding = |state: &FindingState| Finding {
            invariant: 2,
            state: *state,
            subject: "user:7".to_owned(),
            detail: "balance 5, ledger 4".to_owned(),
        };
        AuditReport {
            checked: vec![("users", 3)],
            findings: states.iter().map(finding).collect(),
            truncated: false,
            totals: vec![("points", 5)],
        }
    }

    #[test]
    fn the_last_line_is_the_verdict() {
        let last = |states: &[FindingState]| text_of(&report(states)).lines().last().unwrap().to_owned();
        assert_eq!(last(&[]), "audit clean");
        assert_eq!(last(&[FindingState::Pending]), "audit clean; 1 pending");
        assert_eq!(last(&[FindingState::Violated, FindingState::Pending]), "audit VIOLATED: 2 findings");
        let text = text_of(&report(&[FindingState::Violated]));
        assert!(text.contains("VIOLATED invariant 2: user:7: balance 5, ledger 4"), "{text}");
    }

    #[test]
    fn json_carries_every_finding() {
        let value: Value = serde_json::from_str(&json_of(&report(&[FindingState::Violated]))).unwrap();
        assert_eq!(value["clean"], json!(false));
        assert_eq!((&value["checked"]["users"], &value["totals"]["points"]), (&json!(3), &json!(5)));
        assert_eq!(value["findings"][0]["subject"], json!("user:7"));
    }
}
