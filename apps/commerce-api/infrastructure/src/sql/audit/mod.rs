//! The invariants of the data model, checked on one read snapshot.
//!
//! Invariants 1, 2, 4 and 6 are set-based statements that answer only the rows that break them; 3 folds the payments'
//! histories in chunks, so memory does not grow with the shop. Invariant 5 needs the collector's database.

mod checks;
mod coupons;
mod events;
mod nightly;
mod payments;
mod points;
mod report;
mod snapshot;
mod stock;
mod sums;
mod totals;

use async_trait::async_trait;
use commerce_api_application::ports::{AuditReport, AuditStore, Audited, EventFacts, StorageError};
use commerce_api_domain::Timestamp;
use commerce_database::Database;

use super::error::storage;
use report::Report;
use snapshot::Snapshot;

/// [`AuditStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlAudit {
    db: Database,
}

impl SqlAudit {
    /// Audits `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl AuditStore for SqlAudit {
    async fn audit(&self, now: Timestamp, settled: bool) -> Result<AuditReport, StorageError> {
        let snapshot = Snapshot::new(self.db.begin_read("audit").await.map_err(storage)?);
        let mut report = Report::new(settled);
        stock::check(&snapshot, &mut report).await?;
        points::check(&snapshot, &mut report).await?;
        let captured = payments::check(&snapshot, &mut report).await?;
        coupons::check(&snapshot, &mut report).await?;
        checks::check(&snapshot, &mut report, now).await?;
        totals::check(&snapshot, &mut report, captured).await?;
        Ok(report.finish())
    }

    async fn keep_audit(&self, audited: Audited) -> Result<(), StorageError> {
        nightly::keep(&self.db, audited).await
    }

    async fn last_audit(&self) -> Result<Option<Audited>, StorageError> {
        nightly::last(&self.db).await
    }

    async fn event_facts(
        &self,
        changed_since: Timestamp,
        paid_since: Timestamp,
    ) -> Result<EventFacts, StorageError> {
        let snapshot = Snapshot::new(self.db.begin_read("audit_events").await.map_err(storage)?);
        events::facts(&snapshot, changed_since, paid_since).await
    }
}
