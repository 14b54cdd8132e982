//! The gateway's books in one `SQLite` file. Times are microseconds since the epoch, money is whole won. Cards stand
//! there as they came: this is the outside world.

mod callbacks;
mod decode;
mod money;
mod record;
mod schema;
mod settle;
mod transactions;

use commerce_database::{Classify, Database, DatabaseError, ErrorClass, SqliteOptions};
use sea_orm::DbErr;

pub(crate) use callbacks::{Attempted, CallbackState, Outgoing};
pub(crate) use money::{RefundRefused, RefundRequest};
pub(crate) use record::{NewTransaction, RecordResult};
pub(crate) use settle::{Decision, Undecided};
pub(crate) use transactions::TransactionFilter;

/// The books.
#[derive(Clone)]
pub(crate) struct Storage {
    db: Database,
}

impl Storage {
    /// Opens the file and brings its schema up to date.
    pub(crate) async fn open(options: SqliteOptions, now_us: i64) -> Result<Self, DatabaseError> {
        let db = Database::open_sqlite(options).await?;
        commerce_database::migrate(&db, schema::MIGRATIONS, now_us).await?;
        Ok(Self { db })
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.db.path().map(std::path::Path::to_owned).unwrap_or_default()
    }

    pub(crate) async fn close(&self) {
        self.db.clone().close().await;
    }

    /// Whether the file answers reads.
    pub(crate) async fn ping(&self) -> Result<(), DbErr> {
        self.db.reader().ping().await
    }
}

/// Why a transaction ended without a commit.
#[derive(Debug)]
pub(crate) enum Failure<R> {
    /// It is not to be done.
    Refused(R),
    /// It could not be done.
    Database(DatabaseError),
}

impl<R> From<DatabaseError> for Failure<R> {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl<R> From<DbErr> for Failure<R> {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}

impl<R> Classify for Failure<R> {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => error.class(),
            Self::Refused(_) => ErrorClass::Other,
        }
    }
}
