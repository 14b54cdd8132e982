use std::time::Duration;

use commerce_resilience::{CallError, Classify, NotPermitted, Outcome, Verdict};
use redis::{ErrorKind, ServerErrorKind};

/// Options that mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisOptionsError {
    /// No address of a Redis.
    #[error("`{option}` is no address of a Redis; expected redis://[user[:password]@]host[:port][/database]")]
    Url {
        /// `url` or `replica_url`.
        option: &'static str,
    },
    /// TLS is not built in.
    #[error(
        "`{option}` asks for TLS, which this build does not speak to Redis; use redis:// in a network that is yours, or \
         a TLS tunnel beside the process"
    )]
    Tls {
        /// `url` or `replica_url`.
        option: &'static str,
    },
    /// A time that is zero or far too long.
    #[error(transparent)]
    Time(#[from] commerce_resilience::OptionsError),
}

/// Redis did not do what it was asked to, as far as is known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RedisError {
    /// It was not asked: the breaker is open.
    #[error("Redis is not asked for the moment: {0}")]
    NotAsked(#[source] NotPermitted),
    /// No answer in time. It may have done it.
    #[error("no answer from Redis within {0:?}")]
    TimedOut(Duration),
    /// No connection, or one that broke. It may have done it.
    #[error("the connection to Redis failed: {0}")]
    Connection(String),
    /// It answered that it cannot serve now, such as while it loads its data.
    #[error("Redis does not serve now: {0}")]
    NotNow(String),
    /// It answered with an error, or with something unexpected.
    #[error("Redis refused `{call}`: {reason}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// Why it did not do it.
        reason: String,
    },
}

impl RedisError {
    /// The error of a connection that could not be made. What the server says of a log-in may repeat what it was sent.
    pub(crate) fn of_connecting(error: &redis::RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::Connection(error.to_string()),
            ErrorKind::AuthenticationFailed => {
                Self::Connection("it does not take this user and password".to_owned())
            }
            _ => {
                let code = error.code().unwrap_or("it cannot be spoken to");
                Self::Connection(format!("{} ({code})", error.category()))
            }
        }
    }

    pub(crate) fn of_call(call: &'static str, error: &redis::RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown,
            ) => Self::NotNow(error.to_string()),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                Self::Refused { call, reason: error.to_string() }
            }
            _ => Self::Connection(error.to_string()),
        }
    }

    pub(crate) fn of_end(end: CallError<Self>) -> Self {
        match end {
            CallError::NotPermitted(refusal) => Self::NotAsked(refusal),
            CallError::TimedOut(limit) => Self::TimedOut(limit),
            CallError::Inner(error) => error,
            // There is no retry that could say so.
            CallError::NotAccepted { attempts } => Self::Connection(format!("{attempts} attempts")),
        }
    }

    /// Label of the metric.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NotAsked(_) => "not_asked",
            Self::TimedOut(_) => "timeout",
            Self::Connection(_) => "connection",
            Self::NotNow(_) => "not_now",
            Self::Refused { .. } => "refused",
        }
    }
}

/// A server that answers is well, whatever it says.
pub struct Answers;

impl<T> Classify<T, RedisError> for Answers {
    fn verdict(&self, outcome: &Outcome<'_, T, RedisError>) -> Verdict {
        match outcome {
            Outcome::Answered(_) | Outcome::Failed(RedisError::Refused { .. }) => Verdict::success(),
            Outcome::Failed(_) | Outcome::TimedOut(_) => Verdict::failure(),
        }
    }
}
