use std::net::IpAddr;
use std::time::Duration;

use commerce_api_application::ports::{BoxError, GatewayAbilities};
use reqwest::Url;

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
    /// About how long the first repetition waits; each later one waits twice as long.
    pub retry_first: Duration,
    /// Calls that may be under way at the same time.
    pub bulkhead_max: usize,
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
            bulkhead_max: 64,
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
        let waits = (1..self.attempts_max).map(|made| super::retry::longest_wait(self.retry_first, made));
        let call = self.call_timeout.saturating_mul(self.attempts_max.max(1)).saturating_add(waits.sum());
        // A charge that is refused is followed by the question whether anything is recorded.
        call.saturating_mul(2)
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
        assert_eq!(options.longest(), 2 * Duration::from_millis(3 * 2_000 + 1_250 + 2_500));
        options.attempts_max = 1;
        assert_eq!(options.longest(), Duration::from_secs(4));
    }
}
