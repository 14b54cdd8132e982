//! The HTTP interface as callers see it: no socket, but every layer from the router down to a `SQLite` file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod admin_payments;
mod bad_input;
mod bodies;
mod cache;
mod callbacks;
mod document;
mod keys;
mod limits;
mod operator;
mod pages;
mod parameters;
mod rankings;
mod reconciliations;
mod shapes;
mod shopping;
mod support;
