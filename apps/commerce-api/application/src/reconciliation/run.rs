use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use commerce_api_domain::{
    Compared, Mismatch, MoneyMovement, OurMovement, PaymentId, SettlementEntry, Timestamp, compare_ours,
    compare_reported,
};

use super::days;
use crate::desk::Signal;
use crate::ports::{
    Clock, ComparedDay, GatewayError, IdSource, PaymentGateway, ReconciliationFinding, ReconciliationStore,
    ReportPage, Reported, StorageError,
};

/// Entries or movements that are compared together.
const PAGE: u64 = 500;
/// Entries of a report; more is no report.
const ENTRIES_MAX: i64 = 20_000_000;
/// A payment is captured within this after it was made, or it is on the list of the stuck for as long; captures of older ones
/// are not looked for in a report.
const CAPTURED_WITHIN: Duration = Duration::from_hours(8 * 24);

/// Why a day was not reconciled. Nothing was found or closed by such a run.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The gateway has no report.
    #[error(
        "the gateway has no settlement report (`gateway.settlement` is false), so there is nothing to reconcile with"
    )]
    NoReport,
    /// The day is not over.
    #[error("{0} is not over: a day is reconciled once it is")]
    NotOver(NaiveDate),
    /// No such day.
    #[error("{0} is no day of the shop's zone")]
    NoSuchDay(NaiveDate),
    /// Nobody keeps what is needed for it any more.
    #[error("{0} is too long ago: at most {days} days back can be reconciled", days = days::BACK_MAX)]
    TooOld(NaiveDate),
    /// The gateway did not give its report.
    #[error("the gateway's settlement report of {0} cannot be had: {1}")]
    Gateway(NaiveDate, GatewayError),
    /// The report contradicts itself.
    #[error("the gateway's settlement report of {0} cannot be right: {1}")]
    Report(NaiveDate, String),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// Which day.
    pub date: NaiveDate,
    /// Entries of the gateway's report.
    pub entries: i64,
    /// Our movements that were looked for.
    pub ours: i64,
    /// Differences that this run found, new or not.
    pub found: i64,
    /// Those of them that are new, or open again.
    pub new: i64,
    /// Open ones of the day that are gone now.
    pub gone: u64,
    /// Payments with an open outcome that are being asked about.
    pub asked: i64,
}

/// Compares the gateway's settlement report of a day with our books. Idempotent: it can be run again, on any node, at any time,
/// also while another runs.
#[derive(Clone)]
pub struct Reconciler {
    pub(super) store: Arc<dyn ReconciliationStore>,
    pub(super) gateway: Arc<dyn PaymentGateway>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) clock: Arc<dyn Clock>,
    /// Wakes the payment dispatcher.
    payments_due: Signal,
}

/// A run under way.
struct Run {
    done: Reconciled,
    began_at: Timestamp,
    /// Days whose reports this run has read.
    read: BTreeSet<NaiveDate>,
}

impl Reconciler {
    /// With these adapters; `payments_due` wakes the payment dispatcher of this process.
    pub fn new(
        store: Arc<dyn ReconciliationStore>,
        gateway: Arc<dyn PaymentGateway>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
        payments_due: Signal,
    ) -> Self {
        Self { store, gateway, ids, clock, payments_due }
    }

    /// Checks that `date` can be reconciled now.
    pub fn check(&self, date: NaiveDate) -> Result<(), ReconcileError> {
        if !self.gateway.abilities().settlement {
            return Err(ReconcileError::NoReport);
        }
        let now = self.clock.now();
        if date < self.clock.business_day(now) - Days::new(days::BACK_MAX) {
            return Err(ReconcileError::TooOld(date));
        }
        let (_, end) = days::span(&*self.clock, date).ok_or(ReconcileError::NoSuchDay(date))?;
        if now < end { Err(ReconcileError::NotOver(date)) } else { Ok(()) }
    }

    /// Reconciles a day that is over. A run that fails is kept with the day, where there is storage to keep it.
    pub async fn reconcile(&self, date: NaiveDate) -> Result<Reconciled, ReconcileError> {
        self.check(date)?;
        let reconciled = self.run(date).await;
        if let Err(error) = &reconciled {
            self.store.failed(date, self.clock.now(), &error.to_string()).await?;
        }
        reconciled
    }

