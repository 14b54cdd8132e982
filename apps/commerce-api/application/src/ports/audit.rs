use async_trait::async_trait;
use commerce_api_domain::{OrderId, ProductId, Timestamp};

use super::{AuditEntry, StorageError};

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

/// A nightly audit that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// When.
    pub at: Timestamp,
    /// Rules that were broken.
    pub violated: i64,
    /// What merely lagged.
    pub pending: i64,
}

/// Events of an order, by their sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvents {
    /// Which order.
    pub order: OrderId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// How many there are: 1 to this, without a gap.
    pub count: i64,
    /// Those that wait in the outbox, in order.
    pub waiting: Vec<i64>,
}

/// What orders that are paid bought of a product, by when they were paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sold {
    /// Which product.
    pub product: ProductId,
    /// Start of the quarter of an hour; business days begin and end with one in every zone.
    pub from: Timestamp,
    /// Orders that contain it.
    pub orders: i64,
    /// Pieces.
    pub quantity: i64,
    /// Pieces times their prices, won.
    pub amount: i128,
}

/// What the analytics side must have counted, or will.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFacts {
    /// Orders that changed, by id.
    pub orders: Vec<OrderEvents>,
    /// What was sold, and not taken back.
    pub sold: Vec<Sold>,
    /// Products that somebody likes, by id, and how many do.
    pub likes: Vec<(ProductId, i64)>,
    /// Events of any kind in the outbox.
    pub waiting: u64,
}

/// Checks the invariants in one read snapshot.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Checks invariants 1 to 4 and 6. With `settled`, what merely lags is a violation.
    async fn audit(&self, now: Timestamp, settled: bool) -> Result<AuditReport, StorageError>;

    /// Keeps the result of the nightly audit in place of the one before.
    async fn keep_audit(&self, audited: Audited) -> Result<(), StorageError>;

    /// The last nightly audit.
    async fn last_audit(&self) -> Result<Option<Audited>, StorageError>;

    /// What invariant 5 compares with the analytics side, in one read snapshot: orders that changed since `changed_since`,
    /// and what was paid since `paid_since`.
    async fn event_facts(
        &self,
        changed_since: Timestamp,
        paid_since: Timestamp,
    ) -> Result<EventFacts, StorageError>;
}

/// The log of what was done by hand, for what changes no row besides.
#[async_trait]
pub trait AuditTrail: Send + Sync + 'static {
    /// Writes an entry, in a transaction of its own.
    async fn record(&self, entry: AuditEntry) -> Result<(), StorageError>;
}
