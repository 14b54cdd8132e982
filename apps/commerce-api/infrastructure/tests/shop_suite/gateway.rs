//! A gateway that does as a test tells it, on the shop's clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    Charge, ChargeError, Clock, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway,
    TransactionState, TransactionSummary,
};
use commerce_api_domain::{Money, PaymentId, Timestamp};
use commerce_api_infrastructure::runtime::ManualClock;
use futures::future::BoxFuture;

/// What becomes of the next charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// Recorded and answered.
    Answer,
    /// Recorded; the answer is lost.
    AnswerLost,
    /// Fails before anything is recorded, and nobody can tell.
    LostBefore,
    /// Recorded only after a while; there is no answer.
    RecordedLate(Duration),
    /// No connection.
    NotSent,
    /// Refused for good.
    Refused,
    /// Recorded twice, and answered.
    RecordedTwice,
}

#[derive(Debug, Clone)]
struct Recorded {
    transaction: GatewayTransaction,
    idempotency_key: String,
    visible_from: Timestamp,
    refunded: bool,
}

#[derive(Default)]
struct Books {
    next: VecDeque<Meets>,
    recorded: Vec<Recorded>,
    voided: BTreeSet<String>,
    charges: Vec<(PaymentId, String)>,
    refunds: Vec<(String, String)>,
    calls: usize,
    /// Everything but a charge fails.
    silent: bool,
    /// Questions are answered from a copy in which none of this is recorded, or decided.
    copy: Option<BTreeMap<Arc<str>, TransactionState>>,
    refunds_fail: bool,
}

type Hook = Box<dyn Fn(GatewayTransaction) -> BoxFuture<'static, ()> + Send + Sync>;

pub struct ScriptedGateway {
    pub abilities: GatewayAbilities,
    clock: Arc<ManualClock>,
    books: Mutex<Books>,
    /// Called inside a charge, after it was recorded and before it is answered.
    before_answer: Mutex<Option<Hook>>,
}

pub fn key_of(number: usize) -> String {
    format!("20270115:TR:{number:06x}")
}

impl ScriptedGateway {
    pub fn new(abilities: GatewayAbilities, clock: Arc<ManualClock>) -> Self {
        Self { abilities, clock, books: Mutex::default(), before_answer: Mutex::default() }
    }

    /// The next charges meet this, in this order; later ones are answered.
    pub fn next(&self, meets: &[Meets]) {
        self.books.lock().unwrap().next.extend(meets);
    }

    /// The next charge meets this; later ones are answered.
    pub fn only(&self, meets: Meets) {
        self.books.lock().unwrap().next = [meets].into();
    }

    /// Decides every transaction that is pending.
    pub fn decide(&self, state: &TransactionState) {
        let mut books = self.books.lock().unwrap();
        let pending = |recorded: &&mut Recorded| recorded.transaction.state == TransactionState::Pending;
        books
            .recorded
            .iter_mut()
            .filter(pending)
            .for_each(|recorded| recorded.transaction.state = state.clone());
    }

    /// Decides one transaction, by its number.
    pub fn decide_one(&self, number: usize, state: TransactionState) {
        self.books.lock().unwrap().recorded[number - 1].transaction.state = state;
    }

    pub fn capture(&self) {
        self.decide(&TransactionState::Captured);
    }

    pub fn decline(&self) {
        self.decide(&TransactionState::Declined("limit exceeded".into()));
    }

    /// The gateway's books say another amount than was asked for.
    pub fn falsify_amounts(&self) {
        self.books.lock().unwrap().recorded.iter_mut().for_each(|recorded| recorded.transaction.amount -= 1);
    }

    /// The gateway's books say another amount of this transaction.
    pub fn falsify_amount_of(&self, key: &str) {
        let mut books = self.books.lock().unwrap();
        let of_key = |known: &&mut Recorded| *known.transaction.key == *key;
        books.recorded.iter_mut().filter(of_key).for_each(|known| known.transaction.amount -= 1);
    }

    pub fn be_silent(&self, silent: bool) {
        self.books.lock().unwrap().silent = silent;
    }

