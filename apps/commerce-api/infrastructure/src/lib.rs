//! Adapters of the ports: SQL, in memory, hashing, clock, the payment gateway, Redis.

pub mod bus;
pub mod gateway;
pub mod memory;
pub mod product_cache;
pub mod redis;
pub mod runtime;
pub mod session_cache;
pub mod sql;
pub mod vault;
