use commerce_database::{Classify, DatabaseError, ErrorClass};
use sea_orm::DbErr;

/// The driver's own error, or a step's, kept as the source.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a job did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Another runner has the instance, and its lease has not run out.
    #[error("already running, as execution {execution}")]
    Running {
        /// The execution that runs.
        execution: i64,
    },
    /// The instance is done, and nothing has changed since.
    #[error("already complete, by execution {execution}")]
    Complete {
        /// The execution that completed it.
        execution: i64,
    },
    /// It failed too often since it last completed.
    #[error("failed {failures} times since it last completed; start it by force once the cause is mended")]
    StartLimit {
        /// How often.
        failures: i64,
    },
    /// Somebody else has taken the instance over: nothing of what was asked for is done.
    #[error("another runner has taken the job over")]
    Fenced,
    /// It was asked to stop, and has done so at the edge of a chunk.
    #[error("stopped")]
    Stopped,
    /// More items could not be worked than a step may leave out.
    #[error("step {step}: {limit} items were left out and one more cannot be worked: {detail}")]
    SkipLimit {
        /// Which step.
        step: &'static str,
        /// How many it may leave out.
        limit: u64,
        /// What is wrong with the last one.
        detail: String,
    },
    /// Whether the last chunk was committed cannot be found out now; the next start finds it by its checkpoint.
    #[error("whether the last chunk was committed is unknown until the database answers")]
    Unknown(#[source] BoxError),
    /// Storage did not do what it was asked to.
    #[error("storage failed")]
    Database(#[source] DatabaseError),
    /// What a step works on cannot be worked.
    #[error("{0}")]
    Data(&'static str),
}

impl BatchError {
    pub(crate) fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => error.class(),
            Self::Data(_) => ErrorClass::Data,
            Self::Unknown(_) => ErrorClass::OutcomeUnknown,
            _ => ErrorClass::Conflict,
        }
    }

    /// True where the same again may well work.
    pub(crate) fn may_pass(&self) -> bool {
        let class = self.class();
        class.is_transient() || matches!(class, ErrorClass::Connection | ErrorClass::Overloaded)
    }
}

impl Classify for BatchError {
    fn class(&self) -> ErrorClass {
        Self::class(self)
    }
}

impl From<DatabaseError> for BatchError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<DbErr> for BatchError {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}
