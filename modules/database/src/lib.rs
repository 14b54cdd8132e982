//! SQL databases for the platform: connections, dialects, the writer task, the transaction runner,
//! row-set statements, the migrations runner and backups. No business rule lives here.
//!
//! One [`Database`] is one `SQLite` file, or one database of a `MySQL` or `MariaDB` server. All writes of a file go through
//! one task that owns the only write connection and hands it out first come, first served; reads use a pool of connections
//! that cannot write. A server's database has one pool for both, and the server's row locks order the writers.

mod backup;
mod connection;
mod database;
pub mod ddl;
mod dialect;
mod error;
mod file;
mod migrate;
mod mysql;
mod options;
mod read;
mod read_only;
mod row_statements;
mod rows;
mod runner;
mod select;
mod statement_log;
mod template;
mod transaction;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::backup_sqlite;
pub use database::Database;
pub use dialect::Dialect;
pub use error::{Classify, CommitError, DatabaseError, ErrorClass, ServerProblem};
pub use futures::future::BoxFuture;
pub use migrate::{MigrationError, MigrationReport, Step, migrate};
pub use mysql::{MySqlOptions, MySqlTls};
pub use options::SqliteOptions;
pub use read::{NamedReader, READER_NAME, ReadTransaction};
pub use read_only::ReadOnlyDatabase;
pub use row_statements::{Delete, Insert, Merge, Update, Upsert, execute_exact};
pub use rows::{Column, ColumnKind, RowSet, RowValue};
pub use select::{Lock, Select};
pub use statement_log::StatementLog;
pub use template::Template;
pub use transaction::WriteTransaction;
