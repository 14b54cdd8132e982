//! The HTTP interface as callers see it: no socket, but every layer from the router down to a `SQLite` file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod bodies;
mod document;
mod keys;
mod operator;
mod pages;
mod parameters;
mod shapes;
mod shopping;
mod support;
