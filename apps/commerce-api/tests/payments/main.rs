//! Orders by card from the first request to the last won, over HTTP: the whole app with its dispatcher against the real
//! simulator of the gateway, which misbehaves as each test says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callbacks;
mod held;
mod operator;
mod settling;
mod support;
mod warming;
