//! The relay between a real outbox and a real log, and what becomes of events when either side, or the relay, fails.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod failures;
mod order;
mod ownership;
mod running;
mod stores;
mod support;
