//! Adapters of the ports on SQL.

mod boards;
mod collect;
mod columns;
mod dead_letters;
mod error;
mod facts;
mod jobs;
mod operator_log;
mod queries;
mod ranking;
mod rebuild;
mod schema;
mod store;

pub use facts::Facts;
pub use schema::{MIGRATIONS, migrate};
pub use store::SqlCollector;
