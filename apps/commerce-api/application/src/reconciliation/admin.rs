use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::json;
use uuid::Uuid;

use super::run::{ReconcileError, Reconciler};
use crate::Caller;
use crate::desk::Signal;
use crate::ports::{
    FindingFilter, ReconciledDay, ReconciliationFinding, Resolution, ResolvedHow, StorageError,
};

/// Reconciliation, for those who run the shop.
#[derive(Clone)]
pub struct Reconciliations {
    reconciler: Reconciler,
    requested: Signal,
}

impl Reconciliations {
    /// On `reconciler`; `requested` wakes the nightly work of this process.
    pub const fn new(reconciler: Reconciler, requested: Signal) -> Self {
        Self { reconciler, requested }
    }

    /// Has a day reconciled, by whichever node does the nightly work, within a minute. It goes to the audit log. Gives back
    /// what is known of the day.
    pub async fn request(
        &self,
        caller: &Caller,
        date: NaiveDate,
    ) -> Result<(ReconciledDay, i64), ReconcileError> {
        self.reconciler.check(date)?;
        let Reconciler { store, ids, clock, .. } = &self.reconciler;
        let target = format!("reconciliation:{date}");
        let audit = caller.audit(&**ids, &**clock, "RECONCILIATION_REQUESTED", target, &json!({}));
        store.request(date, clock.now(), audit).await?;
        self.requested.raise();
        let known = store.days(date, 1).await?.into_iter().find(|(day, _)| day.date == date);
        Ok(known.unwrap_or_else(|| (ReconciledDay::new(date), 0)))
    }

    /// Days of which something is known, newest first, each with the number of its open findings.
    pub async fn days(
        &self,
        until: NaiveDate,
        limit: u64,
    ) -> Result<Vec<(ReconciledDay, i64)>, StorageError> {
        self.reconciler.store.days(until, limit).await
    }

    /// Findings, newest first.
    pub async fn findings(&self, filter: &FindingFilter) -> Result<Vec<ReconciliationFinding>, StorageError> {
        self.reconciler.store.findings(filter).await
    }

    /// Resolves a finding, with the `reason` in the audit log. One that is resolved already stays as it is, and nothing is
    /// written. Gives back how it stands then; none where there is none of this id.
    pub async fn resolve(
        &self,
        caller: &Caller,
        finding: Uuid,
        reason: &str,
    ) -> Result<Option<ReconciliationFinding>, StorageError> {
        let Reconciler { store, ids, clock, .. } = &self.reconciler;
        let reason: Arc<str> = reason.into();
        let detail = json!({ "reason": &*reason });
        let target = format!("reconciliation-finding:{finding}");
        let audit = caller.audit(&**ids, &**clock, "RECONCILIATION_RESOLVED", target, &detail);
        let resolution = Resolution { at: clock.now(), how: ResolvedHow::ByHand, reason: Some(reason) };
        store.resolve(finding, resolution, audit).await
    }
}
