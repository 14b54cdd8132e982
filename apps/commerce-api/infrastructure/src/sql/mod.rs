//! The ports on SQL.

mod audit;
mod decode;
mod error;
pub mod schema;
mod stores;
mod unit_of_work;

pub use audit::SqlAudit;
pub use schema::migrate;
pub use stores::{
    BOARDS_FILE, SqlAccounts, SqlAuditTrail, SqlBoards, SqlCallbacks, SqlCatalogue, SqlCoupons, SqlLeases,
    SqlLikes, SqlMaintenance, SqlOrders, SqlOutbox, SqlPayments, SqlReconciliation, SqlSessions,
};
pub use unit_of_work::{SqlStorage, SqlUnitOfWork};
