use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use commerce_api_domain::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::run::{ReconcileError, Reconciler};
use super::{days, metrics};
use crate::desk::Signal;
use crate::ports::{AuditStore, Audited, FindingState, LeaseStore, ReconciledDay, StorageError};
use crate::schedule::Leased;

/// When the work of the night is done. Times of day are counted from the beginning of the shop's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NightlyOptions {
    /// When the day before is reconciled.
    pub reconcile_at: Duration,
    /// How many days back a day that was missed, or is not settled yet, is reconciled.
    pub catch_up_days: u32,
    /// When everything is recounted.
    pub audit_at: Duration,
    /// How often it is looked whether something is due.
    pub every: Duration,
}

impl Default for NightlyOptions {
    fn default() -> Self {
        Self {
            reconcile_at: Duration::from_mins(4 * 60 + 30),
            catch_up_days: 7,
            audit_at: Duration::from_hours(5),
            every: Duration::from_mins(1),
        }
    }
}

/// A day whose run failed is tried again after this.
const RETRY_AFTER: Duration = Duration::from_mins(10);
/// Days whose reconciliation is looked at; nobody may ask for an older one.
const DAYS_MAX: u64 = days::BACK_MAX + 1;
/// Reports are kept for this many days, for movements that we hear of late.
const KEEP_REPORTS: u64 = 40;
/// Rows deleted in one statement.
const BATCH: u64 = 5_000;
/// Findings of an audit that are logged.
const LOGGED_MAX: usize = 20;

/// The work of every night, done once among N nodes: the gateway's settlement report against our books, and the audit.
#[derive(Clone)]
pub struct Nightly {
    reconciler: Reconciler,
    audit: Arc<dyn AuditStore>,
    leases: Arc<dyn LeaseStore>,
    requested: Signal,
    options: NightlyOptions,
}

impl Nightly {
    /// With these adapters; `requested` wakes it.
    pub const fn new(
        reconciler: Reconciler,
        audit: Arc<dyn AuditStore>,
        leases: Arc<dyn LeaseStore>,
        requested: Signal,
        options: NightlyOptions,
    ) -> Self {
        Self { reconciler, audit, leases, requested, options }
    }

    /// Works until `stop` turns true; what runs is finished first.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let owner = self.reconciler.ids.uuid();
        let leased = |name| Leased {
            name,
            owner,
            every: self.options.every,
            leases: self.leases.clone(),
            clock: self.reconciler.clock.clone(),
            wake: Some(self.requested.listen()),
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        let this = self.clone();
        tasks.spawn(leased("reconciliation").run(move || {
            let this = this.clone();
            async move { this.reconcile_due().await }
        }));
        let this = self.clone();
        tasks.spawn(leased("nightly_audit").run(move || {
            let this = this.clone();
            async move { this.audit_due().await }
        }));
        tasks.spawn(self.clone().measure_always(stop.clone()));
        while tasks.join_next().await.is_some() {}
    }

    /// Reconciles every day that is due now, the oldest first. A day that fails stands in no other's way and is tried again.
    pub async fn reconcile_due(&self) -> Result<(), StorageError> {
        if !self.reconciler.gateway.abilities().settlement {
            return Ok(());
        }
        for date in self.due().await? {
            match self.reconciler.reconcile(date).await {
                Ok(done) => {
                    let (entries, ours, found, new) = (done.entries, done.ours, done.found, done.new);
                    tracing::info!(%date, entries, ours, found, new, gone = done.gone, asked = done.asked,
                        "a day was reconciled");
                }
                Err(ReconcileError::Storage(error)) => return Err(error),
                Err(error) => tracing::warn!(%date, %error, "a day was not reconciled; it is tried again"),
            }
        }
        let before = self.today() - Days::new(KEEP_REPORTS);
        while self.reconciler.store.purge_entries(before, BATCH).await? == BATCH {}
        Ok(())
    }

    fn today(&self) -> NaiveDate {
        let clock = &self.reconciler.clock;
        clock.business_day(clock.now())
    }

