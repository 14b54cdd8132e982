//! What the parts that deal with the gateway are given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use commerce_api_application::payments::DispatchOptions;
use commerce_api_application::ports::{GatewayAbilities, RelayOptions};
use commerce_api_application::reconciliation::NightlyOptions;
use commerce_api_infrastructure::gateway::{GatewayBreaker, GatewayOptions, gateway_url};
use commerce_config::ConfigError;

use super::Config;

/// Where callbacks come in.
pub const CALLBACK_PATH: &str = "/api/v1/payments/callback";

impl Config {
    /// What the gateway can do.
    pub const fn gateway_abilities(&self) -> GatewayAbilities {
        let gateway = &self.gateway;
        GatewayAbilities {
            idempotency: gateway.idempotency,
            refund: gateway.refund,
            void: gateway.void,
            signature: gateway.signature,
            settlement: gateway.settlement,
        }
    }

    /// Where the gateway posts outcomes to: what is configured, or our own address, of which `api` tells the port.
    pub fn callback_url(&self, api: SocketAddr) -> String {
        self.gateway.callback_url.clone().unwrap_or_else(|| {
            let host = match api.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                ip => ip,
            };
            format!("http://{}{CALLBACK_PATH}", SocketAddr::new(host, api.port()))
        })
    }

    /// Options of the gateway's client, where the API listens on `api`.
    pub fn gateway_options(&self, api: SocketAddr) -> Result<GatewayOptions, ConfigError> {
        let gateway = &self.gateway;
        let base = gateway_url(&gateway.url)
            .map_err(|error| ConfigError::Unusable { section: "gateway", source: error.into() })?;
        let (merchant, callback_url) = (gateway.merchant.clone(), self.callback_url(api));
        let mut options = GatewayOptions::new(base, merchant, callback_url, self.gateway_abilities());
        options.connect_timeout = Duration::from_millis(gateway.connect_timeout_ms);
        options.call_timeout = Duration::from_millis(gateway.call_timeout_ms);
        options.attempts_max = gateway.attempts_max;
        options.retry_first = Duration::from_millis(gateway.retry_first_ms);
        options.retry_budget_percent = gateway.retry_budget_percent;
        options.bulkhead_max = gateway.bulkhead_max;
        options.breaker = GatewayBreaker {
            window_calls: gateway.breaker_window_calls,
            calls_min: gateway.breaker_calls_min,
            failure_rate: gateway.breaker_failure_rate,
            slow_call: Duration::from_millis(gateway.breaker_slow_call_ms),
            slow_call_rate: gateway.breaker_slow_call_rate,
            open_wait: Duration::from_millis(gateway.breaker_open_ms),
            half_open_calls: gateway.breaker_half_open_calls,
        };
        Ok(options)
    }

    /// Options of the payment dispatcher, where one use of the gateway takes `longest_call` at most.
    pub fn dispatch_options(&self, longest_call: Duration) -> DispatchOptions {
        let payments = &self.payments;
        let defaults = DispatchOptions::default();
        DispatchOptions {
            concurrency: payments.concurrency,
            // A visit asks for the list, for what is in it, and acts on it.
            lease: defaults.lease.max(longest_call.saturating_mul(4)),
            backoff_first: Duration::from_millis(payments.backoff_first_ms),
            backoff_max: Duration::from_millis(payments.backoff_max_ms),
            not_found_grace: Duration::from_secs(payments.not_found_grace_s),
            ..defaults
        }
    }

    /// How long after it was made an open payment counts as stuck.
    pub const fn stuck_after(&self) -> Duration {
        Duration::from_secs(self.payments.stuck_after_s)
    }

    /// When the work of the night is done.
    pub fn nightly_options(&self) -> NightlyOptions {
        // The times of day were checked; were they not, the defaults are the documented ones.
        let defaults = NightlyOptions::default();
        NightlyOptions {
            reconcile_at: time_of_day(&self.nightly.reconcile_at).unwrap_or(defaults.reconcile_at),
            catch_up_days: self.nightly.catch_up_days,
            audit_at: time_of_day(&self.nightly.audit_at).unwrap_or(defaults.audit_at),
            ..defaults
        }
    }

    /// Options of the relay.
    pub const fn relay_options(&self) -> RelayOptions {
        RelayOptions {
            batch_max: self.relay.batch_max,
            lease: Duration::from_secs(self.relay.lease_s),
            every: Duration::from_millis(self.relay.every_ms),
            ..RelayOptions::DEFAULT
        }
    }
}

/// `HH:MM` of a day, from its beginning.
pub(super) fn time_of_day(text: &str) -> Option<Duration> {
    let digits = |text: &str| Some(text).filter(|text| text.len() == 2)?.parse::<u64>().ok();
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then(|| Duration::from_mins(hours * 60 + minutes))
}
