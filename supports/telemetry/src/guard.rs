//! Who may see more of the actuator than a status.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use subtle::ConstantTimeEq as _;

/// Headers that only a proxy sets: with one of them the peer is not the caller.
const PROXY_HEADERS: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// What a guard says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing is known of the caller.
    Anonymous,
    /// The caller is known and has no right to details.
    Denied,
    /// The caller may see details.
    Granted,
}

/// Decides whether a request may see details.
#[async_trait]
pub trait DetailsGuard: Send + Sync {
    /// Whether it may.
    async fn access(&self, parts: &Parts) -> Access;
}

/// Admits whom one of its guards admits, and knows whom one of them knows.
#[derive(Clone)]
pub struct AnyOf(pub Vec<Arc<dyn DetailsGuard>>);

#[async_trait]
impl DetailsGuard for AnyOf {
    async fn access(&self, parts: &Parts) -> Access {
        let mut best = Access::Anonymous;
        for guard in &self.0 {
            best = best.max(guard.access(parts).await);
            if best == Access::Granted {
                break;
            }
        }
        best
    }
}

/// Admits callers on this machine, and `Authorization: Bearer <scrape token>`.
///
/// The peer's address comes from axum's `ConnectInfo<SocketAddr>`: without it nobody is local. Neither is a
/// request that came through a proxy, nor one under another host name, which is how a web page in a local
/// browser would come (DNS rebinding).
#[derive(Clone)]
pub struct LoopbackOr(Option<String>);

impl LoopbackOr {
    /// A guard with this scrape token; `None` or an empty one admits local callers only.
    pub fn new(scrape_token: Option<String>) -> Self {
        Self(scrape_token.filter(|token| !token.is_empty()))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.0 else { return false };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        given.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("Bearer") && bool::from(token.as_bytes().ct_eq(expected.as_bytes()))
        })
    }
}

impl std::fmt::Debug for LoopbackOr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoopbackOr(***)")
    }
}

#[async_trait]
impl DetailsGuard for LoopbackOr {
    async fn access(&self, parts: &Parts) -> Access {
        if is_local(parts) || self.has_token(&parts.headers) { Access::Granted } else { Access::Anonymous }
    }
}

fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    peer.is_some_and(|ip| ip.is_loopback())
        && PROXY_HEADERS.iter().all(|name| !parts.headers.contains_key(*name))
        && is_local_host(&parts.headers)
}

fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Some(authority) = host.to_str().ok().and_then(|text| text.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn allows(guard: &dyn DetailsGuard, peer: Option<&str>, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        if let Some(peer) = peer {
            parts.extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        guard.access(&parts).await == Access::Granted
    }

    #[tokio::test]
    async fn a_loopback_peer_is_local() {
        let guard = LoopbackOr::new(None);
        for peer in ["127.0.0.1:4000", "127.9.9.9:1", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
            assert!(allows(&guard, Some(peer), &[]).await, "{peer}");
        }
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"] {
            assert!(allows(&guard, Some("127.0.0.1:4000"), &[("host", host)]).await, "{host}");
        }
        for peer in ["10.0.0.1:4000", "[2001:db8::1]:4000", "[::ffff:10.0.0.1]:4000"] {
            assert!(!allows(&guard, Some(peer), &[]).await, "{peer}");
        }
        assert!(!allows(&guard, None, &[]).await);
    }

    #[tokio::test]
    async fn a_proxy_on_this_machine_opens_nothing() {
        let guard = LoopbackOr::new(None);
        for header in PROXY_HEADERS {
            assert!(!allows(&guard, Some("127.0.0.1:4000"), &[(header, "127.0.0.1")]).await, "{header}");
        }
        for host in ["shop.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a b"] {
            assert!(!allows(&guard, Some("127.0.0.1:4000"), &[("host", host)]).await, "{host}");
        }
    }

    #[tokio::test]
    async fn the_scrape_token_admits_from_anywhere() {
        let guard = LoopbackOr::new(Some("s3cret".to_owned()));
        let peer = Some("10.0.0.1:4000");
        assert!(allows(&guard, peer, &[("authorization", "Bearer s3cret")]).await);
        assert!(
            allows(&guard, peer, &[("authorization", "bearer s3cret"), ("x-forwarded-for", "10.0.0.9")])
                .await
        );
        for value in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Basic s3cret", "s3cret"] {
            assert!(!allows(&guard, peer, &[("authorization", value)]).await, "{value}");
        }
        for token in [None, Some(String::new())] {
            assert!(!allows(&LoopbackOr::new(token), peer, &[("authorization", "Bearer ")]).await);
        }
        assert_eq!(format!("{guard:?}"), "LoopbackOr(***)");
    }

    #[tokio::test]
    async fn any_guard_may_admit() {
        let one =
            |token: &str| -> Arc<dyn DetailsGuard> { Arc::new(LoopbackOr::new(Some(token.to_owned()))) };
        let guard = AnyOf(vec![one("a"), one("b")]);
        assert!(allows(&guard, None, &[("authorization", "Bearer b")]).await);
        assert!(!allows(&guard, None, &[("authorization", "Bearer c")]).await);
        assert!(!allows(&AnyOf(Vec::new()), Some("127.0.0.1:1"), &[]).await);
    }

    #[tokio::test]
    async fn a_known_caller_is_denied_and_an_unknown_one_anonymous() {
        struct Says(Access);

        #[async_trait]
        impl DetailsGuard for Says {
            async fn access(&self, _parts: &Parts) -> Access {
                self.0
            }
        }

        let (parts, ()) = Request::new(()).into_parts();
        let cases = [
            (vec![], Access::Anonymous),
            (vec![Access::Anonymous], Access::Anonymous),
            (vec![Access::Denied, Access::Anonymous], Access::Denied),
            (vec![Access::Denied, Access::Granted, Access::Anonymous], Access::Granted),
        ];
        for (said, access) in cases {
            let guards = said.iter().map(|said| -> Arc<dyn DetailsGuard> { Arc::new(Says(*said)) });
            assert_eq!(AnyOf(guards.collect()).access(&parts).await, access, "{said:?}");
        }
    }
}
