//! Settlement reports and what came of comparing them, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_application::ports::{
    AuditEntry, CapturePosition, ComparedDay, FindingFilter, ReconciledDay, ReconciliationFinding,
    ReconciliationState, ReconciliationStore, RefundPosition, ReportPage, Reported, Resolution, ResolvedHow,
    StorageError,
};
use commerce_api_domain::{
    MismatchKind, MoneyMovement, OurMovement, Payment, PaymentEvent, PaymentId, PaymentStatus,
    SettlementEntry, Standing, Timestamp,
};
use uuid::Uuid;

use super::MemoryStorage;
use super::state::Tables;

/// A finding's day, transaction key, movement and kind.
type Place = (NaiveDate, Arc<str>, MoneyMovement, MismatchKind);

/// Rows that are written by reconciliation alone, each at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Reconciliation {
    entries: BTreeMap<(NaiveDate, i64), SettlementEntry>,
    days: BTreeMap<NaiveDate, ReconciledDay>,
    findings: BTreeMap<Place, ReconciliationFinding>,
}

impl Reconciliation {
    fn day(&mut self, date: NaiveDate) -> &mut ReconciledDay {
        self.days.entry(date).or_insert_with(|| ReconciledDay::new(date))
    }

    fn reported(&self, keys: &BTreeSet<Arc<str>>) -> Vec<Reported> {
        let of = self.entries.iter().filter(|(_, entry)| keys.contains(&entry.key));
        of.map(|((date, _), entry)| (*date, entry.clone())).collect()
    }

    fn open_of(&self, date: NaiveDate) -> i64 {
        let open = self.findings.values().filter(|found| found.date == date && found.resolution.is_none());
        i64::try_from(open.count()).unwrap_or(i64::MAX)
    }
}

fn place(finding: &ReconciliationFinding) -> Place {
    let mismatch = &finding.mismatch;
    (finding.date, mismatch.key.clone(), mismatch.movement, mismatch.kind)
}

fn payment(tables: &Tables, id: PaymentId) -> Option<&Payment> {
    Some(&tables.orders.get(tables.orders_by_payment.get(&id)?)?.payment)
}

fn known(tables: &Tables, keys: &BTreeSet<Arc<str>>) -> Vec<OurMovement> {
    let is_captured = |payment: &Payment| {
        matches!(
            payment.status,
            PaymentStatus::Success | PaymentStatus::RefundPending | PaymentStatus::Refunded
        )
    };
    let payments = tables.orders.committed().values().map(|order| &order.payment);
    let captures = payments.filter(|payment| is_captured(payment)).filter_map(|payment| {
        let key = payment.gateway_key.clone().filter(|key| keys.contains(key))?;
        let (from, at) = (payment.created_at, payment.updated_at);
        let (movement, status) = (MoneyMovement::Capture, payment.status);
        let amount = payment.card_part;
        Some(OurMovement { payment: payment.id, movement, key, amount, status, is_settled: true, from, at })
    });
    let refunds = tables.refunds.committed().iter().filter(|((_, key), _)| keys.contains(key));
    let refunds = refunds.flat_map(|((payment, key), refund)| {
        let is_settled = refund.settled_at.is_some();
        let refund = OurMovement {
            payment: *payment,
            movement: MoneyMovement::Refund,
            key: key.clone(),
            amount: refund.amount,
            status: if is_settled { PaymentStatus::Refunded } else { PaymentStatus::RefundPending },
            is_settled,
            from: refund.created_at,
            at: refund.created_at,
        };
        [OurMovement { movement: MoneyMovement::Capture, is_settled: true, ..refund.clone() }, refund]
    });
    captures.chain(refunds).collect()
}

fn is_capture(event: &PaymentEvent) -> bool {
    use PaymentEvent as E;
    matches!(event, E::Captured { .. } | E::CapturedLate { .. } | E::DuplicateCaptured { .. })
}

fn limited<T>(mut rows: Vec<T>, limit: u64) -> Vec<T> {
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    rows
}

#[async_trait]
impl ReconciliationStore for MemoryStorage {
    async fn keep_entries(
        &self,
        date: NaiveDate,
        first: i64,
        entries: &[SettlementEntry],
    ) -> Result<(), StorageError> {
        self.alone(|tables| {
            let kept = (first..).zip(entries).map(|(place, entry)| ((date, place), entry.clone()));
            tables.reconciliation.entries.extend(kept);
        })
        .await
    }

