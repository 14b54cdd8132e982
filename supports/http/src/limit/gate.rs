//! The two middlewares that hold callers to their limits, and the limit of log-ins to one account.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use sha2::{Digest as _, Sha256};

use super::address::key;
use super::bucket::{Buckets, SharedBuckets, Verdict};
use super::{Allowance, Networks, RouteClass, client_address};
use crate::policy::Principal;
use crate::problem::Problem;

/// What is allowed to whom.
#[derive(Debug, Clone)]
pub struct LimitOptions {
    /// Reads of one user.
    pub user_reads: Allowance,
    /// Writes of one user.
    pub user_writes: Allowance,
    /// Reads from one address.
    pub address_reads: Allowance,
    /// Writes from one address.
    pub address_writes: Allowance,
    /// Requests that hash a password, from one address.
    pub address_log_ins: Allowance,
    /// Log-ins to one account, from wherever.
    pub account_log_ins: Allowance,
    /// Addresses that have no limit. Users and accounts always have theirs.
    pub exempt: Networks,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// Methods and path templates of what hashes a password.
    pub log_in_routes: &'static [(Method, &'static str)],
}

/// The limits at work.
pub struct RateLimits {
    user_reads: Buckets,
    user_writes: Buckets,
    address_reads: Buckets,
    address_writes: Buckets,
    address_log_ins: Buckets,
    account_log_ins: Buckets,
    shared: Option<Arc<dyn SharedBuckets>>,
    options: LimitOptions,
}

impl RateLimits {
    /// Limits of which nothing is used up.
    pub fn new(options: LimitOptions) -> Self {
        Self {
            user_reads: Buckets::new("user-read", options.user_reads),
            user_writes: Buckets::new("user-write", options.user_writes),
            address_reads: Buckets::new("address-read", options.address_reads),
            address_writes: Buckets::new("address-write", options.address_writes),
            address_log_ins: Buckets::new("address-log-in", options.address_log_ins),
            account_log_ins: Buckets::new("account-log-in", options.account_log_ins),
            shared: None,
            options,
        }
    }

    /// The same, out of buckets that all nodes share as long as they can be reached.
    #[must_use]
    pub fn over_all_nodes(self, shared: Arc<dyn SharedBuckets>) -> Self {
        Self { shared: Some(shared), ..self }
    }

    /// Counts a log-in to the account `login_id`, whether there is such an account or not; 429 `RATE_LIMITED` where it
    /// is one too many.
    pub async fn log_in(&self, login_id: &str) -> Result<(), Problem> {
        let verdict = self.take(&self.account_log_ins, account_key(login_id)).await;
        verdict.refusal().map_or(Ok(()), Err)
    }

    async fn take(&self, buckets: &Buckets, key: u128) -> Verdict {
        buckets.take_shared(self.shared.as_deref(), key).await
    }

    fn class(&self, request: &Request) -> RouteClass {
        RouteClass::of(request, self.options.log_in_routes)
    }

    /// Puts the caller's address in the place of the proxy's, and tells which bucket it takes from; none without an
    /// address or a limit.
    fn by_address(&self, request: &mut Request) -> Option<(&Buckets, u128)> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0;
        let address = client_address(peer.ip(), request.headers(), &self.options.trusted_proxies);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, peer.port())));
        if self.options.exempt.contain(address) {
            return None;
        }
        let buckets = match self.class(request) {
            RouteClass::Read => &self.address_reads,
            RouteClass::Write => &self.address_writes,
            RouteClass::LogIn => &self.address_log_ins,
        };
        Some((buckets, key(address)))
    }

    fn by_user(&self, request: &Request) -> Option<(&Buckets, u128)> {
        let user = request.extensions().get::<Principal>()?.user_id;
        let buckets = match self.class(request) {
            RouteClass::Read => &self.user_reads,
            RouteClass::Write | RouteClass::LogIn => &self.user_writes,
        };
        Some((buckets, u128::from(user.cast_unsigned())))
    }
}

/// Callers choose login ids, and must not find one that shares somebody else's bucket.
fn account_key(login_id: &str) -> u128 {
    let hash = Sha256::digest(login_id.trim().to_lowercase());
    hash.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte))
}

/// Holds addresses to their limits, and leaves the caller's address to what runs inside, as `ConnectInfo`.
///
/// Apply it to the whole router, inside of `track` and outside of the gate, so that sessions are not looked up for
/// those who ask too much.
pub async fn limit_addresses(
    State(limits): State<Arc<RateLimits>>,
    mut request: Request,
    next: Next,
) -> Response {
    let verdict = match limits.by_address(&mut request) {
        Some((buckets, key)) => Some(limits.take(buckets, key).await),
        None => None,
    };
    pass(verdict, request, next).await
}

/// Holds users to their limits, whatever tokens and addresses they use. Apply it inside of the gate.
pub async fn limit_users(State(limits): State<Arc<RateLimits>>, request: Request, next: Next) -> Response {
    let verdict = match limits.by_user(&request) {
        Some((buckets, key)) => Some(limits.take(buckets, key).await),
        None => None,
    };
    pass(verdict, request, next).await
}

async fn pass(verdict: Option<Verdict>, request: Request, next: Next) -> Response {
    let Some(verdict) = verdict else { return next.run(request).await };
    if let Some(problem) = verdict.refusal() {
        return problem.into_response();
    }
    let mut response = next.run(request).await;
    verdict.tell(&mut response);
    response
}
