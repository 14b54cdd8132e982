//! One visit of one payment: what its state asks for. Every branch may be cut off at any await and found again by the
//! next visit.

use std::sync::Arc;

use commerce_api_domain::{
    CommandKind, NotRecorded, Order, Outcome, Payment, PaymentCommand, PaymentStatus, Refusal, Timestamp,
};

use super::dispatcher::PaymentDispatcher;
use super::{facts, metrics};
use crate::desk::{DeskReply, Submission, SubmitError};
use crate::ports::{
    Charge, ChargeError, ClaimedCheck, DueRefund, GatewayError, GatewayTransaction, StorageError,
    TransactionState, TransactionSummary, Verdict,
};

/// What follows a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to do at once.
    Now,
    /// Something changed.
    Soon,
    /// Nothing changed.
    Later,
    /// Nothing changed, and at that moment something can be concluded from it.
    NoLaterThan(Timestamp),
    /// Nothing changed, and a visit before that moment would only send again.
    NotBefore(Timestamp),
    /// Nothing that time would change.
    Rarely,
    /// Nobody has to visit it any more.
    Done,
}

impl Next {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Soon => "soon",
            Self::Later | Self::NoLaterThan(_) | Self::NotBefore(_) => "later",
            Self::Rarely => "rarely",
            Self::Done => "done",
        }
    }
}

/// Why a visit brought nothing; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum VisitError {
    #[error("the gateway gave no answer: {0}")]
    Gateway(#[from] GatewayError),
    #[error("the order desk did not take it: {0}")]
    Submit(#[from] SubmitError),
    #[error("the order desk refused it: {0}")]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("its card number is not in the vault, or does not open; it cannot be sent and will expire")]
    NoCard,
    #[error("the gateway knows no transaction {0}, which it had told of")]
    Missing(Arc<str>),
    #[error("the gateway's transaction {key} is not what was asked for ({}); it is not believed", cause.name())]
    Quarantined { key: Arc<str>, cause: Verdict },
    #[error("we believe that it was captured under {0}, and the gateway does not say so")]
    NotCaptured(Arc<str>),
    #[error("the visit panicked")]
    Panic,
}

impl VisitError {
    /// The name in metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Submit(_) => "desk",
            Self::Refused(_) => "refused",
            Self::Storage(_) => "storage",
            Self::NoCard => "no_card",
            Self::Missing(_) => "missing",
            Self::Quarantined { .. } => "quarantined",
            Self::NotCaptured(_) => "not_captured",
            Self::Panic => "panic",
        }
    }

    /// Whether waiting will not help by itself.
    pub const fn needs_attention(&self) -> bool {
        matches!(
            self,
            Self::NoCard
                | Self::Quarantined { .. }
                | Self::NotCaptured(_)
                | Self::Panic
                | Self::Submit(SubmitError::Failed)
                | Self::Gateway(GatewayError::Refused(_))
        )
    }
}

type Visiting<T> = Result<T, VisitError>;

/// A visit of a payment that was claimed.
pub(super) struct Visit<'a> {
    pub dispatcher: &'a PaymentDispatcher,
    pub check: &'a ClaimedCheck,
}

