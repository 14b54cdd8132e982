//! The caller, as handlers get him from the gate.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::problem::Problem;

/// The user behind a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// Id of the user.
    pub user_id: i64,
    /// Whether the user is an administrator.
    pub admin: bool,
}

/// The caller, required: 401 without one, also where the gate was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub Principal);

/// The caller, if there is a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Principal>);

/// The session token of the request, for logging out. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(pub String);

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BearerToken(***)")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().map(Self).ok_or_else(Problem::authentication_required)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().copied()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BearerToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(Problem::authentication_required)
    }
}
