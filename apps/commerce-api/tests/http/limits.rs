//! How much callers may ask, and who may ask from a browser.

use std::net::IpAddr;
use std::sync::Arc;

use commerce_api::interfaces::{FrontDoor, LOG_IN_ROUTES, openapi};
use commerce_api_domain::Role;
use commerce_http::PolicyTable;
use commerce_http::limit::{Allowance, LimitOptions, Networks, RateLimits};
use serde_json::json;

use crate::support::{Mode, Reply, Shop};

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "203.0.113.9";
const PROXY: &str = "10.0.0.1";

/// So many, and the next one only after a minute.
const fn only(burst: u32) -> Allowance {
    Allowance { per_minute: 1, burst }
}

/// Nothing that a test of something else meets.
fn wide() -> LimitOptions {
    LimitOptions {
        user_reads: only(1_000),
        user_writes: only(1_000),
        address_reads: only(1_000),
        address_writes: only(1_000),
        address_log_ins: only(1_000),
        account_log_ins: only(1_000),
        exempt: Networks::default(),
        trusted_proxies: Networks::default(),
        log_in_routes: LOG_IN_ROUTES,
    }
}

async fn shop(options: LimitOptions) -> Shop {
    let front = FrontDoor { limits: Some(Arc::new(RateLimits::new(options))), origins: Vec::new() };
    Shop::open_behind(front, Mode::default()).await
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Reads the brands, perhaps with an `X-Forwarded-For`.
async fn read(shop: &Shop, peer: &str, forwarded: Option<&str>) -> Reply {
    let call = shop.get("/api/v1/brands").coming_from(address(peer));
    match forwarded {
        Some(forwarded) => call.header("x-forwarded-for", forwarded).send().await,
        None => call.send().await,
    }
}

#[tokio::test]
async fn an_address_gets_its_burst_and_then_429_with_retry_after() {
    let shop = shop(LimitOptions { address_reads: only(2), ..wide() }).await;
    let first = read(&shop, ELSEWHERE, None).await.expect(200);
    assert_eq!(first.header("ratelimit"), "\"address-read\";r=1;t=60");
    assert_eq!(first.header("ratelimit-policy"), "\"address-read\";q=2;w=120");
    read(&shop, ELSEWHERE, None).await.expect(200);
    let refused = read(&shop, ELSEWHERE, None).await.refused(429, "RATE_LIMITED");
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    assert!(refused.header("ratelimit").starts_with("\"address-read\";r=0;t="), "{refused:?}");
    assert_eq!(refused.header("ratelimit-policy"), "\"address-read\";q=2;w=120");
    // A path that there is not costs as well, and the operator's, but others' requests and writes do not.
    for path in ["/nowhere", "/actuator/health"] {
        shop.get(path).coming_from(address(ELSEWHERE)).send().await.refused(429, "RATE_LIMITED");
    }
    read(&shop, "203.0.113.10", None).await.expect(200);
    shop.post("/api/v1/brands")
        .coming_from(address(ELSEWHERE))
        .send()
        .await
        .refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn a_spoofed_forwarded_address_does_not_reset_the_limit() {
    let shop = shop(LimitOptions { address_reads: only(2), ..wide() }).await;
    read(&shop, ELSEWHERE, Some("198.51.100.1")).await.expect(200);
    read(&shop, ELSEWHERE, Some("198.51.100.2")).await.expect(200);
    read(&shop, ELSEWHERE, Some("198.51.100.3")).await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let trusted_proxies = Networks::parse(["10.0.0.0/8"]).unwrap();
    let shop = shop(LimitOptions { address_reads: only(1), trusted_proxies, ..wide() }).await;
    read(&shop, PROXY, Some("198.51.100.1")).await.expect(200);
    read(&shop, PROXY, Some("198.51.100.2")).await.expect(200);
    read(&shop, PROXY, Some("198.51.100.1")).await.refused(429, "RATE_LIMITED");
    // What the client wrote itself stands further left.
    read(&shop, PROXY, Some("198.51.100.77, 198.51.100.1")).await.refused(429, "RATE_LIMITED");
    // Nor does it make the caller one of this machine, who sees the operator's details.
    let forwarded = shop.get("/actuator/metrics").coming_from(address(PROXY));
    let reply = forwarded.header("x-forwarded-for", "127.0.0.1, 198.51.100.9").send().await;
    assert_eq!(reply.status, 401, "{reply:?}");
}

#[tokio::test]
async fn an_exempt_network_has_no_limit_of_addresses_but_its_users_have_theirs() {
    let exempt = Networks::loopback();
    let options = LimitOptions { exempt, address_reads: only(1), user_reads: only(2), ..wide() };
    let shop = shop(options).await;
    for _ in 0..5 {
        let reply = read(&shop, HERE, None).await.expect(200);
        assert_eq!(reply.header("ratelimit"), "");
    }
    let user = shop.user("shopper", Role::Customer).await;
    let me = || shop.get("/api/v1/users/me").by(&user).coming_from(address(HERE));
    me().send().await.expect(200);
    me().send().await.expect(200);
    me().send().await.refused(429, "RATE_LIMITED");
}

#[tokio::test]
async fn all_sessions_of_a_user_share_the_users_limit() {
    let shop = shop(LimitOptions { user_writes: only(2), ..wide() }).await;
    let user = shop.user("shopper", Role::Customer).await;
    let other = shop.user("other", Role::Customer).await;
    let second = shop.session("shopper").await;
    let charge = |token: &str| {
        let charge = shop.post("/api/v1/users/me/points/charges").token(token).new_key();
        charge.json(&json!({"amount": 5}))
    };
    let told = charge(&user.token).coming_from(address(ELSEWHERE)).send().await.expect(201);
    let lines: Vec<_> = told.headers.get_all("ratelimit").iter().collect();
    assert_eq!(lines.len(), 2, "of the user and of the address: {lines:?}");
    charge(&second).send().await.expect(201);
    charge(&user.token).send().await.refused(429, "RATE_LIMITED");
    charge(&second).coming_from(address(ELSEWHERE)).send().await.refused(429, "RATE_LIMITED");
    charge(&other.token).send().await.expect(201);
    // Reads are another limit, and show that nothing was done by what was refused.
    assert_eq!(shop.balance(&user).await, 10);
}

#[tokio::test]
async fn an_order_that_was_refused_by_a_limit_keeps_nothing_under_its_key() {
    let shop = shop(LimitOptions { user_writes: only(1), ..wide() }).await;
    let user = shop.user("shopper", Role::Customer).await;
    let order = || shop.post("/api/v1/orders").by(&user).key("the-key").json(&crate::support::order_of(1, 1));
    let first = order().send().await;
    assert!(first.status.is_client_error() && first.status != 429, "{first:?}");
    let limited = order().send().await.refused(429, "RATE_LIMITED");
    assert_eq!(limited.header("idempotent-replayed"), "");
}

#[tokio::test]
async fn log_ins_to_one_account_are_limited_whether_it_exists_or_not() {
    let shop = shop(LimitOptions { account_log_ins: only(3), ..wide() }).await;
    // This is the first log-in.
    shop.user("shopper", Role::Customer).await;
    let log_in = async |name: &str, from: &str| {
        let body = json!({"loginId": name, "password": "wrong horse"});
        shop.post("/api/v1/sessions").coming_from(address(from)).json(&body).send().await
    };
    log_in("nobody", ELSEWHERE).await.refused(401, "BAD_CREDENTIALS");
    for name in ["shopper", "nobody"] {
        // From wherever, and however it is written.
        log_in(name, "198.51.100.1").await;
        log_in(&name.to_uppercase(), "198.51.100.2").await;
    }
    let refusals = [log_in("shopper", ELSEWHERE).await, log_in("nobody", ELSEWHERE).await];
    let [known, unknown] = refusals.map(|reply| {
        let reply = reply.refused(429, "RATE_LIMITED");
        (reply.json["title"].clone(), reply.header("ratelimit-policy").to_owned())
    });
    assert_eq!(known, unknown);
    log_in("another", ELSEWHERE).await.refused(401, "BAD_CREDENTIALS");
}

#[tokio::test]
async fn log_ins_and_sign_ups_of_an_address_share_a_limit_of_their_own() {
    let shop = shop(LimitOptions { address_log_ins: only(2), ..wide() }).await;
    let from = address(ELSEWHERE);
    let body = json!({"loginId": "nobody", "password": "wrong horse"});
    let log_in = || shop.post("/api/v1/sessions").coming_from(from).json(&body);
    log_in().send().await.refused(401, "BAD_CREDENTIALS");
    let body = json!({"loginId": "shopper", "email": "s@example.com", "password": "correct horse"});
    shop.post("/api/v1/users").coming_from(from).json(&body).send().await.expect(201);
    log_in().send().await.refused(429, "RATE_LIMITED");
    read(&shop, ELSEWHERE, None).await.expect(200);
}

#[test]
fn the_routes_that_hash_a_password_are_routes() {
    let table = PolicyTable::from_openapi(&openapi()).unwrap();
    for (method, path) in LOG_IN_ROUTES {
        assert!(table.policy(method, path).is_some(), "{method} {path}");
    }
}

const ORIGIN: &str = "https://shop.example.com";

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_no_others() {
    let front = FrontDoor { origins: vec![ORIGIN.parse().unwrap()], ..FrontDoor::default() };
    let shop = Shop::open_behind(front, Mode::default()).await;
    let preflight = |origin: &str| {
        let call = shop.call("OPTIONS", "/api/v1/orders").header("origin", origin);
        let call = call.header("access-control-request-method", "POST");
        call.header("access-control-request-headers", "authorization,idempotency-key")
    };
    let allowed = preflight(ORIGIN).send().await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    assert!(allowed.header("access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    let called = shop.get("/api/v1/brands").header("origin", ORIGIN).send().await.expect(200);
    assert_eq!(called.header("access-control-allow-origin"), ORIGIN);
    assert!(called.header("access-control-expose-headers").contains("ratelimit"));
    for other in ["https://evil.example.com", "http://shop.example.com", "null"] {
        assert_eq!(preflight(other).send().await.header("access-control-allow-origin"), "", "{other}");
        let called = shop.get("/api/v1/brands").header("origin", other).send().await;
        assert_eq!(called.header("access-control-allow-origin"), "", "{other}");
    }
}

#[tokio::test]
async fn without_a_list_no_other_origin_may_call() {
    let shop = Shop::open().await;
    let preflight = shop.call("OPTIONS", "/api/v1/orders").header("origin", ORIGIN);
    let reply = preflight.header("access-control-request-method", "POST").send().await;
    reply.refused(405, "METHOD_NOT_ALLOWED");
    let reply = shop.get("/api/v1/brands").header("origin", ORIGIN).send().await.expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_guess_frame_and_tell_nothing() {
    let shop = Shop::open().await;
    for path in ["/api/v1/brands", "/nowhere", "/actuator/health", "/v3/api-docs"] {
        let reply = shop.get(path).send().await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "frame-ancestors 'none'"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
    }
}
