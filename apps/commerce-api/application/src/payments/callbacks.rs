use std::sync::Arc;

use commerce_api_domain::{CommandKind, Payment, PaymentId, PaymentStatus};
use uuid::Uuid;

use super::{facts, metrics};
use crate::desk::{DeskReply, OrderDesk, Submission, SubmitError};
use crate::ports::{
    CallbackInbox, Clock, GatewayTransaction, InboxEntry, PaymentChecks, PaymentGateway, PaymentQueries,
    StorageError, Verdict,
};

/// A callback whose signature and time were found good, or whose gateway does not sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCallback {
    /// The gateway's id of it, the same whenever it is sent again; none where it is not signed.
    pub event_id: Option<String>,
    /// Headers that matter, as JSON; no secret.
    pub headers: String,
    /// The body with the card number masked.
    pub body: String,
    /// What it says.
    pub transaction: GatewayTransaction,
}

/// What became of a callback. Each of them is answered with 200: the gateway has done its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackOutcome {
    /// It told something, or what was known.
    Applied,
    /// It came before.
    Duplicate,
    /// It was kept and not believed.
    SetAside(Verdict),
    /// It is not signed, so all it does is to have the gateway asked; where it names no payment, nothing.
    Hint,
}

impl CallbackOutcome {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Duplicate => "DUPLICATE",
            Self::SetAside(verdict) => verdict.name(),
            Self::Hint => "HINT",
        }
    }
}

/// Why a callback was not taken: the gateway is to send it again.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The order desk did not decide.
    #[error(transparent)]
    Desk(#[from] SubmitError),
}

/// Callbacks of the gateway. One is a hint: it is believed only as far as it fits the payment that it names, and where
/// it contradicts what we know the gateway is asked.
#[derive(Clone)]
pub struct Callbacks {
    desk: OrderDesk,
    payments: Arc<dyn PaymentQueries>,
    checks: Arc<dyn PaymentChecks>,
    inbox: Arc<dyn CallbackInbox>,
    gateway: Arc<dyn PaymentGateway>,
    clock: Arc<dyn Clock>,
}

impl Callbacks {
    /// With these adapters.
    pub fn new(
        desk: OrderDesk,
        payments: Arc<dyn PaymentQueries>,
        checks: Arc<dyn PaymentChecks>,
        inbox: Arc<dyn CallbackInbox>,
        gateway: Arc<dyn PaymentGateway>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { desk, payments, checks, inbox, gateway, clock }
    }

    /// Takes a callback. What it says and the verdict on it are durable when this returns.
    pub async fn receive(&self, callback: VerifiedCallback) -> Result<CallbackOutcome, CallbackError> {
        let outcome = self.judge(callback).await?;
        metrics::callback(outcome.name());
        Ok(outcome)
    }

    async fn judge(&self, callback: VerifiedCallback) -> Result<CallbackOutcome, CallbackError> {
        let VerifiedCallback { event_id, headers, body, transaction } = callback;
        let reference = Uuid::try_parse(&transaction.reference).ok().map(PaymentId);
        let signed = event_id.filter(|_| self.gateway.abilities().signature);
        let Some(event_id) = signed else { return self.hint(reference).await };
        if let Some(Some(_)) = self.inbox.verdict(&event_id).await? {
            return Ok(CallbackOutcome::Duplicate);
        }
        let entry = InboxEntry { event_id, headers, body, received_at: self.clock.now() };
        let payment = match reference {
            Some(id) => self.payments.payment(id).await?.filter(|payment| !payment.card_part.is_zero()),
            None => None,
        };
        let Some(payment) = payment else {
            return self.set_aside(entry, Verdict::UnknownReference, &transaction).await;
        };
        if let Some(verdict) = self.mismatch(&payment, &transaction).await? {
            // Whatever is true of it, the gateway knows.
            self.ask(payment.id).await?;
            return self.set_aside(entry, verdict, &transaction).await;
        }
        self.apply(entry, &payment, &transaction).await
    }

    /// A callback that anybody could have sent: nothing of it is kept or believed.
    async fn hint(&self, reference: Option<PaymentId>) -> Result<CallbackOutcome, CallbackError> {
        if let Some(id) = reference
            && let Some(payment) = self.payments.payment(id).await?
            && !payment.card_part.is_zero()
        {
            self.ask(id).await?;
        }
        Ok(CallbackOutcome::Hint)
    }

    async fn mismatch(
        &self,
        payment: &Payment,
        transaction: &GatewayTransaction,
    ) -> Result<Option<Verdict>, StorageError> {
        if let Some(verdict) = facts::mismatch(payment, transaction) {
            return Ok(Some(verdict));
        }
        let owner = self.payments.payment_of_key(&transaction.key).await?;
        Ok(owner.is_some_and(|owner| owner != payment.id).then_some(Verdict::ForeignKey))
    }

    async fn set_aside(
        &self,
        entry: InboxEntry,
        verdict: Verdict,
        transaction: &GatewayTransaction,
    ) -> Result<CallbackOutcome, CallbackError> {
        let GatewayTransaction { key, reference, amount, .. } = transaction;
        tracing::error!(event_id = entry.event_id, %reference, %key, amount, verdict = verdict.name(),
            "a callback was set aside; it changed nothing");
        metrics::quarantined(verdict);
        self.inbox.set_aside(entry, verdict).await?;
        Ok(CallbackOutcome::SetAside(verdict))
    }

    /// The callback is kept in the transaction of what it changes. Where the payment's state refuses it, the desk has the
    /// payment visited in the same transaction.
    async fn apply(
        &self,
        entry: InboxEntry,
        payment: &Payment,
        transaction: &GatewayTransaction,
    ) -> Result<CallbackOutcome, CallbackError> {
        let kind = CommandKind::Payment { order: payment.order, command: facts::told(transaction) };
        let submission = Submission { callback: Some(entry), ..Submission::internal(kind) };
        let decision = match self.desk.submit(submission).await? {
            DeskReply::Decided { decision, .. } => *decision,
            // Only keys are replayed, and this had none.
            _ => return Err(SubmitError::Failed.into()),
        };
        if let Err(refusal) = decision {
            tracing::warn!(payment = %payment.id, %refusal, "a callback contradicts what is known; the gateway is asked");
            return Ok(CallbackOutcome::SetAside(Verdict::Conflict));
        }
        let follows_another = payment.status == PaymentStatus::Processing
            && payment.gateway_key.as_ref().is_some_and(|key| *key != transaction.key);
        if follows_another {
            // Two transactions under one reference: the other one may be captured yet.
            self.ask(payment.id).await?;
        }
        Ok(CallbackOutcome::Applied)
    }

    /// Has the dispatcher ask the gateway, now.
    async fn ask(&self, payment: PaymentId) -> Result<(), StorageError> {
        self.checks.hasten(payment, self.clock.now(), None).await?;
        self.desk.payments_due().raise();
        Ok(())
    }
}
