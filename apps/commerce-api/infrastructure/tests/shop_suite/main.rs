//! What runs a whole shop: the unit of work and the order desk on every storage, and the audit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod by_hand;
mod callbacks;
mod checks;
mod contract;
mod desk;
mod dispatch;
mod doubles;
mod gateway;
mod hearsay;
mod locks;
mod loops;
mod mariadb;
mod nightly;
mod purchase_limit;
mod reconciliation;
mod reports;
mod schedule;
mod settlement;
mod shop;
mod simulated;
mod storage_trouble;
mod till;
mod unit_of_work;
mod whole;
