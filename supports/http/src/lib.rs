//! What every HTTP interface of the platform shares: problem details, strict extractors, the trace of a
//! request, keyset cursors, entity tags, the gate that decides who may call a route, and limits of how much one caller
//! may ask.
//! It knows axum and nothing of the shop.

pub mod context;
pub mod cursor;
pub mod extract;
pub mod limit;
pub mod policy;
pub mod problem;
pub mod server;
#[cfg(test)]
mod testing;
pub mod track;

pub use context::{EntropySource, RequestContext};
pub use cursor::{Page, PageLimit};
pub use extract::{
    BodyDeadline, BodyLimit, IdempotencyKey, IfMatch, Json, JsonBytes, Path, Query, RawJson, etag,
    whole_number,
};
pub use policy::{
    AccessGate, AuthUnavailable, Authenticator, BearerToken, Caller, MaybeCaller, Policy, PolicyTable,
    Principal,
};
pub use problem::{FieldError, Problem, ProblemDocument};
