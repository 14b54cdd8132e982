//! Errors, and their classes as the driver's codes tell them.

use std::{fmt, io, path::PathBuf};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::{mysql::MySqlDatabaseError, sqlite::SqliteError};

use crate::{MigrationError, mysql::class_of_mysql};

/// What kind of trouble an error is: enough to choose between retry, refusal and alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Another connection holds the lock. Retried.
    Busy,
    /// Chosen as the victim of a deadlock. Retried.
    Deadlock,
    /// A row lock was not granted in time. Retried.
    LockTimeout,
    /// The connection is gone, or could not be made.
    Connection,
    /// No space left.
    DiskFull,
    /// A unique index or primary key refused the row.
    UniqueViolation,
    /// A CHECK refused the row.
    CheckViolation,
    /// The statement fails with this data each time it runs.
    Data,
    /// A conditional statement changed another number of rows than expected.
    Conflict,
    /// Too much waits already; nothing was tried.
    Overloaded,
    /// A commit was sent, and nothing tells whether it was done.
    OutcomeUnknown,
    /// Anything else: I/O, corruption, a bug.
    Other,
}

impl ErrorClass {
    /// True if the same transaction may well succeed when it runs again.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::Deadlock | Self::LockTimeout)
    }

    /// The name used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Deadlock => "deadlock",
            Self::LockTimeout => "lock_timeout",
            Self::Connection => "connection",
            Self::DiskFull => "disk_full",
            Self::UniqueViolation => "unique_violation",
            Self::CheckViolation => "check_violation",
            Self::Data => "data",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Other => "other",
        }
    }

    /// True if a COMMIT that met with it has kept nothing: a refused row or a busy file. Anything else (an I/O error, a
    /// full disk) may have come after the frame of the commit was in the log, which the next recovery would accept.
    pub(crate) fn refuses_commit(self) -> bool {
        self.is_transient() || self.leaves_transaction_usable()
    }

    /// True if the statement alone failed and its transaction is as it was before.
    pub(crate) fn leaves_transaction_usable(self) -> bool {
        matches!(self, Self::UniqueViolation | Self::CheckViolation | Self::Data)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Lets [`crate::Database::write`] tell from a caller's own error whether to retry.
pub trait Classify {
    /// The class of the database error inside; [`ErrorClass::Other`] if there is none.
    fn class(&self) -> ErrorClass;
}

/// Everything that can go wrong here.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The driver reported an error.
    #[error("database error ({class})")]
    Driver {
        /// Its class, by the driver's code.
        class: ErrorClass,
        /// The driver's error.
        #[source]
        source: DbErr,
    },
    /// The file could not be opened or prepared.
    #[error("cannot open the database file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<DatabaseError>,
    },
    /// A server's database was to be copied as a file is.
    #[error("the database is on a server: use the server's own tools")]
    NoFile,
    /// What names a server's database is no such name.
    #[error("the database's URL is wrong: {why}")]
    Url {
        /// What is wrong with it, without a word of it.
        why: String,
    },
    /// A database server cannot be used.
    #[error("the database server {server} {problem}")]
    Server {
        /// `user@host:port/database`.
        server: String,
        /// What is wrong.
        problem: ServerProblem,
        /// The error behind it.
        #[source]
        source: Option<Box<DatabaseError>>,
    },
    /// The file does not take the write-ahead log, which the guarantees here rest on.
    #[error("the database file is in journal mode {mode}, not WAL (a network file system?)")]
    JournalMode {
        /// The mode it stayed in.
        mode: String,
    },
    /// The writer's queue is full.
    #[error("the write queue is full ({capacity} waiting)")]
    Overloaded {
        /// The length of the queue.
        capacity: usize,
    },
    /// The writer was not free in time.
    #[error("transaction {name} waited too long for the writer")]
    WriteWait {
        /// The transaction.
        name: &'static str,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// A conditional statement found another state than expected.
    #[error("{table}: {affected} rows changed where {expected} were expected")]
    Conflict {
        /// The table.
        table: String,
        /// Rows that should have changed.
        expected: u64,
        /// Rows that changed.
        affected: u64,
    },
    /// COMMIT failed in a way that leaves open whether it was done.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown(#[source] Box<DatabaseError>),
    /// The schema and the code do not fit.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A backup's target could not be written.
    #[error("cannot write the backup {}", path.display())]
    BackupTarget {
        /// The target.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a database server cannot be used. Only the first goes away by waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerProblem {
    /// Nothing answers there, or not as a server of this kind does.
    #[error("cannot be reached")]
    Unreachable,
    /// The user or the password is wrong.
    #[error("refused the user or the password")]
    AccessDenied,
    /// The database is not there.
    #[error("has no such database; make it: CREATE DATABASE `{database}` COLLATE utf8mb4_bin")]
    NoDatabase {
        /// Its name.
        database: String,
    },
    /// The user may not do what is needed.
    #[error(
        "lets the user do too little there; it needs ALTER, CREATE, DELETE, DROP, INDEX, INSERT, REFERENCES, SELECT and \
         UPDATE on the database"
    )]
    MissingPrivilege,
    /// The server is of a version without what is needed.
    #[error("is of version {version}; MySQL 8.0 or MariaDB 10.6 is the least")]
    TooOld {
        /// As it says itself.
        version: String,
    },
    /// The connection could not be encrypted as asked for.
    #[error("does not let the connection be encrypted as asked for")]
    Tls,
}

