//! The catalogue, accounts, sessions, coupons, lists of orders and likes, leases and retention on SQL.
//!
//! Every call runs a fixed number of statements, under its own name in the statement log. Lists page by key: what is
//! read next follows from the last row seen, so a row that is added or removed in between disturbs nothing.

mod accounts;
mod audit_trail;
mod boards;
mod buyers;
mod callbacks;
mod catalogue;
mod coupons;
mod leases;
mod like_count;
mod likes;
mod orders;
mod outbox;
mod payments;
mod product_changes;
mod products;
mod query;
mod reconciliation;
mod retention;
mod seed;
mod sessions;

pub use accounts::SqlAccounts;
pub use audit_trail::SqlAuditTrail;
pub use boards::{BOARDS_FILE, SqlBoards};
pub use callbacks::SqlCallbacks;
pub use catalogue::SqlCatalogue;
pub use coupons::SqlCoupons;
pub use leases::SqlLeases;
pub use likes::SqlLikes;
pub use orders::SqlOrders;
pub use outbox::SqlOutbox;
pub use payments::SqlPayments;
pub use reconciliation::SqlReconciliation;
pub use retention::SqlMaintenance;
pub use sessions::SqlSessions;
