//! Errors of the database as the ports name them.

use commerce_api_application::ports::{CommitError, StorageError};
use commerce_database::{DatabaseError, ErrorClass};
use sea_orm::DbErr;

/// The port's error, by class: what may be run again, what will not help, what the rows themselves are refused for.
pub(crate) fn storage(error: DatabaseError) -> StorageError {
    match error.class() {
        ErrorClass::Busy | ErrorClass::Deadlock | ErrorClass::LockTimeout => {
            StorageError::Transient(error.into())
        }
        ErrorClass::UniqueViolation
        | ErrorClass::CheckViolation
        | ErrorClass::Data
        | ErrorClass::Conflict => StorageError::Data(error.into()),
        ErrorClass::Connection
        | ErrorClass::DiskFull
        | ErrorClass::Overloaded
        | ErrorClass::OutcomeUnknown
        | ErrorClass::Other => StorageError::Unavailable(error.into()),
    }
}

/// The same of an error that `SeaORM` gave. A column that does not decode is refused data, not an outage.
pub(crate) fn orm(error: DbErr) -> StorageError {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::ConvertFromU64(_) => {
            StorageError::Data(error.into())
        }
        other => storage(other.into()),
    }
}

/// How a commit ended, in the port's words.
pub(crate) fn commit(error: commerce_database::CommitError) -> CommitError {
    match error {
        commerce_database::CommitError::NotCommitted(error) => CommitError::NotCommitted(storage(error)),
        commerce_database::CommitError::Unknown(error) => CommitError::Unknown(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_keep_their_meaning() {
        assert!(matches!(storage(DatabaseError::Closed), StorageError::Unavailable(_)));
        assert!(matches!(storage(DatabaseError::Overloaded { capacity: 1 }), StorageError::Unavailable(_)));
        let conflict = DatabaseError::Conflict { table: "orders".into(), expected: 2, affected: 1 };
        assert!(matches!(storage(conflict), StorageError::Data(_)));
        assert!(matches!(orm(DbErr::Type("not an integer".into())), StorageError::Data(_)));
        let lost = commerce_database::CommitError::Unknown(DatabaseError::Closed);
        assert!(matches!(commit(lost), CommitError::Unknown(_)));
        let refused = commerce_database::CommitError::NotCommitted(DatabaseError::Closed);
        assert!(matches!(commit(refused), CommitError::NotCommitted(StorageError::Unavailable(_))));
    }
}
