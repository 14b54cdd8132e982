//! Settlement reports of the gateway, our movements, and what came of comparing them.

mod days;
mod findings;
mod ours;
mod report;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_application::ports::{
    AuditEntry, CapturePosition, ComparedDay, FindingFilter, ReconciledDay, ReconciliationFinding,
    ReconciliationStore, RefundPosition, ReportPage, Reported, Resolution, StorageError,
};
use commerce_api_domain::{MismatchKind, MoneyMovement, OurMovement, PaymentId, SettlementEntry, Timestamp};
use commerce_database::{Database, WriteTransaction};
use uuid::Uuid;

use super::query::Failure;
use crate::sql::decode::{Columns, undecodable};
use crate::sql::error::storage;

type Writing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure<StorageError>>> + Send + 'a>>;

/// [`ReconciliationStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlReconciliation {
    db: Database,
}

impl SqlReconciliation {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }

    async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a WriteTransaction) -> Writing<'a, T> + Send + Sync + 'static,
    {
        self.db.write(name, work).await.map_err(Failure::into_port)
    }
}

fn date(row: &mut Columns<'_>) -> Result<NaiveDate, StorageError> {
    let text: String = row.take()?;
    text.parse().map_err(|_| undecodable("a day", &text))
}

#[async_trait]
impl ReconciliationStore for SqlReconciliation {
    async fn keep_entries(
        &self,
        date: NaiveDate,
        first: i64,
        entries: &[SettlementEntry],
    ) -> Result<(), StorageError> {
        if entries.is_empty() {
            return Ok(());
        }
        let rows = report::rows(date, first, entries);
        self.write("keep_settlements", move |tx| {
            let statement = report::KEEP.statement(tx.dialect(), &rows);
            Box::pin(report::execute(tx, statement))
        })
        .await
    }

    async fn report_read(&self, date: NaiveDate, entries: i64, at: Timestamp) -> Result<(), StorageError> {
        self.write("settlements_read", move |tx| Box::pin(report::read(tx, date, entries, at))).await
    }

    async fn report_page(&self, date: NaiveDate, after: i64, limit: u64) -> Result<ReportPage, StorageError> {
        let snapshot = self.db.begin_read("settlement_page").await.map_err(storage)?;
        report::page(&snapshot, date, after, limit).await
    }

    async fn reported(&self, keys: &[Arc<str>]) -> Result<Vec<Reported>, StorageError> {
        report::of_keys(&self.db.reader_named("settlements_of_keys"), self.db.dialect(), keys).await
    }

    async fn our_captures(
        &self,
        span: (Timestamp, Timestamp),
        made_since: Timestamp,
        after: Option<CapturePosition>,
        limit: u64,
    ) -> Result<Vec<(CapturePosition, OurMovement)>, StorageError> {
        let statement = ours::captures(self.db.dialect(), span, made_since, after, limit);
        ours::read_captures(&self.db.reader_named("our_captures"), statement).await
    }

    async fn our_refunds(
        &self,
        span: (Timestamp, Timestamp),
        after: Option<RefundPosition>,
        limit: u64,
    ) -> Result<Vec<(RefundPosition, OurMovement)>, StorageError> {
        let statement = ours::refunds(self.db.dialect(), span, after, limit);
        ours::read_refunds(&self.db.reader_named("our_refunds"), statement).await
    }

    async fn record(
        &self,
        found: Vec<ReconciliationFinding>,
        ask: &[PaymentId],
        at: Timestamp,
    ) -> Result<Vec<ReconciliationFinding>, StorageError> {
        let ask = ask.to_vec();
        self.write("record_findings", move |tx| {
            let (found, ask) = (found.clone(), ask.clone());
            Box::pin(findings::record(tx, found, ask, at))
        })
        .await
    }

    async fn compared(&self, day: ComparedDay, at: Timestamp) -> Result<u64, StorageError> {
        self.write("reconciled", move |tx| Box::pin(days::compared(tx, day, at))).await
    }

    async fn failed(&self, date: NaiveDate, at: Timestamp, error: &str) -> Result<(), StorageError> {
        let error: Arc<str> = error.into();
        self.write("not_reconciled", move |tx| Box::pin(days::failed(tx, date, at, error.clone()))).await
    }

    async fn request(&self, date: NaiveDate, at: Timestamp, audit: AuditEntry) -> Result<(), StorageError> {
        self.write("request_reconciliation", move |tx| Box::pin(days::request(tx, date, at, audit.clone())))
            .await
    }

    async fn days(&self, until: NaiveDate, limit: u64) -> Result<Vec<(ReconciledDay, i64)>, StorageError> {
        days::list(&self.db.reader_named("reconciled_days"), self.db.dialect(), until, limit).await
    }

    async fn first_payment_at(&self) -> Result<Option<Timestamp>, StorageError> {
        ours::first_payment_at(&self.db.reader_named("first_payment")).await
    }

    async fn findings(&self, filter: &FindingFilter) -> Result<Vec<ReconciliationFinding>, StorageError> {
        findings::list(&self.db.reader_named("findings"), filter).await
    }

    async fn resolve(
        &self,
        id: Uuid,
        resolution: Resolution,
        audit: AuditEntry,
    ) -> Result<Option<ReconciliationFinding>, StorageError> {
        self.write("resolve_finding", move |tx| {
            Box::pin(findings::resolve(tx, id, resolution.clone(), audit.clone()))
        })
        .await
    }

    async fn open_findings(&self) -> Result<BTreeMap<(MismatchKind, MoneyMovement), i64>, StorageError> {
        findings::open(&self.db.reader_named("open_findings")).await
    }

    async fn purge_entries(&self, before: NaiveDate, limit: u64) -> Result<u64, StorageError> {
        self.write("purge_settlements", move |tx| Box::pin(report::purge(tx, before, limit))).await
    }
}