    /// From now on questions are answered from a copy that was made before the last charge was recorded, and before
    /// anything else that happens from now on. A transaction that it was told of is there, undecided.
    pub fn answer_from_before(&self) {
        let mut books = self.books.lock().unwrap();
        let rest = books.recorded.len().saturating_sub(1);
        let known = books.recorded.iter().take(rest);
        let copy =
            known.map(|known| (known.transaction.key.clone(), known.transaction.state.clone())).collect();
        books.copy = Some(copy);
    }

    pub fn answer_from_now(&self) {
        self.books.lock().unwrap().copy = None;
    }

    pub fn fail_refunds(&self, fail: bool) {
        self.books.lock().unwrap().refunds_fail = fail;
    }

    pub fn before_answer(&self, hook: Hook) {
        *self.before_answer.lock().unwrap() = Some(hook);
    }

    /// What is recorded, whether or not it is visible yet.
    pub fn transactions(&self) -> Vec<GatewayTransaction> {
        self.books.lock().unwrap().recorded.iter().map(|recorded| recorded.transaction.clone()).collect()
    }

    /// Won that the gateway holds for us: captured and not given back.
    pub fn holds(&self) -> i64 {
        let books = self.books.lock().unwrap();
        let held = books.recorded.iter().filter(|recorded| {
            recorded.transaction.state == TransactionState::Captured && !recorded.refunded
        });
        held.map(|recorded| recorded.transaction.amount).sum()
    }

    /// A capture under our reference that nobody hears of; gives back its key.
    pub fn record_unheard(&self, payment: PaymentId, amount: i64) -> Arc<str> {
        let mut books = self.books.lock().unwrap();
        let key: Arc<str> = key_of(books.recorded.len() + 1).into();
        let (reference, state) = (payment.to_string().into(), TransactionState::Captured);
        books.recorded.push(Recorded {
            transaction: GatewayTransaction { key: key.clone(), reference, amount, state },
            idempotency_key: format!("unheard-{key}"),
            visible_from: self.clock.now(),
            refunded: false,
        });
        key
    }

    /// POSTs that reached it, by reference and idempotency key.
    pub fn charges(&self) -> Vec<(PaymentId, String)> {
        self.books.lock().unwrap().charges.clone()
    }

    /// Refunds that were made, by transaction key and refund key.
    pub fn refunds(&self) -> Vec<(String, String)> {
        self.books.lock().unwrap().refunds.clone()
    }

    pub fn calls(&self) -> usize {
        self.books.lock().unwrap().calls
    }

    pub fn is_voided(&self, payment: PaymentId) -> bool {
        self.books.lock().unwrap().voided.contains(&payment.to_string())
    }

    fn record(&self, charge: &Charge, visible_from: Timestamp) -> GatewayTransaction {
        let mut books = self.books.lock().unwrap();
        let reference = charge.payment.to_string();
        let idempotency_key = charge.idempotency_key();
        let same = |known: &&mut Recorded| known.idempotency_key == idempotency_key;
        if self.abilities.idempotency
            && let Some(known) = books.recorded.iter_mut().find(same)
        {
            known.visible_from = known.visible_from.min(visible_from);
            return known.transaction.clone();
        }
        let transaction = GatewayTransaction {
            key: key_of(books.recorded.len() + 1).into(),
            reference: reference.into(),
            amount: charge.amount.won(),
            state: TransactionState::Pending,
        };
        books.recorded.push(Recorded {
            transaction: transaction.clone(),
            idempotency_key,
            visible_from,
            refunded: false,
        });
        transaction
    }

    fn visible(&self) -> Vec<GatewayTransaction> {
        let (books, now) = (self.books.lock().unwrap(), self.clock.now());
        let seen = books.recorded.iter().filter(|recorded| recorded.visible_from <= now);
        seen.map(|recorded| recorded.transaction.clone()).collect()
    }