    /// The last moment that was `at` within a day, and that day.
    fn last(&self, at: Duration) -> (Timestamp, NaiveDate) {
        let clock = &self.reconciler.clock;
        let now = clock.now();
        let today = clock.business_day_start(now);
        let start = if now < today.plus(at) {
            clock.business_day_start(today.minus(Duration::from_micros(1)))
        } else {
            today
        };
        (start.plus(at), clock.business_day(start))
    }

    async fn due(&self) -> Result<Vec<NaiveDate>, StorageError> {
        let store = &self.reconciler.store;
        let now = self.reconciler.clock.now();
        let (since, of_day) = self.last(self.options.reconcile_at);
        let last = of_day - Days::new(1);
        let days = store.days(self.today(), DAYS_MAX).await?;
        let may_be_tried = |day: &ReconciledDay| {
            let waits = day.failed_at.is_some_and(|failed| now < failed.plus(RETRY_AFTER));
            !waits || day.requested_at > day.failed_at
        };
        let requested = days.iter().map(|(day, _)| day).filter(|day| day.requested_at > day.compared_at);
        let mut due: Vec<NaiveDate> = requested.filter(|day| may_be_tried(day)).map(|day| day.date).collect();
        if let Some(first) = store.first_payment_at().await? {
            let back = Days::new(u64::from(self.options.catch_up_days.saturating_sub(1)));
            let first = self.reconciler.clock.business_day(first).max(last - back);
            for date in first.iter_days().take_while(|date| *date <= last) {
                let known = days.iter().find(|(day, _)| day.date == date);
                let is_due = known.is_none_or(|(day, open)| {
                    may_be_tried(day)
                        && day.compared_at.is_none_or(|at| at < since && !self.is_settled(day, at, *open))
                });
                if is_due {
                    due.push(date);
                }
            }
        }
        due.sort_unstable();
        due.dedup();
        Ok(due)
    }

    /// Whether nothing can come any more of a day that was compared at `at`: the report was complete in any zone of the
    /// gateway's, and nothing that it said is open.
    fn is_settled(&self, day: &ReconciledDay, at: Timestamp, open: i64) -> bool {
        let end = days::span(&*self.reconciler.clock, day.date).map(|(_, end)| end);
        open == 0 && day.asked == 0 && end.is_none_or(|end| days::closed_everywhere(end) <= at)
    }

    /// Recounts everything if that was not done since the last time it was due.
    pub async fn audit_due(&self) -> Result<(), StorageError> {
        let (since, _) = self.last(self.options.audit_at);
        if self.audit.last_audit().await?.is_some_and(|audited| since <= audited.at) {
            return Ok(());
        }
        let at = self.reconciler.clock.now();
        let report = self.audit.audit(at, false).await?;
        let count = |state| {
            let of_state = report.findings.iter().filter(|finding| finding.state == state);
            i64::try_from(of_state.count()).unwrap_or(i64::MAX)
        };
        let (violated, pending) = (count(FindingState::Violated), count(FindingState::Pending));
        let violations = report.findings.iter().filter(|finding| finding.state == FindingState::Violated);
        for finding in violations.take(LOGGED_MAX) {
            let (invariant, subject, detail) = (finding.invariant, &finding.subject, &finding.detail);
            tracing::error!(invariant, subject, detail, "the nightly audit found a broken rule");
        }
        self.audit.keep_audit(Audited { at, violated, pending }).await?;
        tracing::info!(violated, pending, "the nightly audit is done");
        Ok(())
    }

    /// Sets the metrics from what is stored, so that every node tells the same.
    pub async fn measure(&self) -> Result<(), StorageError> {
        let now = self.reconciler.clock.now();
        metrics::audited(self.audit.last_audit().await?, now);
        if !self.reconciler.gateway.abilities().settlement {
            return Ok(());
        }
        let store = &self.reconciler.store;
        let days = store.days(self.today(), DAYS_MAX).await?;
        let last = days.iter().filter_map(|(day, _)| day.compared_at).max();
        let since = if last.is_some() { last } else { store.first_payment_at().await? };
        metrics::reconciled(&store.open_findings().await?, since, now);
        Ok(())
    }

    async fn measure_always(self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.options.every);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if let Err(error) = self.measure().await {
                tracing::warn!(%error, "reconciliation and audit were not measured");
            }
        }
    }
}
