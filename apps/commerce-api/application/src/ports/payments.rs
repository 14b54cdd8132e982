use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::{OrderId, Payment, PaymentId, PaymentStatus, Timestamp};
use uuid::Uuid;

use super::{CardNumber, StorageError};

/// A card number under the installation's vault key; worthless without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCard(pub Vec<u8>);

/// The sealed number was not made under this key, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed card number does not open")]
pub struct DoesNotOpen;

/// Seals and opens card numbers.
pub trait CardCipher: Send + Sync + 'static {
    /// Seals `card`.
    fn seal(&self, card: &CardNumber) -> SealedCard;
    /// Opens what [`seal`](Self::seal) made.
    fn open(&self, sealed: &SealedCard) -> Result<CardNumber, DoesNotOpen>;
}

/// A payment that is due and was claimed by this dispatcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedCheck {
    /// The payment as it stood when it was claimed.
    pub payment: Payment,
    /// Its order.
    pub order: OrderId,
    /// Whether the order still waits for it.
    pub order_waits: bool,
    /// Raised by the claim: conclusions carry it.
    pub fence: i64,
    /// Visits before this one that brought nothing new.
    pub tries: i64,
    /// When the status that it has now was reached.
    pub since: Timestamp,
    /// The card number, where it is still kept.
    pub card: Option<SealedCard>,
    /// The refund that is due, where one is.
    pub refund: Option<DueRefund>,
}

/// A refund to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRefund {
    /// The gateway's key of the capture.
    pub gateway_key: String,
    /// Our key of the refund.
    pub refund_key: String,
}

/// When to visit a payment again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextCheck {
    /// Which.
    pub payment: PaymentId,
    /// The fence of the claim; where another has claimed it since, nothing changes.
    pub fence: i64,
    /// Not before.
    pub at: Timestamp,
    /// Visits in a row that brought nothing new.
    pub tries: i64,
}

/// A payment that takes too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPayment {
    /// The payment.
    pub payment: Payment,
    /// Visits in a row that brought nothing new.
    pub tries: i64,
    /// When it is visited next.
    pub next_check_at: Timestamp,
}

/// How many payments stand where, and since when the oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentsInState {
    /// The state.
    pub status: PaymentStatus,
    /// How many.
    pub count: i64,
    /// When the one that is longest in it was made.
    pub oldest_at: Option<Timestamp>,
}

/// What the dispatcher keeps about payments that are not final.
#[async_trait]
pub trait PaymentChecks: Send + Sync + 'static {
    /// Claims at most `limit` payments that are due and that nobody else holds, oldest due first, until `now + ttl`.
    async fn claim(
        &self,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError>;

    /// Lets claims go and says when to visit next; a payment that became final has no check any more and is skipped.
    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError>;

    /// Makes a payment due now, whoever holds it; false where it has no check.
    async fn hasten(&self, payment: PaymentId, now: Timestamp) -> Result<bool, StorageError>;

    /// When the next visit is due; none where nothing is open.
    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError>;

    /// Payments that were made before `made_before` and are not final, oldest first, after the last one seen.
    async fn open(
        &self,
        made_before: Timestamp,
        after: Option<(Timestamp, PaymentId)>,
        limit: u64,
    ) -> Result<Vec<OpenPayment>, StorageError>;

    /// Counts of payments that are not final, by state.
    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError>;
}

/// A callback as it came, for the inbox; the card number is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The gateway's id of the callback; one is kept per id.
    pub event_id: String,
    /// Headers that matter, as JSON; no secret.
    pub headers: String,
    /// The body with the card number masked.
    pub body: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// Callbacks that came.
#[async_trait]
pub trait CallbackInbox: Send + Sync + 'static {
    /// The verdict on the callback of that id: none where it never came; `Some(None)` where it came and has no verdict.
    async fn verdict(&self, event_id: &str) -> Result<Option<Option<String>>, StorageError>;

    /// Keeps a callback that is not to be applied, with the verdict on it.
    async fn set_aside(&self, entry: InboxEntry, verdict: &'static str) -> Result<(), StorageError>;

    /// Deletes at most `limit` callbacks that came before `before`; gives back how many.
    async fn purge(&self, before: Timestamp, limit: u64) -> Result<u64, StorageError>;
}
