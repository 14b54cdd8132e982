use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_domain::{
    Mismatch, MismatchKind, MoneyMovement, OurMovement, PaymentId, SettlementEntry, Standing, Timestamp,
};
use uuid::Uuid;

use super::{AuditEntry, StorageError};

/// An entry and the day whose report has it.
pub type Reported = (NaiveDate, SettlementEntry);

/// A page of the report of a day, and what our books have to do with it, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct ReportPage {
    /// With their places in the report, in order.
    pub entries: Vec<(i64, SettlementEntry)>,
    /// All entries of the same transaction keys, of any day.
    pub reported: Vec<Reported>,
    /// Our movements of these keys.
    pub known: Vec<OurMovement>,
    /// The payments that their references name, those that there are.
    pub payments: BTreeMap<PaymentId, Standing>,
}

/// Whether anybody has to do something about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReconciliationState {
    /// Yes.
    Open,
    /// It is gone, or somebody saw to it.
    Resolved,
}

impl ReconciliationState {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Resolved => "RESOLVED",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Resolved].into_iter().find(|state| state.name() == name)
    }
}

/// How a finding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResolvedHow {
    /// A later run did not find it any more.
    Gone,
    /// By somebody, who said why.
    ByHand,
}

impl ResolvedHow {
    /// The stored and published name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gone => "GONE",
            Self::ByHand => "BY_HAND",
        }
    }

    /// The way of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Gone, Self::ByHand].into_iter().find(|how| how.name() == name)
    }
}

/// The end of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// When.
    pub at: Timestamp,
    /// How.
    pub how: ResolvedHow,
    /// What whoever resolved it said.
    pub reason: Option<Arc<str>>,
}

/// A difference between the gateway's report of a day and our books; one per day, transaction key, movement and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciliationFinding {
    /// Which.
    pub id: Uuid,
    /// The day that was reconciled.
    pub date: NaiveDate,
    /// What was found.
    pub mismatch: Mismatch,
    /// When it was found first.
    pub found_at: Timestamp,
    /// When the last run began that found it.
    pub seen_at: Timestamp,
    /// Its end; none while it is open.
    pub resolution: Option<Resolution>,
}

impl ReconciliationFinding {
    /// Whether anybody has to do something about it.
    pub const fn state(&self) -> ReconciliationState {
        match self.resolution {
            None => ReconciliationState::Open,
            Some(_) => ReconciliationState::Resolved,
        }
    }

    /// This finding as it stands after the run that began at `again.seen_at` found `again` in its place: still one. One
    /// that had gone is open again; one that somebody resolved stays so, unless either side says something else now.
    #[must_use]
    pub fn found_again(self, again: Self) -> Self {
        let stays = self.resolution.as_ref().is_some_and(|resolution| {
            resolution.how == ResolvedHow::ByHand
                && (self.mismatch.ours.map(|ours| ours.amount), self.mismatch.theirs)
                    == (again.mismatch.ours.map(|ours| ours.amount), again.mismatch.theirs)
        });
        Self {
            seen_at: self.seen_at.max(again.seen_at),
            mismatch: again.mismatch,
            resolution: self.resolution.filter(|_| stays),
            ..self
        }
    }
}

/// Which findings to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingFilter {
    /// Only of this day.
    pub date: Option<NaiveDate>,
    /// Only in this state.
    pub state: Option<ReconciliationState>,
    /// Only of this kind.
    pub kind: Option<MismatchKind>,
    /// Before the last one seen: newest first.
    pub before: Option<(Timestamp, Uuid)>,
    /// At most so many.
    pub limit: u64,
}

/// What is known of the reconciliation of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciledDay {
    /// Which day.
    pub date: NaiveDate,
    /// When somebody last asked for it.
    pub requested_at: Option<Timestamp>,
    /// When the gateway's report was last read to its end.
    pub fetched_at: Option<Timestamp>,
    /// Its entries.
    pub entries: i64,
    /// When the last comparison began that came to its end.
    pub compared_at: Option<Timestamp>,
    /// Our movements that it looked at.
    pub ours: i64,
    /// Payments with an open outcome of which the report knows something: they are being asked about.
    pub asked: i64,
    /// When the last run failed, if none came to its end since.
    pub failed_at: Option<Timestamp>,
    /// Why.
    pub error: Option<Arc<str>>,
}

