//! How much one caller may ask: by user, by address and by account that is logged in to, each by the generic cell
//! rate algorithm: in this process, or over all nodes where they share buckets.

mod address;
mod bucket;
mod gate;

use http::{Method, Request};

pub use address::{Networks, NotANetwork, client_address};
pub use bucket::{Allowance, Buckets, SharedBuckets, Taken, Verdict};
pub use gate::{LimitOptions, RateLimits, limit_addresses, limit_users};

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteClass {
    /// Reads.
    Read,
    /// Changes something.
    Write,
    /// Hashes a password: far dearer than the others.
    LogIn,
}

impl RouteClass {
    /// The class of a request; `log_ins` are the methods and path templates that hash a password.
    pub fn of<B>(request: &Request<B>, log_ins: &[(Method, &str)]) -> Self {
        let template = request.extensions().get::<axum::extract::MatchedPath>();
        let hashes = template.is_some_and(|template| {
            log_ins.iter().any(|(method, path)| method == request.method() && *path == template.as_str())
        });
        match *request.method() {
            _ if hashes => Self::LogIn,
            Method::GET | Method::HEAD | Method::OPTIONS => Self::Read,
            _ => Self::Write,
        }
    }
}
