//! How much callers may ask, and who may ask from a browser.

use std::time::Duration;

use commerce_http::limit::{Allowance, LimitOptions, Networks};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::Config;
use crate::interfaces::LOG_IN_ROUTES;

/// `limits`: how much callers may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Reads of one user in a second.
    pub user_reads_per_s: u32,
    /// Reads of one user at once.
    pub user_reads_burst: u32,
    /// Writes of one user in a second.
    pub user_writes_per_s: u32,
    /// Writes of one user at once.
    pub user_writes_burst: u32,
    /// Reads from one address in a second.
    pub address_reads_per_s: u32,
    /// Reads from one address at once.
    pub address_reads_burst: u32,
    /// Writes from one address in a second.
    pub address_writes_per_s: u32,
    /// Writes from one address at once.
    pub address_writes_burst: u32,
    /// Log-ins and sign-ups from one address in a minute.
    pub address_log_ins_per_minute: u32,
    /// Log-ins and sign-ups from one address at once.
    pub address_log_ins_burst: u32,
    /// Log-ins to one account in a minute.
    pub account_log_ins_per_minute: u32,
    /// Log-ins to one account at once.
    pub account_log_ins_burst: u32,
    /// Networks whose addresses have no limit; not set: in a demonstration this machine, otherwise none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt_networks: Option<Vec<String>>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Connections at the same time.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, in milliseconds.
    pub head_timeout_ms: u64,
    /// How long a caller may take nothing of an answer, in milliseconds.
    pub answer_timeout_ms: u64,
}

/// `cors`: pages of other origins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Origins whose pages may call the API.
    pub origins: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            user_reads_per_s: 200,
            user_reads_burst: 1_000,
            user_writes_per_s: 50,
            user_writes_burst: 1_000,
            address_reads_per_s: 200,
            address_reads_burst: 1_000,
            address_writes_per_s: 100,
            address_writes_burst: 500,
            address_log_ins_per_minute: 60,
            address_log_ins_burst: 60,
            account_log_ins_per_minute: 10,
            account_log_ins_burst: 20,
            exempt_networks: None,
            trusted_proxies: Vec::new(),
            connections_max: 8_192,
            head_timeout_ms: 30_000,
            answer_timeout_ms: 30_000,
        }
    }
}

impl Config {
    /// The limits of callers.
    pub fn limit_options(&self) -> LimitOptions {
        let limits = &self.limits;
        let exempt = match &limits.exempt_networks {
            Some(texts) => networks(texts),
            None if self.is_demo() => Networks::loopback(),
            None => Networks::default(),
        };
        LimitOptions {
            user_reads: Allowance::per_second(limits.user_reads_per_s, limits.user_reads_burst),
            user_writes: Allowance::per_second(limits.user_writes_per_s, limits.user_writes_burst),
            address_reads: Allowance::per_second(limits.address_reads_per_s, limits.address_reads_burst),
            address_writes: Allowance::per_second(limits.address_writes_per_s, limits.address_writes_burst),
            address_log_ins: Allowance {
                per_minute: limits.address_log_ins_per_minute,
                burst: limits.address_log_ins_burst,
            },
            account_log_ins: Allowance {
                per_minute: limits.account_log_ins_per_minute,
                burst: limits.account_log_ins_burst,
            },
            exempt,
            trusted_proxies: networks(&limits.trusted_proxies),
            log_in_routes: LOG_IN_ROUTES,
        }
    }

    /// How long a connection may take to send the head of a request.
    pub const fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.head_timeout_ms)
    }

    /// How long a caller may take nothing of an answer.
    pub const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.limits.answer_timeout_ms)
    }

    /// Origins whose pages may call the API.
    pub fn cors_origins(&self) -> Vec<HeaderValue> {
        // Each was checked to be one.
        self.cors.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()
    }
}

/// Each was checked to be one; were one not, none would be trusted.
fn networks(texts: &[String]) -> Networks {
    Networks::parse(texts.iter().map(String::as_str)).unwrap_or_default()
}

pub(super) fn is_network(text: &str) -> bool {
    Networks::parse([text]).is_ok()
}

/// As browsers send it: a scheme, a host in small letters, a port where it is not the scheme's, and nothing else.
pub(super) fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    matches!(scheme, "http" | "https") && !authority.is_empty() && authority.bytes().all(plain)
}
