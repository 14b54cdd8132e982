use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::{Money, OrderId, Payment, PaymentId, PaymentStatus, Timestamp};
use uuid::Uuid;

use super::{AuditEntry, CardNumber, StorageError};

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
    /// The refunds that are due: of the capture that counts, and of duplicates.
    pub refunds: Vec<DueRefund>,
}

/// A refund to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRefund {
    /// The gateway's key of the capture.
    pub gateway_key: String,
    /// Our key of the refund.
    pub refund_key: String,
    /// The capture, whole.
    pub amount: Money,
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

/// Which payments that are not done to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenFilter {
    /// Made before this moment.
    pub made_before: Timestamp,
    /// Only in this state.
    pub status: Option<PaymentStatus>,
    /// After the last one seen: when it was made, and its id.
    pub after: Option<(Timestamp, PaymentId)>,
    /// At most so many.
    pub limit: u64,
}

/// A payment that somebody has to visit.
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

/// What the dispatcher keeps about payments that have to be visited: all that are not final, final ones with a refund that
/// is due, and those of which somebody doubts what we believe.
#[async_trait]
pub trait PaymentChecks: Send + Sync + 'static {
    /// Claims at most `limit` payments that are due, oldest due first. Nobody else can claim them before `now + ttl`, unless
    /// they are made due before.
    async fn claim(
        &self,
        owner: Uuid,
        now: Timestamp,
        ttl: Duration,
        limit: u64,
    ) -> Result<Vec<ClaimedCheck>, StorageError>;

    /// Lets claims go and says when to visit next; a payment that became final has no check any more and is skipped, and
    /// so is one that another has claimed since.
    async fn reschedule(&self, next: &[NextCheck]) -> Result<(), StorageError>;

    /// Removes the check of a final payment of which the visit under `fence` found nothing more to do; one that is not
    /// final, has a refund that is due or was claimed or made due since keeps it.
    async fn finish(&self, payment: PaymentId, fence: i64) -> Result<(), StorageError>;

    /// Makes a payment that exists due at `at`, whoever holds it. One that is final gets a check again: its visit asks the
    /// gateway whether what we believe is so. `audit` is written with it, where somebody does so by hand.
    async fn hasten(
        &self,
        payment: PaymentId,
        at: Timestamp,
        audit: Option<AuditEntry>,
    ) -> Result<(), StorageError>;

    /// Makes due at `now` whatever is claimed, and ends those claims: for a dispatcher that knows that no other is alive.
    /// Gives back how many.
    async fn take_over(&self, now: Timestamp) -> Result<u64, StorageError>;

    /// The fence under which something can be concluded by hand of a payment; none where it has no check, or a visit holds
    /// it.
    async fn fence(&self, payment: PaymentId) -> Result<Option<i64>, StorageError>;

    /// When the next visit is due; none where nothing has to be visited.
    async fn next_due(&self) -> Result<Option<Timestamp>, StorageError>;

    /// Payments that have a check, oldest first.
    async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError>;

    /// Counts of payments that are not final, by state.
    async fn by_state(&self) -> Result<Vec<PaymentsInState>, StorageError>;
}

/// Payments, as the gateway names them.
#[async_trait]
pub trait PaymentQueries: Send + Sync + 'static {
    /// The payment of that reference.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StorageError>;

    /// The payment that is known under the gateway's transaction key.
    async fn payment_of_key(&self, gateway_key: &str) -> Result<Option<PaymentId>, StorageError>;
}

/// What became of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was applied, or told what was known.
    Applied,
    /// The payment's state refuses it: the gateway is asked.
    Conflict,
    /// No payment has its reference.
    UnknownReference,
    /// Its amount is not the card part.
    WrongAmount,
    /// Its transaction key is another payment's.
    ForeignKey,
}

impl Verdict {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Conflict => "CONFLICT",
            Self::UnknownReference => "UNKNOWN_REFERENCE",
            Self::WrongAmount => "WRONG_AMOUNT",
            Self::ForeignKey => "FOREIGN_KEY",
        }
    }
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
    async fn set_aside(&self, entry: InboxEntry, verdict: Verdict) -> Result<(), StorageError>;
}