    async fn run(&self, date: NaiveDate) -> Result<Reconciled, ReconcileError> {
        let done = Reconciled { date, entries: 0, ours: 0, found: 0, new: 0, gone: 0, asked: 0 };
        let mut run = Run { done, began_at: self.clock.now(), read: BTreeSet::new() };
        run.done.entries = self.read_report(&mut run, date).await?;
        self.compare_report(&mut run).await?;
        self.compare_captures(&mut run).await?;
        self.compare_refunds(&mut run).await?;
        let Run { mut done, began_at, .. } = run;
        let day = ComparedDay { date, began_at, ours: done.ours, asked: done.asked };
        done.gone = self.store.compared(day, self.clock.now()).await?;
        Ok(done)
    }

    /// Reads the gateway's report of `date` to its end, page by page, and keeps it; gives back how many entries it has.
    async fn read_report(&self, run: &mut Run, date: NaiveDate) -> Result<i64, ReconcileError> {
        let wrong = |what: String| ReconcileError::Report(date, what);
        let (mut after, mut count) = (None, 0_i64);
        let mut sums: BTreeMap<MoneyMovement, i128> = BTreeMap::new();
        let at = self.clock.now();
        loop {
            let page = self.gateway.settlement(date, after).await;
            let page = page.map_err(|error| ReconcileError::Gateway(date, error))?;
            self.store.keep_entries(date, count, &page.entries).await?;
            for entry in &page.entries {
                *sums.entry(entry.movement).or_default() += i128::from(entry.amount.won());
            }
            count += i64::try_from(page.entries.len()).unwrap_or(i64::MAX);
            let Some(next) = page.next else {
                for (movement, said) in
                    [(MoneyMovement::Capture, page.captured), (MoneyMovement::Refund, page.refunded)]
                {
                    let sum = sums.get(&movement).copied().unwrap_or_default();
                    if sum != i128::from(said) {
                        let name = movement.name();
                        return Err(wrong(format!(
                            "its {name} entries come to {sum} won, its sum is {said}"
                        )));
                    }
                }
                break;
            };
            if page.entries.is_empty() || after.is_some_and(|after| next <= after) || count > ENTRIES_MAX {
                return Err(wrong(format!("after {count} entries its pages do not end")));
            }
            after = Some(next);
        }
        self.store.report_read(date, count, at).await?;
        run.read.insert(date);
        Ok(count)
    }

    /// Theirs: is what the report has in our books?
    async fn compare_report(&self, run: &mut Run) -> Result<(), ReconcileError> {
        let mut after = -1;
        loop {
            let page = self.store.report_page(run.done.date, after, PAGE).await?;
            let Some((last, _)) = page.entries.last() else { return Ok(()) };
            after = *last;
            let (mut differences, mut ask) = (Vec::new(), BTreeSet::new());
            for compared in compare_page(run.done.date, &page) {
                match compared {
                    Compared::Agreed => {}
                    Compared::Ask(payment) => {
                        ask.insert(payment);
                    }
                    Compared::Differs(mismatch) => differences.push(mismatch),
                }
            }
            run.done.asked += i64::try_from(ask.len()).unwrap_or(i64::MAX);
            self.record(run, differences, ask).await?;
        }
    }

