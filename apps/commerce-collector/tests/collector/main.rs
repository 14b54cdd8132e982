//! The collector on the embedded log or a Kafka cluster, and a `SQLite` file: nothing stands in for anything but sessions and, where that
//! is the subject, a store or a bus that fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boards;
mod dead_letters;
mod exactly_once;
mod facts;
mod generator;
mod http;
mod jobs;
mod kafka;
mod projector;
mod rebuild;
mod replay;
mod store;
mod support;