    async fn report_read(&self, date: NaiveDate, entries: i64, at: Timestamp) -> Result<(), StorageError> {
        self.alone(|tables| {
            let reconciliation = &mut tables.reconciliation;
            reconciliation.entries.retain(|(day, place), _| *day != date || *place < entries);
            let day = reconciliation.day(date);
            (day.fetched_at, day.entries) = (Some(at), entries);
        })
        .await
    }

    async fn report_page(&self, date: NaiveDate, after: i64, limit: u64) -> Result<ReportPage, StorageError> {
        self.alone(|tables| {
            let of_day = tables.reconciliation.entries.range((date, after + 1)..=(date, i64::MAX));
            let entries = of_day.map(|((_, place), entry)| (*place, entry.clone())).collect();
            let entries: Vec<(i64, SettlementEntry)> = limited(entries, limit);
            let keys = entries.iter().map(|(_, entry)| entry.key.clone()).collect();
            let reported = tables.reconciliation.reported(&keys);
            let standing = |(_, entry): &Reported| {
                let id = entry.payment()?;
                let payment = payment(tables, id).filter(|payment| !payment.card_part.is_zero())?;
                Some((id, Standing { status: payment.status, card_part: payment.card_part }))
            };
            let payments = reported.iter().filter_map(standing).collect();
            ReportPage { entries, known: known(tables, &keys), reported, payments }
        })
        .await
    }

    async fn reported(&self, keys: &[Arc<str>]) -> Result<Vec<Reported>, StorageError> {
        let keys = keys.iter().cloned().collect();
        self.alone(|tables| tables.reconciliation.reported(&keys)).await
    }

    async fn our_captures(
        &self,
        (from, to): (Timestamp, Timestamp),
        made_since: Timestamp,
        after: Option<CapturePosition>,
        limit: u64,
    ) -> Result<Vec<(CapturePosition, OurMovement)>, StorageError> {
        self.alone(|tables| {
            let events = tables.payment_events.committed().iter();
            let captures = events.filter_map(|(position, record)| {
                let payment = payment(tables, record.payment)?;
                let wanted = is_capture(&record.event)
                    && (from..to).contains(&record.at)
                    && payment.created_at >= made_since
                    && after.is_none_or(|after| *position > after);
                let ours = OurMovement {
                    payment: payment.id,
                    movement: MoneyMovement::Capture,
                    key: record.event.gateway_key()?.clone(),
                    amount: payment.card_part,
                    status: payment.status,
                    is_settled: true,
                    from: payment.created_at,
                    at: record.at,
                };
                wanted.then_some((*position, ours))
            });
            limited(captures.collect(), limit)
        })
        .await
    }

    async fn our_refunds(
        &self,
        (from, to): (Timestamp, Timestamp),
        after: Option<RefundPosition>,
        limit: u64,
    ) -> Result<Vec<(RefundPosition, OurMovement)>, StorageError> {
        self.alone(|tables| {
            let refunds = tables.refunds.committed().iter().filter_map(|((id, key), refund)| {
                let at = refund.settled_at.filter(|at| (from..to).contains(at))?;
                let ours = OurMovement {
                    payment: *id,
                    movement: MoneyMovement::Refund,
                    key: key.clone(),
                    amount: refund.amount,
                    status: payment(tables, *id)?.status,
                    is_settled: true,
                    from: refund.created_at,
                    at,
                };
                Some(((at, *id, key.clone()), ours))
            });
            let mut refunds: Vec<(RefundPosition, OurMovement)> = refunds.collect();
            refunds.retain(|(position, _)| after.as_ref().is_none_or(|after| position > after));
            refunds.sort_by(|(left, _), (right, _)| left.cmp(right));
            limited(refunds, limit)
        })
        .await
    }

    async fn record(
        &self,
        found: Vec<ReconciliationFinding>,
        ask: &[PaymentId],
        at: Timestamp,
    ) -> Result<Vec<ReconciliationFinding>, StorageError> {
        self.alone(|tables| {
            for payment in ask {
                let check = tables.checks.get(payment).copied().unwrap_or_default();
                tables.checks.put(*payment, check.due(at));
            }
            let mut places: BTreeMap<Place, ReconciliationFinding> = BTreeMap::new();
            for finding in found {
                places.entry(place(&finding)).or_insert(finding);
            }
            let mut new = Vec::new();
            for (place, again) in places {
                let before = tables.reconciliation.findings.remove(&place);
                let was_open = before.as_ref().is_some_and(|before| before.resolution.is_none());
                let now = match before {
                    Some(before) => before.found_again(again),
                    None => again,
                };
                if !was_open && now.resolution.is_none() {
                    new.push(now.clone());
                }
                tables.reconciliation.findings.insert(place, now);
            }
            new
        })
        .await
    }