    /// Ours: are the captures of our day in a report?
    async fn compare_captures(&self, run: &mut Run) -> Result<(), ReconcileError> {
        let Some(span) = days::span(&*self.clock, run.done.date) else { return Ok(()) };
        let mut after = None;
        loop {
            let made_since = span.0.minus(CAPTURED_WITHIN);
            let page = self.store.our_captures(span, made_since, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            self.compare_with_reports(run, page.into_iter().map(|(_, ours)| ours).collect()).await?;
        }
    }

    /// Ours: are the refunds of our day in a report?
    async fn compare_refunds(&self, run: &mut Run) -> Result<(), ReconcileError> {
        let Some(span) = days::span(&*self.clock, run.done.date) else { return Ok(()) };
        let mut after = None;
        loop {
            let page = self.store.our_refunds(span, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            self.compare_with_reports(run, page.into_iter().map(|(_, ours)| ours).collect()).await?;
        }
    }

    /// What the reports that are kept do not have is looked for in every report that could: the gateway counts days in a zone of
    /// its own, and we may have heard of a movement days after it.
    async fn compare_with_reports(
        &self,
        run: &mut Run,
        page: Vec<OurMovement>,
    ) -> Result<(), ReconcileError> {
        run.done.ours += i64::try_from(page.len()).unwrap_or(i64::MAX);
        let mut missing = self.not_reported(&page).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let wanted: BTreeSet<NaiveDate> =
            missing.iter().flat_map(|(ours, _)| days::reports_of(&*self.clock, ours, now)).collect();
        let unread: Vec<NaiveDate> = wanted.difference(&run.read).copied().collect();
        for date in unread {
            self.read_report(run, date).await?;
        }
        let page: Vec<OurMovement> = missing.into_iter().map(|(ours, _)| ours).collect();
        missing = self.not_reported(&page).await?;
        let differences: Vec<Mismatch> = missing.into_iter().map(|(_, mismatch)| mismatch).collect();
        self.record(run, differences, BTreeSet::new()).await
    }

    async fn not_reported(&self, page: &[OurMovement]) -> Result<Vec<(OurMovement, Mismatch)>, StorageError> {
        if page.is_empty() {
            return Ok(Vec::new());
        }
        let keys: BTreeSet<Arc<str>> = page.iter().map(|ours| ours.key.clone()).collect();
        let keys: Vec<Arc<str>> = keys.into_iter().collect();
        let mut reported: BTreeMap<Arc<str>, Vec<SettlementEntry>> = BTreeMap::new();
        for (_, entry) in self.store.reported(&keys).await? {
            reported.entry(entry.key.clone()).or_default().push(entry);
        }
        let compare = |ours: &OurMovement| {
            let entries = reported.get(&ours.key).into_iter().flatten();
            compare_ours(ours, entries).map(|mismatch| (ours.clone(), mismatch))
        };
        Ok(page.iter().filter_map(compare).collect())
    }

    /// Keeps what was found, and has the gateway asked about the payments that it is about: what the rules of payments can mend
    /// they mend, the rest waits for a person.
    async fn record(
        &self,
        run: &mut Run,
        differences: Vec<Mismatch>,
        mut ask: BTreeSet<PaymentId>,
    ) -> Result<(), ReconcileError> {
        ask.extend(differences.iter().filter_map(|mismatch| mismatch.payment));
        if ask.is_empty() && differences.is_empty() {
            return Ok(());
        }
        run.done.found += i64::try_from(differences.len()).unwrap_or(i64::MAX);
        let now = self.clock.now();
        let finding = |mismatch| ReconciliationFinding {
            id: self.ids.uuid(),
            date: run.done.date,
            mismatch,
            found_at: now,
            seen_at: run.began_at,
            resolution: None,
        };
        let found = differences.into_iter().map(finding).collect();
        let ask: Vec<PaymentId> = ask.into_iter().collect();
        let new = self.store.record(found, &ask, now).await?;
        run.done.new += i64::try_from(new.len()).unwrap_or(i64::MAX);
        for ReconciliationFinding { id, date, mismatch, .. } in &new {
            let Mismatch { kind, movement, key, reference, .. } = mismatch;
            tracing::error!(finding = %id, %date, kind = kind.name(), movement = movement.name(), %key, %reference,
                "the gateway's settlement report and our books differ");
        }
        self.payments_due.raise();
        Ok(())
    }
}

/// A key that collides may have several differences of one kind: they are one finding, of the first of them.
fn compare_page(date: NaiveDate, page: &ReportPage) -> Vec<Compared> {
    let mut groups: BTreeMap<(&str, MoneyMovement), Vec<Reported>> = BTreeMap::new();
    for (day, entry) in &page.reported {
        groups.entry((&entry.key, entry.movement)).or_default().push((*day, entry.clone()));
    }
    let touched: BTreeSet<(&str, MoneyMovement)> =
        page.entries.iter().map(|(_, entry)| (&*entry.key, entry.movement)).collect();
    let groups = groups.iter().filter(|(group, _)| touched.contains(group));
    groups.flat_map(|(_, reported)| compare_reported(date, reported, &page.known, &page.payments)).collect()
}
