//! What nodes may share, in process and on a real Redis: one suite for each port, and what Redis alone can do wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod product_cache;
mod product_cache_faults;
mod sessions;
mod support;
