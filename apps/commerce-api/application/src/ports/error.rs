/// The driver's own error, kept as the source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why storage did not do what it was asked to. The class decides what the caller may do about it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Deadlock, lock timeout or busy: nothing was done, run it again.
    #[error("storage was busy")]
    Transient(#[source] BoxError),
    /// Connection, disk or queue: nothing was done, and trying at once will not help.
    #[error("storage is unavailable")]
    Unavailable(#[source] BoxError),
    /// The rows were refused: a constraint, a state that had moved, a value that does not decode.
    #[error("storage refused the rows")]
    Data(#[source] BoxError),
}

impl StorageError {
    /// Whether running the same again may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

/// How a commit ended when it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Certain: nothing was committed.
    #[error("nothing was committed")]
    NotCommitted(#[source] StorageError),
    /// The answer was lost: all of it was committed, or nothing.
    #[error("the outcome of the commit is unknown")]
    Unknown(#[source] BoxError),
}
