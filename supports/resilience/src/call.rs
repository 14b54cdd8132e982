use std::sync::Arc;
use std::time::Duration;

use crate::breaker::BreakerState;

/// Why a call was not begun. Nothing was sent, so nothing failed: try later, or tell that it is pending.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// The breaker lets nothing through, or no more than it already has.
    #[error("circuit breaker `{breaker}` is {state}")]
    BreakerOpen {
        /// Its name.
        breaker: Arc<str>,
        /// Open, forced open, or half open with all its permits out.
        state: BreakerState,
        /// When it lets the first call through again; unknown in the other states.
        retry_after: Option<Duration>,
    },
    /// All slots are taken.
    #[error("bulkhead `{bulkhead}` is full: {calls_max} calls are under way")]
    BulkheadFull {
        /// Its name.
        bulkhead: Arc<str>,
        /// Its slots.
        calls_max: u32,
    },
    /// The caller's deadline passed before anything was sent.
    #[error("the deadline passed before the call was sent")]
    DeadlinePassed,
}

/// How a call ended without a usable answer.
///
/// The kinds are apart so that a caller cannot take one for another: [`NotPermitted`](Self::NotPermitted) proves that
/// nothing was sent, by this attempt or an earlier one; [`TimedOut`](Self::TimedOut) proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// No attempt was sent.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// Sent, and no answer within this time. The other side may have done what it was asked.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Answered each time, with results that the classifier does not take
    /// ([`RetryOptions::fail_on_last_result`](crate::RetryOptions::fail_on_last_result)).
    #[error("no acceptable result in {attempts} attempts")]
    NotAccepted {
        /// Attempts made.
        attempts: u32,
    },
    /// The call's own error.
    #[error("{0}")]
    Inner(E),
}

impl<E> CallError<E> {
    /// The proof that nothing was sent, if this is one.
    pub const fn not_permitted(&self) -> Option<&NotPermitted> {
        match self {
            Self::NotPermitted(refusal) => Some(refusal),
            Self::TimedOut(_) | Self::NotAccepted { .. } | Self::Inner(_) => None,
        }
    }
}

/// How one attempt ended, for the classifier. A refusal is none of these: no predicate can take it for a failure.
#[derive(Debug)]
pub enum Outcome<'a, T, E> {
    /// A result.
    Answered(&'a T),
    /// An error of the call.
    Failed(&'a E),
    /// No answer within this time; less than the configured limit where the caller's deadline was nearer.
    TimedOut(Duration),
}

impl<'a, T, E> Outcome<'a, T, E> {
    /// None where nothing was sent.
    pub(crate) const fn of(end: &'a Result<T, CallError<E>>) -> Option<Self> {
        match end {
            Ok(answer) => Some(Self::Answered(answer)),
            Err(CallError::Inner(error)) => Some(Self::Failed(error)),
            Err(CallError::TimedOut(limit)) => Some(Self::TimedOut(*limit)),
            Err(CallError::NotPermitted(_) | CallError::NotAccepted { .. }) => None,
        }
    }
}

/// What an outcome says of the other side's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing, such as a refusal of a bad request.
    Ignored,
}

/// What follows from an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// For the breaker.
    pub kind: Kind,
    /// Whether the same call may be made again, not before so long.
    pub retry_after: Option<Duration>,
    /// The other side asked for quiet this long: the breaker opens.
    pub open_for: Option<Duration>,
    /// The other side may have done what it was asked. No later attempt that fails, is refused or never left takes the
    /// place of this outcome; only an accepted answer does.
    pub unknown: bool,
}

impl Verdict {
    /// It works.
    pub const fn success() -> Self {
        Self::of(Kind::Success)
    }

    /// It does not work.
    pub const fn failure() -> Self {
        Self::of(Kind::Failure)
    }

    /// It says nothing.
    pub const fn ignored() -> Self {
        Self::of(Kind::Ignored)
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, retry_after: None, open_for: None, unknown: false }
    }

    /// The same call may be made again.
    pub const fn retry(self) -> Self {
        self.retry_after(Duration::ZERO)
    }

    /// The same call may be made again, but not before `wait` (Retry-After).
    pub const fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Nobody is to call for `wait`.
    pub const fn open_for(self, wait: Duration) -> Self {
        Self { open_for: Some(wait), ..self }
    }

    /// The outcome is open: the other side may have done what it was asked.
    pub const fn unknown(self) -> Self {
        Self { unknown: true, ..self }
    }
}

/// Says what an outcome means. It is asked more than once for one outcome and says the same each time.
pub trait Classify<T, E> {
    /// The verdict on `outcome`.
    fn verdict(&self, outcome: &Outcome<'_, T, E>) -> Verdict;
}

impl<T, E, F: Fn(&Outcome<'_, T, E>) -> Verdict> Classify<T, E> for F {
    fn verdict(&self, outcome: &Outcome<'_, T, E>) -> Verdict {
        self(outcome)
    }
}
