use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::{Command, CommandKind, Outcome, Refusal, Rules};

use super::engine::{BatchFailure, BatchHandler, DeskOptions, Engine, SubmitError};
use super::order_batch::OrderBatch;
use crate::ports::{Answer, AuditEntry, Clock, Fingerprint, IdempotencyScope, Storage};

/// Turns a decision into the answer that is stored under the caller's key, in the transaction of the effect.
pub type Encode = Arc<dyn Fn(Result<&Outcome, &Refusal>) -> Answer + Send + Sync>;

/// A command that came under an `Idempotency-Key`.
#[derive(Clone)]
pub struct KeyedRequest {
    /// Where the key counts.
    pub scope: IdempotencyScope,
    /// Of the canonical body.
    pub fingerprint: Fingerprint,
    /// How to answer.
    pub encode: Encode,
}

impl fmt::Debug for KeyedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRequest").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A command on its way to the desk.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What to do, with its ids.
    pub command: Command,
    /// Key and answer, where a client asked; none for our own background work.
    pub keyed: Option<KeyedRequest>,
    /// What to write into the audit log where the command is done.
    pub audit: Option<AuditEntry>,
    /// W3C trace context of the request, for its events.
    pub traceparent: Option<Arc<str>>,
}

impl Submission {
    /// A command of our own background work: its state tells whether it was done, so it needs no key.
    pub const fn internal(command: Command) -> Self {
        Self { command, keyed: None, audit: None, traceparent: None }
    }
}

/// What the desk answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskReply {
    /// Decided now.
    Decided {
        /// Done, or why not.
        decision: Box<Result<Outcome, Refusal>>,
        /// The answer that was stored; none without a key.
        answer: Option<Answer>,
    },
    /// Decided before under the same key and body.
    Replayed(Answer),
    /// Decided by an earlier run of this very batch, whose commit had lost its answer.
    Confirmed(Answer),
    /// The key was used for another body.
    KeyReused,
}

/// The desk for orders, payments, points, stock and coupons.
#[derive(Clone)]
pub struct OrderDesk {
    engine: Engine<OrderBatch>,
}

impl OrderDesk {
    /// Starts the desk on the current runtime. `keep_answers` is how long answers under keys are kept.
    pub fn start(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        rules: Rules,
        options: DeskOptions,
        keep_answers: Duration,
    ) -> Self {
        Self { engine: Engine::start(OrderBatch { storage, clock, rules, keep_answers }, options) }
    }

    /// Submits a command and waits for its answer; a caller who goes away does not cancel it.
    pub async fn submit(&self, submission: Submission) -> Result<DeskReply, SubmitError> {
        self.engine.submit(submission).await
    }
}

#[async_trait]
impl BatchHandler for OrderBatch {
    type Item = Submission;
    type Reply = DeskReply;
    const NAME: &'static str = "orders";

    fn weight(item: &Submission) -> usize {
        match &item.command.kind {
            CommandKind::Place(place) => 1 + place.lines.len(),
            // The lines of an order that is named are not known yet; most have few.
            CommandKind::Cancel { .. } | CommandKind::Expire { .. } | CommandKind::Payment { .. } => 8,
            CommandKind::ChargePoints { .. }
            | CommandKind::MoveStock { .. }
            | CommandKind::IssueCoupon { .. } => 1,
        }
    }

    async fn run(
        &self,
        items: &[Arc<Submission>],
        again_after_unknown: bool,
    ) -> Result<Vec<DeskReply>, BatchFailure> {
        self.run_batch(items, again_after_unknown).await
    }
}
