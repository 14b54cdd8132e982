//! The runner on a `SQLite` file. Faults are put between it and its storage, as a process meets them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod leases;
mod skips;
mod steps;
mod support;
