use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use commerce_runtime::{BusinessZone, Clock, SystemClock, fill_random};
use commerce_webhook::Secret;
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::preset::Preset;

/// What the simulator offers beyond the plain protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent abilities, as the protocol lists them"
)]
pub struct Capabilities {
    /// Honours `Idempotency-Key`; else the header is ignored.
    pub idempotency: bool,
    /// Refunds captures; else 404.
    pub refund: bool,
    /// Closes references; else 404.
    pub void: bool,
    /// Signs callbacks; else they carry no header of a webhook.
    pub signature: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self { idempotency: true, refund: true, void: true, signature: true };
    /// The plain protocol.
    pub const NONE: Self = Self { idempotency: false, refund: false, void: false, signature: false };
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}

/// How a callback that is not answered with 2xx is tried again. The wait doubles each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackRetry {
    /// First wait, in milliseconds.
    pub first_ms: u64,
    /// Longest wait, in milliseconds.
    pub max_ms: u64,
    /// Attempts in all.
    pub attempts_max: u32,
}

impl CallbackRetry {
    /// How long to wait after so many failed attempts; none where it was the last.
    pub(crate) fn wait(self, failed: u32) -> Option<Duration> {
        if failed >= self.attempts_max {
            return None;
        }
        let doubled = self.first_ms.saturating_mul(1 << failed.saturating_sub(1).min(31));
        Some(Duration::from_millis(doubled.min(self.max_ms)))
    }
}

/// How a simulator runs.
#[derive(Clone)]
pub struct Options {
    /// Address to listen on; 127.0.0.1.
    pub bind: IpAddr,
    /// Port to listen on, 0 for a free one; 8082.
    pub port: u16,
    /// The database; made where it does not exist, its directory is not.
    pub data_file: PathBuf,
    /// The merchant who may call.
    pub merchant: String,
    /// Signs callbacks with each of these; the first is the newest. Needed where signatures are offered.
    pub webhook_secrets: Vec<Secret>,
    /// What is offered beyond the plain protocol.
    pub capabilities: Capabilities,
    /// How long things take and what goes wrong, until it is changed over HTTP.
    pub faults: Faults,
    /// How callbacks are tried again.
    pub callback_retry: CallbackRetry,
    /// Hosts that callbacks may go to besides this machine.
    pub callback_hosts: Vec<String>,
    /// Every random decision follows from it.
    pub seed: u64,
    /// Zone of the days in keys and settlements.
    pub zone: BusinessZone,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Token that admits other machines to `/admin` and the actuator; without it only this machine is admitted.
    pub admin_token: Option<String>,
}

impl Options {
    /// The port of a simulator that was told none.
    pub const PORT: u16 = 8082;
    /// The merchant of a simulator that was told none.
    pub const MERCHANT: &'static str = "135135";

    /// A simulator of that preset with its database in `data_file`: everything offered, no secret yet, a seed of its own.
    pub fn new(data_file: impl Into<PathBuf>, preset: Preset) -> Self {
        let mut seed = [0; 8];
        fill_random(&mut seed);
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: Self::PORT,
            data_file: data_file.into(),
            merchant: Self::MERCHANT.to_owned(),
            webhook_secrets: Vec::new(),
            capabilities: Capabilities::ALL,
            faults: preset.faults(),
            callback_retry: preset.callback_retry(),
            callback_hosts: Vec::new(),
            seed: u64::from_le_bytes(seed),
            zone: BusinessZone::default(),
            clock: Arc::new(SystemClock),
            admin_token: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let retry = CallbackRetry { first_ms: 500, max_ms: 3_000, attempts_max: 5 };
        let waits: Vec<_> = (1..=5).map(|failed| retry.wait(failed).map(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Some(500), Some(1_000), Some(2_000), Some(3_000), None]);
        assert_eq!(Preset::Reference.callback_retry().wait(1), None);
        let endless = CallbackRetry { first_ms: u64::MAX, max_ms: 9, attempts_max: u32::MAX };
        assert_eq!(endless.wait(u32::MAX - 1), Some(Duration::from_millis(9)));
    }
}
