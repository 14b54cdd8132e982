//! The stores on SQL: catalogue, accounts, sessions, coupons, orders, likes, leases, retention.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod catalogue;
mod counts;
mod orders;
mod support;
