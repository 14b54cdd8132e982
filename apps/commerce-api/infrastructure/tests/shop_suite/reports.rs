//! A gateway with a settlement report, in a zone of its own, which a test can falsify.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_application::ports::{
    Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway, SettlementPage,
    TransactionSummary,
};
use commerce_api_domain::{Money, MoneyMovement, PaymentId, SettlementEntry, Timestamp};
use commerce_api_infrastructure::runtime::BusinessZone;

use crate::gateway::ScriptedGateway;

/// Entries of a page, so that every report has several.
const PAGE: usize = 2;

pub struct Reporting {
    inner: Arc<ScriptedGateway>,
    zone: BusinessZone,
    entries: Mutex<Vec<SettlementEntry>>,
    /// What it answers instead of a page, while there is something.
    instead: Mutex<Option<Result<SettlementPage, GatewayError>>>,
    asked: Mutex<Vec<NaiveDate>>,
}

pub fn entry(
    movement: MoneyMovement,
    key: &str,
    reference: &str,
    amount: i64,
    at: Timestamp,
) -> SettlementEntry {
    let amount = Money::new(amount).unwrap();
    SettlementEntry { movement, key: key.into(), reference: reference.into(), amount, at }
}

impl Reporting {
    pub fn new(inner: Arc<ScriptedGateway>, zone: &str) -> Self {
        Self {
            inner,
            zone: zone.parse().unwrap(),
            entries: Mutex::default(),
            instead: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub fn add(&self, entry: SettlementEntry) {
        self.entries.lock().unwrap().push(entry);
    }

    pub fn change(&self, change: impl FnOnce(&mut Vec<SettlementEntry>)) {
        change(&mut self.entries.lock().unwrap());
    }

    pub fn answer_instead(&self, answer: Option<Result<SettlementPage, GatewayError>>) {
        *self.instead.lock().unwrap() = answer;
    }

    /// The days whose report was asked for, since the last time.
    pub fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> =
            std::mem::take(&mut *self.asked.lock().unwrap()).iter().map(NaiveDate::to_string).collect();
        asked.dedup();
        asked
    }
}

#[async_trait]
impl PaymentGateway for Reporting {
    fn abilities(&self) -> GatewayAbilities {
        self.inner.abilities()
    }

    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        self.inner.charge(charge).await
    }

    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        self.inner.find(key).await
    }

    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.inner.find_by_reference(payment).await
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        self.inner.refund(key, amount, refund_key).await
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.inner.void(payment).await
    }

    async fn settlement(&self, date: NaiveDate, after: Option<i64>) -> Result<SettlementPage, GatewayError> {
        self.asked.lock().unwrap().push(date);
        if let Some(answer) = self.instead.lock().unwrap().clone() {
            return answer;
        }
        let of_day = |entry: &&SettlementEntry| self.zone.day(entry.at.as_micros()) == Some(date);
        let of_day: Vec<SettlementEntry> =
            self.entries.lock().unwrap().iter().filter(of_day).cloned().collect();
        let sum = |movement| {
            let moved = of_day.iter().filter(|entry| entry.movement == movement);
            moved.map(|entry| entry.amount.won()).sum()
        };
        let (captured, refunded) = (sum(MoneyMovement::Capture), sum(MoneyMovement::Refund));
        let first = usize::try_from(after.unwrap_or_default()).unwrap();
        let entries: Vec<_> = of_day.iter().skip(first).take(PAGE).cloned().collect();
        // As the simulator does, a full page is followed by another one, even if that is empty.
        let next = (entries.len() == PAGE).then(|| i64::try_from(first + PAGE).unwrap());
        Ok(SettlementPage { entries, captured, refunded, next })
    }
}
