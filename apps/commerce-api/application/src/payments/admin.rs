use std::sync::Arc;

use commerce_api_domain::{CommandKind, NotRecorded, Payment, PaymentCommand, PaymentId, PaymentStatus};
use serde_json::json;

use crate::Caller;
use crate::desk::{DeskReply, KeyedRequest, OrderDesk, SubmitError};
use crate::ports::{
    AuditEntry, Clock, IdSource, OpenFilter, OpenPayment, PaymentChecks, PaymentQueries, StorageError,
};

/// What an administrator found out about a payment, at the gateway's own desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// It was captured, under this transaction key.
    Captured {
        /// The gateway's transaction key.
        key: Arc<str>,
    },
    /// It was not captured and will not be.
    Failed,
    /// What was due was given back.
    Refunded,
}

impl ByHand {
    const fn name(&self) -> &'static str {
        match self {
            Self::Captured { .. } => "CAPTURED",
            Self::Failed => "FAILED",
            Self::Refunded => "REFUNDED",
        }
    }
}

/// Why nothing was done by hand.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// No such payment, or one without a card part.
    #[error("no payment by card has this id")]
    NotFound,
    /// The gateway's transaction key is another payment's.
    #[error("payment {0} is known under this transaction key")]
    ForeignKey(PaymentId),
    /// The dispatcher visits it, so nothing can be concluded from the gateway's silence.
    #[error("the payment is being visited at the gateway: look again in a minute, it may be settled")]
    Visited,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The order desk did not decide.
    #[error(transparent)]
    Desk(#[from] SubmitError),
}

/// Payments, for those who run the shop.
#[derive(Clone)]
pub struct Payments {
    desk: OrderDesk,
    queries: Arc<dyn PaymentQueries>,
    checks: Arc<dyn PaymentChecks>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl Payments {
    /// With these adapters.
    pub fn new(
        desk: OrderDesk,
        queries: Arc<dyn PaymentQueries>,
        checks: Arc<dyn PaymentChecks>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { desk, queries, checks, ids, clock }
    }

    /// Payments that somebody has to visit, oldest first.
    pub async fn open(&self, filter: &OpenFilter) -> Result<Vec<OpenPayment>, StorageError> {
        self.checks.open(filter).await
    }

    /// Has the gateway asked about a payment now, whatever its state. It goes to the audit log.
    pub async fn recheck(&self, caller: &Caller, payment: PaymentId) -> Result<(), ByHandError> {
        self.by_card(payment).await?;
        let audit = self.audit(caller, "PAYMENT_RECHECKED", payment, &json!({}));
        self.checks.hasten(payment, self.clock.now(), Some(audit)).await?;
        self.desk.payments_due().raise();
        Ok(())
    }

    /// Settles a payment by what the caller knows of it, under the rules of the state that it is in, and writes it with the
    /// `reason` to the audit log in the same transaction. That nothing was captured is refused while the dispatcher visits
    /// it, and as stale where it does so in between: look again, it may be settled. The gateway is asked once more about a
    /// capture, or that there was none: what it knows better is followed.
    pub async fn resolve(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        payment: PaymentId,
        by_hand: ByHand,
        reason: &str,
    ) -> Result<DeskReply, ByHandError> {
        let found = self.by_card(payment).await?;
        if let ByHand::Captured { key } = &by_hand
            && let Some(owner) = self.queries.payment_of_key(key).await?
            && owner != payment
        {
            return Err(ByHandError::ForeignKey(owner));
        }
        let detail = json!({ "outcome": by_hand.name(), "reason": reason });
        let audit = self.audit(caller, "PAYMENT_RESOLVED", payment, &detail);
        let command = self.command(&found, by_hand, reason).await?;
        let kind = CommandKind::Payment { order: found.order, command };
        Ok(self.desk.submit(caller.submission(kind, keyed, Some(audit))).await?)
    }

    /// Gives the card part of a paid order back, which cancels the order.
    pub async fn refund(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        payment: PaymentId,
        reason: &str,
    ) -> Result<DeskReply, ByHandError> {
        let found = self.by_card(payment).await?;
        let audit = self.audit(caller, "PAYMENT_REFUNDED", payment, &json!({ "reason": reason }));
        let kind = CommandKind::Cancel { order: found.order, by: caller.actor() };
        Ok(self.desk.submit(caller.submission(kind, keyed, Some(audit))).await?)
    }

    async fn by_card(&self, payment: PaymentId) -> Result<Payment, ByHandError> {
        let found = self.queries.payment(payment).await?;
        found.filter(|payment| !payment.card_part.is_zero()).ok_or(ByHandError::NotFound)
    }

    /// The command that says so. Where it does not fit the payment's state the desk refuses it.
    async fn command(
        &self,
        payment: &Payment,
        by_hand: ByHand,
        reason: &str,
    ) -> Result<PaymentCommand, ByHandError> {
        Ok(match (by_hand, payment.duplicates.iter().find(|known| !known.refunded)) {
            (ByHand::Captured { key }, _) => PaymentCommand::Captured { key },
            (ByHand::Refunded, Some(duplicate)) if payment.status != PaymentStatus::RefundPending => {
                PaymentCommand::DuplicateRefunded { key: duplicate.key.clone() }
            }
            (ByHand::Refunded, _) => PaymentCommand::RefundSettled,
            (ByHand::Failed, _) => self.failed(payment, reason).await?,
        })
    }

    async fn failed(&self, payment: &Payment, reason: &str) -> Result<PaymentCommand, ByHandError> {
        if let (PaymentStatus::Processing, Some(key)) = (payment.status, &payment.gateway_key) {
            return Ok(PaymentCommand::Declined { key: key.clone(), reason: reason.into() });
        }
        let fence = self.checks.fence(payment.id).await?;
        if fence.is_none() && matches!(payment.status, PaymentStatus::Requesting | PaymentStatus::Unknown) {
            return Err(ByHandError::Visited);
        }
        // In any other state it is refused whatever the fence.
        let fence = fence.unwrap_or_default();
        Ok(PaymentCommand::NotRecorded { attempt: payment.attempt, fence, then: NotRecorded::Failed })
    }

    fn audit(
        &self,
        caller: &Caller,
        action: &'static str,
        payment: PaymentId,
        detail: &serde_json::Value,
    ) -> AuditEntry {
        caller.audit(&*self.ids, &*self.clock, action, format!("payment:{payment}"), detail)
    }
}
