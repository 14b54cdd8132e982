//! A TCP proxy that makes a network fail on command, for tests: slow, cut, reset, half-open. It does what it is told,
//! when it is told, and nothing by chance.

mod connection;
mod proxy;
mod pump;

pub use proxy::{Mode, Proxy};
