use async_trait::async_trait;
use commerce_api_domain::Timestamp;

use super::StorageError;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// The rule is broken.
    Violated,
    /// Something merely lags behind.
    Pending,
}

/// A row that does not keep an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the invariant in the data model.
    pub invariant: u8,
    /// How bad.
    pub state: FindingState,
    /// Which row: `product:7`.
    pub subject: String,
    /// What was expected and what is there.
    pub detail: String,
}

/// The result of an audit.
#[derive(Debug, Clone, Default)]
pub struct AuditReport {
    /// How many rows each invariant looked at, by name.
    pub checked: Vec<(&'static str, u64)>,
    /// What was found; bounded, see `truncated`.
    pub findings: Vec<Finding>,
    /// Whether more was found than is listed.
    pub truncated: bool,
    /// Sums that people ask for: money, points, pieces.
    pub totals: Vec<(&'static str, i64)>,
}

impl AuditReport {
    /// Whether a rule is broken.
    pub fn is_violated(&self) -> bool {
        self.findings.iter().any(|finding| finding.state == FindingState::Violated)
    }
}

/// Checks the invariants in one read snapshot.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Checks invariants 1 to 4 and 6. With `settled`, what merely lags is a violation.
    async fn audit(&self, now: Timestamp, settled: bool) -> Result<AuditReport, StorageError>;
}
