//! Extractors that refuse bad input with a problem, and point at the fault.

mod body;
mod headers;
mod json;
mod params;
mod reason;
mod strict;
mod text;
mod whole_number;

pub use body::{BODY_BYTES_MAX, BODY_READ_MAX, BodyDeadline, BodyLimit};
pub use headers::{IDEMPOTENCY_KEY, IdempotencyKey, IfMatch, etag};
pub use json::{JSON_DEPTH_MAX, Json, JsonBytes, RawJson};
pub use params::{Path, Query};
pub use whole_number::whole_number;
