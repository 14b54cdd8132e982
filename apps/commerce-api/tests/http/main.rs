//! The HTTP interface as callers see it: no socket, but every layer from the router down to a `SQLite` file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod admin_breakers;
mod admin_payments;
mod bad_input;
mod bodies;
mod cache;
mod callbacks;
mod document;
mod injection;
mod keys;
mod limits;
mod log_in;
mod operator;
mod pages;
mod parameters;
mod purchase_limit;
mod rankings;
mod reconciliations;
mod shapes;
mod shopping;
mod support;
