//! The payment gateway: it keeps its own books, decides later, and fails in every way that the network or it can.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway,
    TransactionState, TransactionSummary,
};
use commerce_api_domain::{Money, PaymentId};
use tokio::sync::mpsc;

use crate::fault::Fault;
use crate::life::Life;
use crate::world::{World, locked};

/// A transaction in the gateway's books.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is.
    pub transaction: GatewayTransaction,
    /// Recorded a second time by the network: no failing of the shop's.
    pub is_double: bool,
    /// Milliseconds after the start when it was recorded.
    recorded_ms: u128,
    /// And when it was decided.
    decided_ms: u128,
    /// The key of its refund.
    pub refund_key: Option<String>,
}

impl Entry {
    /// Captured and not given back.
    pub fn is_kept(&self) -> bool {
        self.transaction.state == TransactionState::Captured && self.refund_key.is_none()
    }
}

/// A callback on its way.
#[derive(Debug, Clone)]
pub struct Notice {
    /// None where it is not signed.
    pub event_id: Option<String>,
    /// What it says.
    pub transaction: GatewayTransaction,
    /// How long it is on its way.
    pub after: Duration,
}

#[derive(Default)]
struct Books {
    entries: Vec<Entry>,
    voided: BTreeSet<String>,
    down_until: Duration,
}

/// The gateway of all processes.
pub struct Gateway {
    world: Arc<World>,
    abilities: GatewayAbilities,
    /// How long a charge may stay on its way before it is recorded.
    late_max: Duration,
    books: Mutex<Books>,
    notices: mpsc::UnboundedSender<Notice>,
}

/// After so long the shop's client gives up.
const TIME_LIMIT: Duration = Duration::from_secs(6);
/// An old copy is so old.
const STALE_MS: u128 = 4_000;

