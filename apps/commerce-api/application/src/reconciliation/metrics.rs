use std::collections::BTreeMap;

use commerce_api_domain::{MismatchKind, MoneyMovement, Timestamp};

use crate::ports::Audited;

/// Describes what the work of the night measures; called once when metrics are set up.
pub fn describe_metrics() {
    metrics::describe_gauge!(
        "commerce_reconciliation_findings_open",
        "Differences between the gateway's settlement reports and our books that nobody resolved"
    );
    metrics::describe_gauge!(
        "commerce_reconciliation_last_success_age_seconds",
        "Since when no day was reconciled; from the first payment on where none ever was"
    );
    metrics::describe_gauge!(
        "commerce_audit_findings",
        "What the last nightly audit found: rules that are broken, and what merely lags"
    );
    metrics::describe_gauge!("commerce_audit_last_run_age_seconds", "Age of the last nightly audit");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 findings")]
const fn number(count: i64) -> f64 {
    count as f64
}

/// Every kind has a value, so that an alert sees it come back to 0.
pub(super) fn reconciled(
    open: &BTreeMap<(MismatchKind, MoneyMovement), i64>,
    since: Option<Timestamp>,
    now: Timestamp,
) {
    for kind in MismatchKind::ALL {
        for movement in MoneyMovement::ALL {
            let count = open.get(&(kind, movement)).copied().unwrap_or_default();
            metrics::gauge!("commerce_reconciliation_findings_open", "kind" => kind.name(), "movement" => movement.name())
                .set(number(count));
        }
    }
    let age = since.map_or(0.0, |since| now.since(since).as_secs_f64());
    metrics::gauge!("commerce_reconciliation_last_success_age_seconds").set(age);
}

pub(super) fn audited(last: Option<Audited>, now: Timestamp) {
    let Some(Audited { at, violated, pending }) = last else { return };
    metrics::gauge!("commerce_audit_findings", "state" => "violated").set(number(violated));
    metrics::gauge!("commerce_audit_findings", "state" => "pending").set(number(pending));
    metrics::gauge!("commerce_audit_last_run_age_seconds").set(now.since(at).as_secs_f64());
}
