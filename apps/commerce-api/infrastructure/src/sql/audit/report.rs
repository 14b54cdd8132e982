use std::collections::BTreeMap;

use commerce_api_application::ports::{AuditReport, Finding, FindingState};

use super::sums::saturated;

/// Most findings that are listed of one invariant.
const LISTED_MAX: u32 = 100;

/// Rows that a statement is asked for at most: one more than is listed, so that it shows that there are more.
pub(super) const ROWS_MAX: u32 = LISTED_MAX + 1;

/// Collects what the checks find.
pub(super) struct Report {
    settled: bool,
    found: BTreeMap<u8, u32>,
    result: AuditReport,
}

impl Report {
    pub fn new(settled: bool) -> Self {
        Self { settled, found: BTreeMap::new(), result: AuditReport::default() }
    }

    pub fn finish(self) -> AuditReport {
        self.result
    }

    pub fn checked(&mut self, what: &'static str, rows: u64) {
        self.result.checked.push((what, rows));
    }

    pub fn total(&mut self, what: &'static str, sum: impl Into<i128>) {
        self.result.totals.push((what, saturated(sum.into())));
    }

    /// A rule is broken.
    pub fn violated(&mut self, invariant: u8, subject: String, detail: String) {
        self.add(Finding { invariant, state: FindingState::Violated, subject, detail });
    }

    /// Something lags behind, which only a settled system may not do.
    pub fn lags(&mut self, invariant: u8, subject: String, detail: String) {
        let state = if self.settled { FindingState::Violated } else { FindingState::Pending };
        self.add(Finding { invariant, state, subject, detail });
    }

    fn add(&mut self, finding: Finding) {
        let found = self.found.entry(finding.invariant).or_default();
        *found += 1;
        if *found <= LISTED_MAX {
            self.result.findings.push(finding);
        } else {
            self.result.truncated = true;
        }
    }
}
