use std::net::IpAddr;
use std::time::Duration;

use commerce_api_application::ports::{BoxError, GatewayAbilities};
use commerce_resilience::RegistryError;
use reqwest::Url;

use super::pipelines::retry_options;

/// How the gateway is reached and what is expected of it.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Where its API is; see [`gateway_url`].
    pub base: Url,
    /// Who we are there.
    pub merchant: String,
    /// Where it posts outcomes to.
    pub callback_url: String,
    /// What it can do beyond the plain protocol.
    pub abilities: GatewayAbilities,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest time of one call, from connecting to the last byte of the answer.
    pub call_timeout: Duration,
    /// Calls in all, the first included, where a call may be repeated.
    pub attempts_max: u32,
    /// The longest that the first repetition waits; each later one waits up to twice as long.
    pub retry_first: Duration,
    /// Repetitions in percent of the calls, beyond a reserve.
    pub retry_budget_percent: u8,
    /// Calls that may be under way at the same time.
    pub bulkhead_max: usize,
    /// When calls are not even begun.
    pub breaker: GatewayBreaker,
}

/// When the gateway counts as down; for charges, questions and refunds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayBreaker {
    /// Calls over which the rates are taken, the last ones.
    pub window_calls: u32,
    /// Fewer calls than this give no verdict.
    pub calls_min: u32,
    /// Percent of failed calls that opens it.
    pub failure_rate: u8,
    /// A call is slow that takes longer.
    pub slow_call: Duration,
    /// Percent of slow calls that opens it.
    pub slow_call_rate: u8,
    /// How long it stays open.
    pub open_wait: Duration,
    /// Calls that then pass, and on whose results it decides.
    pub half_open_calls: u32,
}

impl GatewayBreaker {
    /// 50 % of 5 to 10 calls failed, or 70 % slower than 1 s; then 10 s, then 2 calls decide.
    pub const DEFAULT: Self = Self {
        window_calls: 10,
        calls_min: 5,
        failure_rate: 50,
        slow_call: Duration::from_secs(1),
        slow_call_rate: 70,
        open_wait: Duration::from_secs(10),
        half_open_calls: 2,
    };
}

impl GatewayOptions {
    /// Options with the protocol's limits: connect 1 s, whole call 2 s, 3 attempts after 1 s and 2 s, 64 at once.
    pub const fn new(base: Url, merchant: String, callback_url: String, abilities: GatewayAbilities) -> Self {
        Self {
            base,
            merchant,
            callback_url,
            abilities,
            connect_timeout: Duration::from_secs(1),
            call_timeout: Duration::from_secs(2),
            attempts_max: 3,
            retry_first: Duration::from_secs(1),
            retry_budget_percent: 10,
            bulkhead_max: 64,
            breaker: GatewayBreaker::DEFAULT,
        }
    }

    /// Whether card numbers leave this machine without TLS.
    pub fn sends_in_the_clear(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.base.scheme() == "http" && !here
    }

    /// The longest that one use of the port may take, repetitions and their waits included: a claim on a payment must
    /// outlast it.
    pub fn longest(&self) -> Duration {
        // A charge that is refused is followed by the question whether anything is recorded.
        retry_options(self).longest(self.call_timeout).saturating_mul(2)
    }
}

/// The text is no address of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an http or https URL with a host and without credentials, query or fragment")]
pub struct BadGatewayUrl;

/// The gateway client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GatewaySetupError {
    /// The merchant does not fit into a header.
    #[error("the merchant id of the gateway must be 1 to 64 visible ASCII characters")]
    Merchant,
    /// The HTTP client cannot be made.
    #[error("the HTTP client of the gateway cannot be made")]
    Client(#[source] BoxError),
    /// An option of what surrounds a call means nothing.
    #[error(transparent)]
    Resilience(#[from] RegistryError),
}

/// Reads an address that calls may go to: of the gateway itself, or of our callbacks.
pub fn gateway_url(text: &str) -> Result<Url, BadGatewayUrl> {
    let url = Url::parse(text).map_err(|_| BadGatewayUrl)?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let good = matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain;
    if good { Ok(url) } else { Err(BadGatewayUrl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_http_address_is_a_gateways() {
        for good in ["http://127.0.0.1:8082", "https://pg.example.com/merchant/", "http://[::1]:1"] {
            assert!(gateway_url(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "127.0.0.1:8082",
            "ftp://pg",
            "http://",
            "file:///etc/passwd",
            "http://me:pw@pg",
            "http://pg?x=1",
            "http://pg#x",
            "pg",
        ];
        for bad in bad {
            assert_eq!(gateway_url(bad), Err(BadGatewayUrl), "{bad}");
        }
    }

    #[test]
    fn only_http_to_another_machine_is_in_the_clear() {
        let in_the_clear = |url: &str| {
            let (url, none) = (gateway_url(url).unwrap(), String::new());
            GatewayOptions::new(url, none.clone(), none, GatewayAbilities::ALL).sends_in_the_clear()
        };
        for here in
            ["http://127.0.0.1:8082", "http://localhost", "http://[::1]:8082", "https://pg.example.com"]
        {
            assert!(!in_the_clear(here), "{here}");
        }
        for there in ["http://pg.example.com", "http://10.0.0.7:8082", "http://[2001:db8::1]"] {
            assert!(in_the_clear(there), "{there}");
        }
    }

    #[test]
    fn the_longest_use_counts_every_attempt_and_wait() {
        let url = gateway_url("http://pg").unwrap();
        let mut options = GatewayOptions::new(url, "1".to_owned(), String::new(), GatewayAbilities::ALL);
        assert_eq!(options.longest(), 2 * Duration::from_secs(3 * 2 + 1 + 2));
        options.attempts_max = 1;
        assert_eq!(options.longest(), Duration::from_secs(4));
    }
}
