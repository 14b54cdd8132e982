//! Adapters of the ports on SQL.

mod boards;
mod collect;
mod columns;
mod error;
mod facts;
mod jobs;
mod queries;
mod ranking;
mod schema;
mod store;

pub use facts::Facts;
pub use schema::{MIGRATIONS, migrate};
pub use store::SqlCollector;
