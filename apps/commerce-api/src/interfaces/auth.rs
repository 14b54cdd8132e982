//! From a session token to the caller of a use case.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use axum::extract::{ConnectInfo, FromRequestParts};
use commerce_api_application::{Accounts, Caller, Viewer};
use commerce_api_domain::{Role, UserId};
use commerce_http::{AuthUnavailable, Authenticator, MaybeCaller, Principal, RequestContext};
use http::request::Parts;

/// Sessions of the account use cases, for the gate.
pub struct SessionAuthenticator {
    accounts: Accounts,
}

impl SessionAuthenticator {
    /// Over these accounts.
    pub fn new(accounts: Accounts) -> Self {
        Self { accounts }
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Option<Principal>, AuthUnavailable> {
        let owner = self.accounts.who(token).await.map_err(|error| AuthUnavailable(Box::new(error)))?;
        Ok(owner.map(|owner| Principal { user_id: owner.user.0, admin: owner.role == Role::Admin }))
    }
}

/// The caller of a use case, with the trace of the running request.
pub fn caller(principal: Principal) -> Caller {
    let context = RequestContext::current();
    Caller {
        user: UserId(principal.user_id),
        role: if principal.admin { Role::Admin } else { Role::Customer },
        traceparent: context.is_traced().then(|| context.traceparent().into()),
    }
}

/// Address of the peer, where the server tells it.
pub struct Peer(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())))
    }
}

/// Who looks at a product; none where nothing is known of them.
pub fn viewer(MaybeCaller(principal): MaybeCaller, Peer(address): &Peer) -> Option<Viewer> {
    match principal {
        Some(principal) => Some(Viewer::User(UserId(principal.user_id))),
        None => address.map(Viewer::Address),
    }
}
