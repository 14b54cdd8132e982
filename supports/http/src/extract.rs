//! Extractors that refuse bad input with a problem, and point at the fault.

mod headers;
mod json;
mod params;
mod reason;

pub use headers::{IDEMPOTENCY_KEY, IdempotencyKey, IfMatch, etag};
pub use json::{BODY_BYTES_MAX, BodyLimit, JSON_DEPTH_MAX, Json, JsonBytes};
pub use params::{Path, Query};
