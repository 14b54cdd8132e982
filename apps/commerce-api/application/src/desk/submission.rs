use std::fmt;
use std::sync::Arc;

use commerce_api_domain::{Command, CommandKind, IdSeed, Outcome, Refusal};

use crate::ports::{Answer, AuditEntry, Fingerprint, IdempotencyScope, InboxEntry, SealedCard};

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
    /// What to do.
    pub kind: CommandKind,
    /// Key and answer, where a client asked; none for our own background work.
    pub keyed: Option<KeyedRequest>,
    /// What to write into the audit log where the command is done.
    pub audit: Option<AuditEntry>,
    /// W3C trace context of the request, for its events.
    pub traceparent: Option<Arc<str>>,
    /// The card number of an order that is placed, kept while it may have to be sent.
    pub card: Option<SealedCard>,
    /// The callback that the command came from, kept with the verdict on it.
    pub callback: Option<InboxEntry>,
}

impl Submission {
    /// A command of our own background work: its state tells whether it was done, so it needs no key.
    pub const fn internal(kind: CommandKind) -> Self {
        Self { kind, keyed: None, audit: None, traceparent: None, card: None, callback: None }
    }
}

/// A submission in the queue, with the ids that its command may use.
///
/// They are drawn as it takes its place in the queue, so that ids ascend in the order in which commands are decided: a
/// ledger that is read by id is read in the order in which the balance moved.
#[derive(Debug)]
pub struct Queued {
    pub(super) command: Command,
    pub(super) keyed: Option<KeyedRequest>,
    pub(super) audit: Option<AuditEntry>,
    pub(super) traceparent: Option<Arc<str>>,
    pub(super) card: Option<SealedCard>,
    pub(super) callback: Option<InboxEntry>,
}

impl Queued {
    pub(super) fn new(submission: Submission, ids: IdSeed) -> Self {
        let Submission { kind, keyed, audit, traceparent, card, callback } = submission;
        Self { command: Command { ids, kind }, keyed, audit, traceparent, card, callback }
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
