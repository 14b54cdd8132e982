use commerce_database::{Classify, DatabaseError, ErrorClass};
use sea_orm::DbErr;

use crate::application::ports::StoreError;

/// Why a transaction ended without a commit.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another owner counts the partition.
    Fenced,
    /// The database said so.
    Database(DatabaseError),
    /// The rows cannot be made.
    Data(&'static str),
    /// A read of the transaction failed.
    Store(StoreError),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}

impl Classify for Failure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => error.class(),
            // Told as what they are; the transaction is not tried again for them.
            Self::Fenced | Self::Store(_) => ErrorClass::Conflict,
            Self::Data(_) => ErrorClass::Data,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fenced => Self::Fenced,
            Failure::Database(error) => error.into(),
            Failure::Data(reason) => Self::Data(reason.into()),
            Failure::Store(error) => error,
        }
    }
}

/// Only what the rows themselves are refused for is a matter of the data; everything else may pass.
impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error.class() {
            ErrorClass::UniqueViolation | ErrorClass::CheckViolation | ErrorClass::Data => {
                Self::Data(error.into())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// A column that does not decode is refused data, not an outage.
pub(super) fn orm(error: DbErr) -> StoreError {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::ConvertFromU64(_) => {
            StoreError::Data(error.into())
        }
        other => DatabaseError::from(other).into(),
    }
}
