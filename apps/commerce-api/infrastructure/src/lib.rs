//! Adapters of the ports: SQL, in memory, hashing, clock.

pub mod memory;
pub mod runtime;
pub mod session_cache;
pub mod sql;