impl ReconciledDay {
    /// A day of which nothing is known.
    pub const fn new(date: NaiveDate) -> Self {
        Self {
            date,
            requested_at: None,
            fetched_at: None,
            entries: 0,
            compared_at: None,
            ours: 0,
            asked: 0,
            failed_at: None,
            error: None,
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparedDay {
    /// Which day.
    pub date: NaiveDate,
    /// When the run began.
    pub began_at: Timestamp,
    /// Our movements that it looked at.
    pub ours: i64,
    /// Payments that are being asked about.
    pub asked: i64,
}

/// A place among our captures: payment, and number of the event.
pub type CapturePosition = (PaymentId, i64);
/// A place among our refunds: when settled, payment, transaction key.
pub type RefundPosition = (Timestamp, PaymentId, Arc<str>);

/// Settlement reports that were read, what they are compared with, and what was found. Each call runs a fixed number of
/// statements.
#[async_trait]
pub trait ReconciliationStore: Send + Sync + 'static {
    /// Keeps entries of the report of `date`, from place `first` on, in place of what it has there.
    async fn keep_entries(
        &self,
        date: NaiveDate,
        first: i64,
        entries: &[SettlementEntry],
    ) -> Result<(), StorageError>;

    /// The report of `date` was read to its end at `at` and has so many entries: what was kept beyond is dropped.
    async fn report_read(&self, date: NaiveDate, entries: i64, at: Timestamp) -> Result<(), StorageError>;

    /// At most `limit` entries of the report of `date` after the place `after`, with what our books say of them.
    async fn report_page(&self, date: NaiveDate, after: i64, limit: u64) -> Result<ReportPage, StorageError>;

    /// Entries of these transaction keys in the reports of all days.
    async fn reported(&self, keys: &[Arc<str>]) -> Result<Vec<Reported>, StorageError>;

    /// At most `limit` captures that we recorded within `span` (its end excluded), of payments made since `made_since`, after
    /// a place.
    async fn our_captures(
        &self,
        span: (Timestamp, Timestamp),
        made_since: Timestamp,
        after: Option<CapturePosition>,
        limit: u64,
    ) -> Result<Vec<(CapturePosition, OurMovement)>, StorageError>;

    /// At most `limit` refunds that were settled within `span` (its end excluded), after a place.
    async fn our_refunds(
        &self,
        span: (Timestamp, Timestamp),
        after: Option<RefundPosition>,
        limit: u64,
    ) -> Result<Vec<(RefundPosition, OurMovement)>, StorageError>;

    /// Keeps findings of a run, each of them once ([`ReconciliationFinding::found_again`]), and makes the payments of `ask`
    /// due at `at`, in one transaction. Gives back those that are new or open again.
    async fn record(
        &self,
        found: Vec<ReconciliationFinding>,
        ask: &[PaymentId],
        at: Timestamp,
    ) -> Result<Vec<ReconciliationFinding>, StorageError>;

    /// A run came to its end: open findings of its day that no run saw since it began are resolved as gone. Gives back how
    /// many.
    async fn compared(&self, day: ComparedDay, at: Timestamp) -> Result<u64, StorageError>;

    /// A run failed.
    async fn failed(&self, date: NaiveDate, at: Timestamp, error: &str) -> Result<(), StorageError>;

    /// Somebody asks for a day; `audit` is written with it.
    async fn request(&self, date: NaiveDate, at: Timestamp, audit: AuditEntry) -> Result<(), StorageError>;

    /// At most `limit` days of which something is known, up to `until`, newest first, each with its open findings.
    async fn days(&self, until: NaiveDate, limit: u64) -> Result<Vec<(ReconciledDay, i64)>, StorageError>;

    /// When the first payment was made; before it there is nothing to compare.
    async fn first_payment_at(&self) -> Result<Option<Timestamp>, StorageError>;

    /// Findings, newest first.
    async fn findings(&self, filter: &FindingFilter) -> Result<Vec<ReconciliationFinding>, StorageError>;

    /// Resolves an open finding by hand, with its entry of the audit log; one that is resolved stays as it is. Gives back how
    /// it stands then; none where there is no such finding.
    async fn resolve(
        &self,
        id: Uuid,
        resolution: Resolution,
        audit: AuditEntry,
    ) -> Result<Option<ReconciliationFinding>, StorageError>;

    /// Open findings, by kind and movement.
    async fn open_findings(&self) -> Result<BTreeMap<(MismatchKind, MoneyMovement), i64>, StorageError>;

    /// Deletes at most `limit` entries of reports of days before `before`; gives back how many.
    async fn purge_entries(&self, before: NaiveDate, limit: u64) -> Result<u64, StorageError>;
}