impl Gateway {
    /// Without transactions; sends callbacks to `notices`.
    pub fn new(
        world: Arc<World>,
        abilities: GatewayAbilities,
        late_max: Duration,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> Arc<Self> {
        Arc::new(Self { world, abilities, late_max, books: Mutex::default(), notices })
    }

    /// Its books.
    pub fn entries(&self) -> Vec<Entry> {
        locked(&self.books).entries.clone()
    }

    /// It can be reached by nobody for so long.
    pub fn go_down(&self, span: Duration) {
        self.world.note(|| format!("gateway down for {span:?}"));
        locked(&self.books).down_until = self.world.clock.elapsed().saturating_add(span);
    }

    fn is_down(&self) -> bool {
        self.world.clock.elapsed() < locked(&self.books).down_until
    }

    fn now_ms(&self) -> u128 {
        self.world.clock.elapsed().as_millis()
    }

    /// Records a charge, once where keys are honoured; none where its reference was voided.
    fn record(self: &Arc<Self>, charge: &Charge, is_double: bool) -> Option<TransactionSummary> {
        let reference = charge.payment.to_string();
        let mut books = locked(&self.books);
        if books.voided.contains(&reference) {
            return None;
        }
        let of = |entry: &&Entry| *entry.transaction.reference == *reference;
        if self.abilities.idempotency
            && let Some(known) = books.entries.iter().find(of)
        {
            return Some(summary(&known.transaction));
        }
        let own = books.entries.iter().filter(of).filter(|entry| !entry.is_double).count();
        if own > 0 && !is_double {
            self.world.wrong(format!("payment {reference} was charged {} times", own + 1));
        }
        let number = books.entries.len() + 1;
        let transaction = GatewayTransaction {
            key: format!("20270115:TR:{number:06x}").into(),
            reference: reference.into(),
            amount: charge.amount.won(),
            state: TransactionState::Pending,
        };
        self.world.note(|| format!("gateway records {} for {}", transaction.key, transaction.reference));
        let known = summary(&transaction);
        let recorded_ms = self.now_ms();
        books.entries.push(Entry {
            transaction,
            is_double,
            recorded_ms,
            decided_ms: u128::MAX,
            refund_key: None,
        });
        drop(books);
        let (gateway, index) = (self.clone(), number - 1);
        let after = if self.world.strikes(Fault::CallbackEarly) {
            Duration::ZERO
        } else {
            self.world.span(50, 6_000)
        };
        tokio::spawn(async move {
            // tidy: sleep simulated time
            tokio::time::sleep(after).await;
            gateway.decide(index);
        });
        Some(known)
    }

    /// The network brings the charge a second time, at once or later.
    fn record_again(self: &Arc<Self>, charge: Charge) {
        let late = self.world.span(0, 40_000);
        let (gateway, after) = (self.clone(), late.saturating_sub(Duration::from_secs(20)));
        tokio::spawn(async move {
            // tidy: sleep simulated time
            tokio::time::sleep(after).await;
            gateway.record(&charge, true);
        });
    }

    fn decide(&self, index: usize) {
        let is_declined = self.world.strikes(Fault::Declined);
        let now = self.now_ms();
        let mut books = locked(&self.books);
        let Some(entry) = books.entries.get_mut(index) else { return };
        entry.transaction.state = if is_declined {
            TransactionState::Declined("limit exceeded".into())
        } else {
            TransactionState::Captured
        };
        entry.decided_ms = now;
        let entry = entry.clone();
        drop(books);
        self.world
            .note(|| format!("gateway decides {}: {:?}", entry.transaction.key, entry.transaction.state));
        self.call_back(&entry);
    }

    fn call_back(&self, entry: &Entry) {
        let transaction = &entry.transaction;
        let event_id = |name: &str| self.abilities.signature.then(|| format!("{name}:{}", transaction.key));
        let notice = |event_id, transaction: &GatewayTransaction, after| {
            // Who hears them is gone at the end of a run only.
            let _ = self.notices.send(Notice { event_id, transaction: transaction.clone(), after });
        };
        if self.world.strikes(Fault::CallbackWrongAmount) {
            let wrong = GatewayTransaction { amount: transaction.amount - 1, ..transaction.clone() };
            notice(event_id("wrong"), &wrong, self.world.span(0, 3_000));
        }
        if !self.abilities.signature && self.world.strikes(Fault::CallbackForged) {
            let forged = GatewayTransaction { state: TransactionState::Captured, ..transaction.clone() };
            notice(None, &forged, self.world.span(0, 3_000));
        }
        if self.world.strikes(Fault::CallbackLost) {
            return;
        }
        let late = self.world.strikes(Fault::CallbackDelayed);
        let after = if late { self.world.span(2_000, 40_000) } else { self.world.span(0, 200) };
        notice(event_id("told"), transaction, after);
        if self.world.strikes(Fault::CallbackDoubled) {
            notice(event_id("told"), transaction, after + self.world.span(0, 20_000));
        }
    }

    /// What it tells of an entry: of late changes perhaps nothing yet.
    fn told(&self, entry: &Entry, is_stale: bool) -> Option<GatewayTransaction> {
        let old = |since: u128| is_stale && self.now_ms() < since.saturating_add(STALE_MS);
        let mut transaction = entry.transaction.clone();
        if old(entry.recorded_ms) {
            return None;
        }
        if entry.decided_ms != u128::MAX && old(entry.decided_ms) {
            transaction.state = TransactionState::Pending;
        }
        Some(transaction)
    }

    fn under(&self, payment: PaymentId, is_stale: bool) -> Vec<TransactionSummary> {
        let reference = payment.to_string();
        let books = locked(&self.books);
        let of = books.entries.iter().rev().filter(|entry| *entry.transaction.reference == *reference);
        of.filter_map(|entry| self.told(entry, is_stale)).map(|transaction| summary(&transaction)).collect()
    }

    async fn question(&self) -> Result<bool, GatewayError> {
        self.world.delay().await;
        if self.world.strikes(Fault::QuerySlow) {
            // tidy: sleep simulated time
            tokio::time::sleep(self.world.span(500, 5_000)).await;
        }
        if self.is_down() || self.world.strikes(Fault::QueryFails) {
            return Err(GatewayError::Unavailable("no answer".to_owned()));
        }
        Ok(self.world.strikes(Fault::QueryStale))
    }

    async fn charge(self: &Arc<Self>, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        let world = &self.world;
        let unknown = |cause: &str| Err(ChargeError::Unknown(cause.to_owned()));
        world.note(|| format!("charge {} attempt {}", charge.payment, charge.attempt));
        if self.is_down() || world.strikes(Fault::ChargeNotSent) {
            return Err(ChargeError::NotSent("no connection".to_owned()));
        }
        world.delay().await;
        if world.strikes(Fault::ChargeLost) {
            return unknown("lost");
        }
        if world.strikes(Fault::RecordedLate) {
            let after = world.span(1_000, u64::try_from(self.late_max.as_millis()).unwrap_or(u64::MAX));
            let (gateway, charge) = (self.clone(), charge.clone());
            tokio::spawn(async move {
                // tidy: sleep simulated time
                tokio::time::sleep(after).await;
                gateway.record(&charge, false);
            });
            // tidy: sleep simulated time
            tokio::time::sleep(TIME_LIMIT.min(after)).await;
            return unknown("not recorded yet");
        }
        let Some(recorded) = self.record(charge, false) else {
            return Err(ChargeError::Refused("the reference is void".to_owned()));
        };
        if !self.abilities.idempotency && world.strikes(Fault::RecordedTwice) {
            self.record_again(charge.clone());
        }
        if world.strikes(Fault::ChargeHangs) {
            // tidy: sleep simulated time
            tokio::time::sleep(TIME_LIMIT).await;
            return unknown("no answer in time");
        }
        world.delay().await;
        if world.strikes(Fault::ChargeAnswerLost) {
            return unknown("the answer was lost");
        }
        if world.strikes(Fault::ChargeFailsRecorded) {
            return unknown("503");
        }
        Ok(recorded)
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        self.question().await?;
        if self.world.strikes(Fault::RefundFails) {
            return Err(GatewayError::Unavailable("refunds are down".to_owned()));
        }
        let mut books = locked(&self.books);
        let Some(entry) = books.entries.iter_mut().find(|entry| *entry.transaction.key == *key) else {
            self.world.wrong(format!("a refund of {key}, which is not known"));
            return Err(GatewayError::Refused("not found".to_owned()));
        };
        let whole = entry.transaction.amount == amount.won();
        if entry.transaction.state != TransactionState::Captured || !whole {
            self.world.wrong(format!("a refund of {amount} of {:?}", entry.transaction));
        }
        match &entry.refund_key {
            Some(known) if known != refund_key => {
                self.world.wrong(format!("{key} was given back under {known} and under {refund_key}"));
            }
            Some(_) => {}
            None => {
                self.world.note(|| format!("gateway gives {key} back"));
                entry.refund_key = Some(refund_key.to_owned());
            }
        }
        drop(books);
        if self.world.strikes(Fault::RefundAnswerLost) {
            return Err(GatewayError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(())
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.question().await?;
        locked(&self.books).voided.insert(payment.to_string());
        self.world.note(|| format!("gateway voids {payment}"));
        Ok(self.under(payment, false))
    }
}

fn summary(transaction: &GatewayTransaction) -> TransactionSummary {
    TransactionSummary { key: transaction.key.clone(), state: transaction.state.clone() }
}

/// The gateway as one process reaches it.
pub struct GatewayClient {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The process.
    pub life: Arc<Life>,
}

#[async_trait]
impl PaymentGateway for GatewayClient {
    fn abilities(&self) -> GatewayAbilities {
        self.gateway.abilities
    }

    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        self.life.gate().await;
        let answer = self.gateway.charge(charge).await;
        self.life.gate().await;
        answer
    }

    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        self.life.gate().await;
        let is_stale = self.gateway.question().await?;
        let found = {
            let books = locked(&self.gateway.books);
            let entry = books.entries.iter().find(|entry| *entry.transaction.key == *key);
            // It was told of, so no copy is without it.
            entry.and_then(|entry| {
                self.gateway.told(entry, is_stale).or_else(|| self.gateway.told(entry, false))
            })
        };
        self.life.gate().await;
        Ok(found)
    }

    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.life.gate().await;
        let is_stale = self.gateway.question().await?;
        let found = self.gateway.under(payment, is_stale);
        self.life.gate().await;
        Ok(found)
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        self.life.gate().await;
        let done = self.gateway.refund(key, amount, refund_key).await;
        self.life.gate().await;
        done
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.life.gate().await;
        let found = self.gateway.void(payment).await;
        self.life.gate().await;
        found
    }
}