impl Visit<'_> {
    /// Does what the payment's state asks for.
    pub async fn run(&self) -> Visiting<Next> {
        if !self.check.refunds.is_empty() {
            return self.refund().await;
        }
        match self.payment().status {
            PaymentStatus::Pending => self.send().await,
            // Whoever finds REQUESTING only asks: it may have been sent.
            PaymentStatus::Requesting | PaymentStatus::Unknown => self.ask().await,
            PaymentStatus::Processing => self.follow_transaction().await,
            PaymentStatus::Success
            | PaymentStatus::Failed
            | PaymentStatus::Voided
            | PaymentStatus::Refunded => self.doubt().await,
            // Without a refund that is due somebody settles it right now.
            PaymentStatus::RefundPending => Ok(Next::Later),
        }
    }

    const fn payment(&self) -> &Payment {
        &self.check.payment
    }

    async fn submit(&self, command: PaymentCommand) -> Visiting<Order> {
        let tells_of_money = matches!(
            command,
            PaymentCommand::Accepted { .. }
                | PaymentCommand::Captured { .. }
                | PaymentCommand::Declined { .. }
        );
        let kind = CommandKind::Payment { order: self.check.order, command };
        match self.dispatcher.desk.submit(Submission::internal(kind)).await? {
            DeskReply::Decided { decision, .. } => match *decision {
                Ok(Outcome::Order(order)) => Ok(*order),
                Ok(other) => Err(Refusal::Inconsistent(format!("a payment led to {other:?}").into()).into()),
                Err(refusal) => {
                    if tells_of_money {
                        // It was settled otherwise meanwhile, and may have no check any more; the gateway has something
                        // under our reference that nobody else would ever look at.
                        self.dispatcher.visit_soon(self.payment().id).await?;
                    }
                    Err(refusal.into())
                }
            },
            // Only keys are replayed, and this had none.
            _ => Err(SubmitError::Failed.into()),
        }
    }

    /// PENDING: the attempt is committed before the gateway hears of it.
    async fn send(&self) -> Visiting<Next> {
        let payment = self.payment();
        let (Some((brand, _)), Some(sealed)) = (&payment.card, &self.check.card) else {
            return Err(VisitError::NoCard);
        };
        let card = self.dispatcher.cipher.open(sealed).map_err(|_| VisitError::NoCard)?;
        let attempt = match self.submit(PaymentCommand::Send).await {
            Ok(order) => order.payment.attempt,
            // The order closed meanwhile, or another has settled the payment: there is nothing to send. A check that is
            // left is let go.
            Err(VisitError::Refused(Refusal::Payment(_))) => return Ok(Next::Soon),
            Err(error) => return Err(error),
        };
        let charge = Charge { payment: payment.id, attempt, brand: *brand, card, amount: payment.card_part };
        match self.dispatcher.gateway.charge(&charge).await {
            Ok(transaction) => {
                self.submit(PaymentCommand::Accepted { key: transaction.key.clone() }).await?;
                match transaction.state {
                    TransactionState::Pending => Ok(Next::Soon),
                    _ => self.settle(&transaction.key).await,
                }
            }
            Err(ChargeError::NotSent(cause)) => {
                tracing::debug!(payment = %payment.id, attempt, cause, "a charge was not sent");
                self.submit(PaymentCommand::NotSent { attempt, fence: self.check.fence }).await?;
                Ok(Next::Later)
            }
            Err(ChargeError::Unknown(cause)) => {
                tracing::debug!(payment = %payment.id, attempt, cause, "a charge got no answer");
                self.submit(PaymentCommand::OutcomeUnknown { attempt }).await?;
                Ok(Next::Later)
            }
            Err(ChargeError::Refused(cause)) => {
                tracing::warn!(payment = %payment.id, attempt, cause, "the gateway refused a charge");
                // Of this attempt nothing was recorded; an earlier one may have been, or may be yet.
                let (abilities, now) = (self.dispatcher.gateway.abilities(), self.dispatcher.clock.now());
                if attempt > 1 && abilities.idempotency && !abilities.void && now < self.recorded_until() {
                    return Ok(Next::NotBefore(now.plus(self.dispatcher.options.not_found_grace)));
                }
                self.conclude_failed(attempt).await
            }
        }
    }

    /// REQUESTING or UNKNOWN: nobody knows whether the gateway has it.
    async fn ask(&self) -> Visiting<Next> {
        let (payment, abilities) = (self.payment(), self.dispatcher.gateway.abilities());
        if !self.check.order_waits && abilities.void {
            return self.conclude_failed(payment.attempt).await;
        }
        let found = self.recorded().await?;
        if !found.is_empty() {
            return self.follow(found).await;
        }
        if self.check.order_waits && abilities.idempotency {
            return self.send_again().await;
        }
        // Without keys a second POST could be a second charge, and what is not found now may be recorded yet.
        let over = self.recorded_until();
        if self.dispatcher.clock.now() < over {
            return Ok(Next::NoLaterThan(over));
        }
        self.conclude_failed(payment.attempt).await
    }

    /// With keys the POST is repeated at once, under the same key.
    async fn send_again(&self) -> Visiting<Next> {
        let (attempt, fence) = (self.payment().attempt, self.check.fence);
        let again = PaymentCommand::NotRecorded { attempt, fence, then: NotRecorded::SendAgain };
        let order = self.submit(again).await?;
        if order.payment.status == PaymentStatus::Pending { self.send().await } else { Ok(Next::Now) }
    }

    /// Nothing was recorded, and where the gateway can promise it nothing will be: it failed. What was recorded all the
    /// same is followed.
    async fn conclude_failed(&self, attempt: i64) -> Visiting<Next> {
        let found = self.closed().await?;
        if !found.is_empty() {
            return self.follow(found).await;
        }
        let (fence, then) = (self.check.fence, NotRecorded::Failed);
        self.submit(PaymentCommand::NotRecorded { attempt, fence, then }).await?;
        Ok(Next::Soon)
    }

    /// Follows what the gateway has under our reference. Every capture is told to the desk, the oldest first: what is
    /// beyond the one that counts goes back.
    async fn follow(&self, found: Vec<TransactionSummary>) -> Visiting<Next> {
        let is =
            |wanted: fn(&TransactionState) -> bool| move |known: &&TransactionSummary| wanted(&known.state);
        let captured = is(|state| *state == TransactionState::Captured);
        let pending = is(|state| *state == TransactionState::Pending);
        if found.iter().any(|known| captured(&known)) {
            let settled = self.settle_each(found.iter().rev().filter(captured)).await;
            // The first that was told may have ended the payment, and with it its visits.
            let is_cut_short = settled.as_ref().is_err_and(|error| !error.needs_attention());
            if is_cut_short || found.iter().any(|known| pending(&known)) {
                self.dispatcher.visit_soon(self.payment().id).await?;
            }
            return settled.map(|()| Next::Soon);
        }
        if let Some(oldest) = found.iter().rev().find(pending) {
            self.submit(PaymentCommand::Accepted { key: oldest.key.clone() }).await?;
            return Ok(Next::Soon);
        }
        match found.first() {
            Some(newest) => self.settle(&newest.key).await,
            None => Ok(Next::Later),
        }
    }

    /// PROCESSING: asks for the transaction that is followed.
    async fn follow_transaction(&self) -> Visiting<Next> {
        let Some(key) = &self.payment().gateway_key else { return self.ask().await };
        let transaction = self.transaction(key).await?;
        match transaction.state {
            TransactionState::Pending => Ok(Next::Later),
            // Declined as well: what was captured beside it while this one was followed, nobody was told of.
            TransactionState::Declined(_) | TransactionState::Captured => {
                let next = self.tell(&transaction).await?;
                self.look_for_duplicates().await?;
                Ok(next)
            }
        }
    }

    /// Settles one after the other; one that cannot be believed stands in no other's way. Gives back the first failure.
    async fn settle_each(&self, found: impl Iterator<Item = &TransactionSummary> + Send) -> Visiting<()> {
        let mut settled = Ok(());
        for known in found {
            let next = self.settle(&known.key).await;
            settled = settled.and(next.map(|_| ()));
        }
        settled
    }

    /// What the gateway has under our reference, newest first.
    async fn recorded(&self) -> Visiting<Vec<TransactionSummary>> {
        Ok(self.dispatcher.gateway.find_by_reference(self.payment().id).await?)
    }

    /// The same, and where the gateway can promise it nothing will be recorded after.
    async fn closed(&self) -> Visiting<Vec<TransactionSummary>> {
        let gateway = &self.dispatcher.gateway;
        if gateway.abilities().void {
            Ok(gateway.void(self.payment().id).await?)
        } else {
            self.recorded().await
        }
    }

    /// How long what is not found now may be recorded yet.
    fn recorded_until(&self) -> Timestamp {
        self.check.since.plus(self.dispatcher.options.not_found_grace)
    }

    /// A list has no amount, so the transaction is read in full before anything is concluded from it.
    async fn settle(&self, key: &Arc<str>) -> Visiting<Next> {
        let transaction = self.transaction(key).await?;
        self.tell(&transaction).await
    }

    async fn transaction(&self, key: &Arc<str>) -> Visiting<GatewayTransaction> {
        let found = self.dispatcher.gateway.find(key).await?;
        let transaction = found.ok_or_else(|| VisitError::Missing(key.clone()))?;
        match facts::mismatch(self.payment(), &transaction) {
            None => Ok(transaction),
            Some(cause) => {
                metrics::quarantined(cause);
                Err(VisitError::Quarantined { key: key.clone(), cause })
            }
        }
    }

    async fn tell(&self, transaction: &GatewayTransaction) -> Visiting<Next> {
        self.submit(facts::told(transaction)).await?;
        Ok(Next::Soon)
    }

    /// The payment is settled; what else the gateway captured for it is given back. If it cannot be asked now, it will be.
    async fn look_for_duplicates(&self) -> Visiting<()> {
        let payment = self.payment();
        let is_ours = |known: &TransactionSummary| payment.gateway_key.as_ref() == Some(&known.key);
        match self.dispatcher.gateway.find_by_reference(payment.id).await {
            Ok(found) if found.iter().all(is_ours) => Ok(()),
            Ok(found) => {
                // What is undecided, or was when the gateway's copy was made, may be captured yet.
                if found.iter().any(|known| known.state == TransactionState::Pending) {
                    self.dispatcher.visit_soon(payment.id).await?;
                }
                self.follow(found).await.map(|_| ())
            }
            Err(_) => Ok(self.dispatcher.visit_soon(payment.id).await?),
        }
    }

    /// A final payment of which somebody said otherwise, or of which the gateway may have more than we know: its word
    /// counts.
    async fn doubt(&self) -> Visiting<Next> {
        let (payment, abilities) = (self.payment(), self.dispatcher.gateway.abilities());
        let is_unpaid = matches!(payment.status, PaymentStatus::Failed | PaymentStatus::Voided);
        let may_be_doubled = !abilities.idempotency;
        // What failed shall not be captured later, by a charge that is still on its way; nor shall a second one beside the
        // one that was paid.
        let found = if is_unpaid || may_be_doubled { self.closed().await? } else { self.recorded().await? };
        let over = self.recorded_until();
        let may_come = !abilities.void && self.dispatcher.clock.now() < over;
        if is_unpaid && found.is_empty() && may_come {
            return Ok(Next::NoLaterThan(over));
        }
        let ours = payment.gateway_key.as_ref();
        let captured = |known: &&TransactionSummary| known.state == TransactionState::Captured;
        let kept = |key: &Arc<str>| {
            let counts = matches!(payment.status, PaymentStatus::Success | PaymentStatus::Refunded);
            (counts && ours == Some(key)) || payment.duplicate(key).is_some()
        };
        let unknown = found.iter().rev().filter(captured).filter(|known| !kept(&known.key));
        self.settle_each(unknown).await?;
        if payment.status == PaymentStatus::Success
            && let Some(key) = ours
            && !found.iter().filter(captured).any(|known| known.key == *key)
        {
            // Of what was captured just now an old copy knows nothing yet.
            let is_new = self.dispatcher.clock.now() < over;
            return if is_new { Ok(Next::Later) } else { Err(VisitError::NotCaptured(key.clone())) };
        }
        if found.iter().any(|known| known.state == TransactionState::Pending) {
            return Ok(Next::Later);
        }
        if may_be_doubled && may_come {
            return Ok(Next::NotBefore(over));
        }
        self.dispatcher.checks.finish(payment.id, self.check.fence).await?;
        Ok(Next::Done)
    }

    /// Gives back what is due, and looks for what else was captured: who heard of it while a refund was due could only
    /// have the payment visited, and once all is given back nobody visits it any more.
    async fn refund(&self) -> Visiting<Next> {
        let next = self.give_all_back().await;
        self.look_for_duplicates().await?;
        next
    }

    /// Gives back what is due. A gateway that cannot leaves it open, where it is listed as stuck.
    async fn give_all_back(&self) -> Visiting<Next> {
        if !self.dispatcher.gateway.abilities().refund {
            if self.check.tries == 0 {
                let payment = self.payment().id;
                tracing::error!(%payment, "a refund is due and the gateway makes none: give it back by hand");
            }
            return Ok(Next::Rarely);
        }
        let mut failed = None;
        for refund in &self.check.refunds {
            if let Err(error) = self.give_back(refund).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(Next::Now), Err)
    }

    async fn give_back(&self, refund: &DueRefund) -> Visiting<()> {
        let DueRefund { gateway_key, refund_key, amount } = refund;
        self.dispatcher.gateway.refund(gateway_key, *amount, refund_key).await?;
        metrics::refunded();
        let key: Arc<str> = gateway_key.as_str().into();
        let settled = match self.payment().duplicate(&key) {
            Some(_) => PaymentCommand::DuplicateRefunded { key },
            None => PaymentCommand::RefundSettled,
        };
        self.submit(settled).await.map(|_| ())
    }
}
