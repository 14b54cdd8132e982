//! The gateway's client against a server that misbehaves, and against the real simulator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod breaker;
mod scripted;
mod simulator;
mod support;
mod wire;