    fn under(&self, payment: PaymentId) -> Vec<TransactionSummary> {
        let copy = self.books.lock().unwrap().copy.clone();
        let seen = |known: GatewayTransaction| match &copy {
            Some(copy) => {
                copy.get(&known.key).map(|state| GatewayTransaction { state: state.clone(), ..known })
            }
            None => Some(known),
        };
        let mut found: Vec<_> = self
            .visible()
            .into_iter()
            .filter_map(seen)
            .filter(|transaction| *transaction.reference == *payment.to_string())
            .map(|transaction| TransactionSummary { key: transaction.key, state: transaction.state })
            .collect();
        found.reverse();
        found
    }

    fn answers(&self) -> Result<(), GatewayError> {
        let mut books = self.books.lock().unwrap();
        books.calls += 1;
        if books.silent { Err(GatewayError::Unavailable("silent".to_owned())) } else { Ok(()) }
    }

    fn next_meets(&self, charge: &Charge) -> Meets {
        let mut books = self.books.lock().unwrap();
        books.calls += 1;
        let meets = books.next.pop_front().unwrap_or(Meets::Answer);
        if meets != Meets::NotSent {
            books.charges.push((charge.payment, charge.idempotency_key()));
        }
        if books.voided.contains(&charge.payment.to_string()) { Meets::Refused } else { meets }
    }
}

#[async_trait]
impl PaymentGateway for ScriptedGateway {
    fn abilities(&self) -> GatewayAbilities {
        self.abilities
    }

    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError> {
        assert_eq!(charge.card.expose(), super::shop::CARD_NUMBER, "the number comes out of the vault whole");
        let meets = self.next_meets(charge);
        let unknown = || ChargeError::Unknown("lost".to_owned());
        let now = self.clock.now();
        match meets {
            Meets::NotSent => return Err(ChargeError::NotSent("no connection".to_owned())),
            Meets::Refused => return Err(ChargeError::Refused("not like this".to_owned())),
            Meets::LostBefore => return Err(unknown()),
            Meets::RecordedLate(after) => {
                self.record(charge, now.plus(after));
                return Err(unknown());
            }
            Meets::RecordedTwice => {
                self.record(charge, now);
            }
            Meets::Answer | Meets::AnswerLost => {}
        }
        let recorded = self.record(charge, now);
        let hook = self.before_answer.lock().unwrap().as_ref().map(|hook| hook(recorded.clone()));
        if let Some(hook) = hook {
            hook.await;
        }
        if meets == Meets::AnswerLost {
            return Err(unknown());
        }
        Ok(TransactionSummary { key: recorded.key, state: recorded.state })
    }

    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        self.answers()?;
        let copy = self.books.lock().unwrap().copy.clone();
        let found = self.visible().into_iter().find(|transaction| *transaction.key == *key);
        Ok(found.map(|known| match &copy {
            Some(copy) => {
                let state = copy.get(&known.key).cloned().unwrap_or(TransactionState::Pending);
                GatewayTransaction { state, ..known }
            }
            None => known,
        }))
    }

    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.answers()?;
        Ok(self.under(payment))
    }

    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError> {
        self.answers()?;
        let mut books = self.books.lock().unwrap();
        if books.refunds_fail {
            return Err(GatewayError::Unavailable("refunds are down".to_owned()));
        }
        let recorded = books.recorded.iter_mut().find(|recorded| *recorded.transaction.key == *key).unwrap();
        assert_eq!(recorded.transaction.state, TransactionState::Captured, "only a capture is refunded");
        assert_eq!(recorded.transaction.amount, amount.won(), "whole");
        if !recorded.refunded {
            recorded.refunded = true;
            books.refunds.push((key.to_owned(), refund_key.to_owned()));
        }
        Ok(())
    }

    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        self.answers()?;
        let (mut books, now) = (self.books.lock().unwrap(), self.clock.now());
        let reference = payment.to_string();
        books
            .recorded
            .retain(|known| *known.transaction.reference != *reference || known.visible_from <= now);
        books.voided.insert(reference);
        // A void is no question: it is answered from the books.
        let copy = books.copy.take();
        drop(books);
        let found = self.under(payment);
        self.books.lock().unwrap().copy = copy;
        Ok(found)
    }
}