    async fn compared(&self, compared: ComparedDay, at: Timestamp) -> Result<u64, StorageError> {
        let ComparedDay { date, began_at, ours, asked } = compared;
        self.alone(|tables| {
            let reconciliation = &mut tables.reconciliation;
            let mut gone = 0;
            for finding in reconciliation.findings.values_mut() {
                if finding.date == date && finding.resolution.is_none() && finding.seen_at < began_at {
                    finding.resolution = Some(Resolution { at, how: ResolvedHow::Gone, reason: None });
                    gone += 1;
                }
            }
            let day = reconciliation.day(date);
            (day.compared_at, day.ours, day.asked) = (Some(began_at), ours, asked);
            (day.failed_at, day.error) = (None, None);
            gone
        })
        .await
    }

    async fn failed(&self, date: NaiveDate, at: Timestamp, error: &str) -> Result<(), StorageError> {
        self.alone(|tables| {
            let day = tables.reconciliation.day(date);
            (day.failed_at, day.error) = (Some(at), Some(error.into()));
        })
        .await
    }

    async fn request(&self, date: NaiveDate, at: Timestamp, audit: AuditEntry) -> Result<(), StorageError> {
        self.alone(|tables| {
            tables.reconciliation.day(date).requested_at = Some(at);
            tables.audit_log.put(audit.id, audit);
        })
        .await
    }

    async fn days(&self, until: NaiveDate, limit: u64) -> Result<Vec<(ReconciledDay, i64)>, StorageError> {
        self.alone(|tables| {
            let reconciliation = &tables.reconciliation;
            let days = reconciliation.days.range(..=until).rev();
            limited(days.map(|(date, day)| (day.clone(), reconciliation.open_of(*date))).collect(), limit)
        })
        .await
    }

    async fn first_payment_at(&self) -> Result<Option<Timestamp>, StorageError> {
        self.alone(|tables| {
            let first = tables.orders_by_payment.committed().keys().next();
            first.and_then(|id| Some(payment(tables, *id)?.created_at))
        })
        .await
    }

    async fn findings(&self, filter: &FindingFilter) -> Result<Vec<ReconciliationFinding>, StorageError> {
        self.alone(|tables| {
            let mut found: Vec<_> = tables.reconciliation.findings.values().cloned().collect();
            found.retain(|found| {
                filter.date.is_none_or(|date| found.date == date)
                    && filter.state.is_none_or(|state| found.state() == state)
                    && filter.kind.is_none_or(|kind| found.mismatch.kind == kind)
                    && filter.before.is_none_or(|before| (found.found_at, found.id) < before)
            });
            found.sort_by_key(|found| std::cmp::Reverse((found.found_at, found.id)));
            limited(found, filter.limit)
        })
        .await
    }

    async fn resolve(
        &self,
        id: Uuid,
        resolution: Resolution,
        audit: AuditEntry,
    ) -> Result<Option<ReconciliationFinding>, StorageError> {
        self.alone(|tables| {
            let found = tables.reconciliation.findings.values_mut().find(|found| found.id == id)?;
            if found.state() == ReconciliationState::Open {
                found.resolution = Some(resolution);
                tables.audit_log.put(audit.id, audit);
            }
            Some(found.clone())
        })
        .await
    }

    async fn open_findings(&self) -> Result<BTreeMap<(MismatchKind, MoneyMovement), i64>, StorageError> {
        self.alone(|tables| {
            let mut open = BTreeMap::new();
            for found in tables.reconciliation.findings.values().filter(|found| found.resolution.is_none()) {
                *open.entry((found.mismatch.kind, found.mismatch.movement)).or_default() += 1;
            }
            open
        })
        .await
    }

    async fn purge_entries(&self, before: NaiveDate, limit: u64) -> Result<u64, StorageError> {
        self.alone(|tables| {
            let entries = &mut tables.reconciliation.entries;
            let old: Vec<_> = entries.range(..(before, i64::MIN)).map(|(place, _)| *place).collect();
            let old = limited(old, limit);
            for place in &old {
                entries.remove(place);
            }
            old.len() as u64
        })
        .await
    }
}