impl DatabaseError {
    /// The class, for decisions.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Driver { class, .. } => *class,
            Self::Open { source, .. } => match source.class() {
                ErrorClass::DiskFull => ErrorClass::DiskFull,
                _ => ErrorClass::Connection,
            },
            Self::Server { problem: ServerProblem::Unreachable, .. } | Self::Closed => ErrorClass::Connection,
            Self::Overloaded { .. } | Self::WriteWait { .. } => ErrorClass::Overloaded,
            Self::Conflict { .. } => ErrorClass::Conflict,
            Self::OutcomeUnknown(_) => ErrorClass::OutcomeUnknown,
            Self::NoFile
            | Self::Url { .. }
            | Self::Server { .. }
            | Self::JournalMode { .. }
            | Self::Migration(_)
            | Self::BackupTarget { .. } => ErrorClass::Other,
        }
    }

    /// True if the same transaction may well succeed when it runs again.
    pub fn is_transient(&self) -> bool {
        self.class().is_transient()
    }

    /// A server's number of the error.
    pub(crate) fn server_number(&self) -> Option<u16> {
        let Self::Driver {
            source: DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
            ..
        } = self
        else {
            return None;
        };
        let server = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
        Some(server.number())
    }
}

impl Classify for DatabaseError {
    fn class(&self) -> ErrorClass {
        Self::class(self)
    }
}

impl From<DbErr> for DatabaseError {
    fn from(source: DbErr) -> Self {
        Self::Driver { class: class_of(&source), source }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(source: sqlx::Error) -> Self {
        Self::Driver {
            class: class_of_driver(&source),
            source: DbErr::Exec(RuntimeErr::SqlxError(source.into())),
        }
    }
}

/// How a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of the transaction was kept.
    #[error("the transaction was not committed")]
    NotCommitted(#[source] DatabaseError),
    /// COMMIT failed without a refusal, by I/O or a lost connection: whether it was done, only the data can tell.
    #[error("the outcome of the commit is unknown")]
    Unknown(#[source] DatabaseError),
}

impl From<CommitError> for DatabaseError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotCommitted(error) => error,
            CommitError::Unknown(error) => Self::OutcomeUnknown(Box::new(error)),
        }
    }
}

fn class_of(error: &DbErr) -> ErrorClass {
    match error {
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout) => ErrorClass::Overloaded,
        DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::ConnectionClosed) => ErrorClass::Connection,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => class_of_driver(error),
        DbErr::RecordNotFound(_) | DbErr::RecordNotInserted | DbErr::RecordNotUpdated => ErrorClass::Conflict,
        _ => ErrorClass::Other,
    }
}

pub(crate) fn class_of_driver(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<SqliteError>() {
            Some(_) => error
                .code()
                .and_then(|code| code.parse().ok())
                .map_or(ErrorClass::Other, class_of_sqlite_code),
            None => match error.try_downcast_ref::<MySqlDatabaseError>() {
                Some(server) => class_of_mysql(server.number(), server.code().unwrap_or_default()),
                None => ErrorClass::Other,
            },
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => ErrorClass::Connection,
        sqlx::Error::PoolTimedOut => ErrorClass::Overloaded,
        _ => ErrorClass::Other,
    }
}

/// From an extended result code, <https://www.sqlite.org/rescode.html>; the low byte is the primary code.
fn class_of_sqlite_code(code: i32) -> ErrorClass {
    const CHECK: i32 = 275;
    const PRIMARY_KEY: i32 = 1555;
    const UNIQUE: i32 = 2067;
    const ROWID: i32 = 2579;
    match (code, code & 0xff) {
        (CHECK, _) => ErrorClass::CheckViolation,
        (PRIMARY_KEY | UNIQUE | ROWID, _) => ErrorClass::UniqueViolation,
        // BUSY, LOCKED
        (_, 5 | 6) => ErrorClass::Busy,
        // FULL
        (_, 13) => ErrorClass::DiskFull,
        // ERROR (malformed JSON, integer overflow, bad SQL), TOOBIG, CONSTRAINT, MISMATCH, RANGE
        (_, 1 | 18 | 19 | 20 | 25) => ErrorClass::Data,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_codes_have_their_classes() {
        let table = [
            (5, ErrorClass::Busy),
            (261, ErrorClass::Busy),
            (517, ErrorClass::Busy),
            (6, ErrorClass::Busy),
            (13, ErrorClass::DiskFull),
            (275, ErrorClass::CheckViolation),
            (1555, ErrorClass::UniqueViolation),
            (2067, ErrorClass::UniqueViolation),
            (787, ErrorClass::Data),
            (1299, ErrorClass::Data),
            (1, ErrorClass::Data),
            (10, ErrorClass::Other),
            (778, ErrorClass::Other),
            (11, ErrorClass::Other),
        ];
        for (code, class) in table {
            assert_eq!(class_of_sqlite_code(code), class, "code {code}");
        }
    }

    #[test]
    fn only_a_refusal_tells_that_a_commit_was_not_done() {
        let (busy, foreign_key, commit_hook) = (5, 787, 531);
        for code in [busy, foreign_key, commit_hook] {
            assert!(class_of_sqlite_code(code).refuses_commit(), "code {code}");
        }
        let (io, fsync, corrupt, full, not_a_database) = (10, 1034, 11, 13, 26);
        for code in [io, fsync, corrupt, full, not_a_database] {
            assert!(!class_of_sqlite_code(code).refuses_commit(), "code {code}");
        }
        assert!(!ErrorClass::Connection.refuses_commit());
    }

    #[test]
    fn lost_connections_and_exhausted_pools_are_told_apart() {
        assert_eq!(class_of_driver(&sqlx::Error::WorkerCrashed), ErrorClass::Connection);
        assert_eq!(class_of_driver(&sqlx::Error::PoolTimedOut), ErrorClass::Overloaded);
        let unknown = DatabaseError::from(CommitError::Unknown(sqlx::Error::WorkerCrashed.into()));
        assert_eq!(unknown.class(), ErrorClass::OutcomeUnknown);
        assert!(!unknown.is_transient());
    }
}
