use std::fmt;
use std::sync::Arc;

use commerce_api_domain::{Command, Outcome, Refusal};

use crate::ports::{Answer, AuditEntry, Fingerprint, IdempotencyScope};

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
