use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use commerce_api_domain::{CardBrand, Money, PaymentId, SettlementEntry};

/// A card number on its way to the gateway. It is never shown, and has no other way out than [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct CardNumber(String);

impl CardNumber {
    /// A checked number, `dddd-dddd-dddd-dddd`.
    pub const fn new(number: String) -> Self {
        Self(number)
    }

    /// The digits; for the vault's cipher and the gateway's request only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardNumber(hidden)")
    }
}

/// What a gateway can do beyond the plain protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent abilities, as the protocol lists them"
)]
pub struct GatewayAbilities {
    /// A request repeated under its key is the same transaction.
    pub idempotency: bool,
    /// A capture can be given back.
    pub refund: bool,
    /// A reference can be closed, so that nothing is recorded under it any more.
    pub void: bool,
    /// Callbacks are signed.
    pub signature: bool,
    /// There is a settlement report of each day.
    pub settlement: bool,
}

impl GatewayAbilities {
    /// The plain protocol.
    pub const NONE: Self =
        Self { idempotency: false, refund: false, void: false, signature: false, settlement: false };
    /// Everything.
    pub const ALL: Self =
        Self { idempotency: true, refund: true, void: true, signature: true, settlement: true };
}

/// A card part to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Our reference: one for all attempts of a payment.
    pub payment: PaymentId,
    /// Which attempt, for logs.
    pub attempt: i64,
    /// Brand.
    pub brand: CardBrand,
    /// Number.
    pub card: CardNumber,
    /// Won, above 0.
    pub amount: Money,
}

impl Charge {
    /// The idempotency key: the same for every attempt of a payment.
    ///
    /// A new key is safe only after a definite decline, and that ends a payment; before it an attempt that got no answer may
    /// still be recorded late, and under another key the next one would be a second charge. The attempt is a counter of
    /// ours, so it has no part in the key.
    pub fn idempotency_key(&self) -> String {
        self.payment.to_string()
    }
}

/// Where a transaction stands at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionState {
    /// Recorded, not decided.
    Pending,
    /// Captured.
    Captured,
    /// Declined, and why in the gateway's words.
    Declined(Arc<str>),
}

/// A transaction as a list shows it: without the amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionSummary {
    /// The gateway's key.
    pub key: Arc<str>,
    /// Where it stands.
    pub state: TransactionState,
}

/// A transaction in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayTransaction {
    /// The gateway's key.
    pub key: Arc<str>,
    /// The reference it was made under, as the gateway has it.
    pub reference: Arc<str>,
    /// Won.
    pub amount: i64,
    /// Where it stands.
    pub state: TransactionState,
}

/// Why a charge got no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// Proven that nothing left this machine: no connection, or refused before sending.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The gateway says that the request is not to be taken as it is, and recorded nothing.
    #[error("refused: {0}")]
    Refused(String),
    /// Sent, and no usable answer: the gateway may have recorded it.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Why a question to the gateway, or a refund or void, has no answer. It may or may not have been done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No usable answer; asking again may help.
    #[error("no answer: {0}")]
    Unavailable(String),
    /// The gateway cannot, or will not, do it; asking again does not help.
    #[error("refused: {0}")]
    Refused(String),
}

/// A page of the settlement report of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementPage {
    /// Its entries, in the gateway's order.
    pub entries: Vec<SettlementEntry>,
    /// Won captured on the whole day, as the gateway says.
    pub captured: i64,
    /// Won given back on the whole day, as the gateway says.
    pub refunded: i64,
    /// Where the next page begins; none on the last page.
    pub next: Option<i64>,
}

/// A payment gateway.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// What it can do.
    fn abilities(&self) -> GatewayAbilities;

    /// Asks for a capture, once. Where keys are honoured the adapter may repeat it under the same key
    /// ([`Charge::idempotency_key`]).
    async fn charge(&self, charge: &Charge) -> Result<TransactionSummary, ChargeError>;

    /// The transaction under the gateway's own key; none where it has none.
    async fn find(&self, key: &str) -> Result<Option<GatewayTransaction>, GatewayError>;

    /// The transactions under our reference, newest first; empty where there is none.
    async fn find_by_reference(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError>;

    /// Gives a capture back, whole. Idempotent by `refund_key`.
    async fn refund(&self, key: &str, amount: Money, refund_key: &str) -> Result<(), GatewayError>;

    /// Nothing is recorded under our reference from now on; gives back what was.
    async fn void(&self, payment: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError>;

    /// A page of what moved on `date`, a day of the gateway's own zone, from `after` of the page before on. A gateway without
    /// such a report refuses.
    async fn settlement(
        &self,
        _date: NaiveDate,
        _after: Option<i64>,
    ) -> Result<SettlementPage, GatewayError> {
        Err(GatewayError::Refused("this gateway has no settlement report".to_owned()))
    }
}
