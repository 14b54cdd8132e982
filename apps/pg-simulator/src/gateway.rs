use std::sync::Arc;

use commerce_runtime::{BusinessZone, Clock};
use commerce_webhook::Secret;
use tokio::sync::watch;

use crate::alarm::Alarm;
use crate::options::{CallbackRetry, Capabilities, Options};
use crate::script::Script;
use crate::storage::Storage;

/// What every part of the running simulator shares.
pub(crate) struct Gateway {
    pub storage: Storage,
    pub script: Script,
    pub merchant: String,
    pub capabilities: Capabilities,
    pub webhook_secrets: Vec<Secret>,
    pub callback_retry: CallbackRetry,
    pub callback_hosts: Vec<String>,
    pub zone: BusinessZone,
    pub clock: Arc<dyn Clock>,
    /// A transaction is to be decided.
    pub undecided: Alarm,
    /// A callback is to be sent.
    pub outgoing: Alarm,
    /// Counts the batches of callbacks that were tried.
    pub attempted: watch::Sender<u64>,
}

impl Gateway {
    pub(crate) fn new(options: Options, storage: Storage) -> Self {
        Self {
            storage,
            script: Script::new(options.faults, options.seed),
            merchant: options.merchant,
            capabilities: options.capabilities,
            webhook_secrets: options.webhook_secrets,
            callback_retry: options.callback_retry,
            callback_hosts: options.callback_hosts,
            zone: options.zone,
            clock: options.clock,
            undecided: Alarm::new(),
            outgoing: Alarm::new(),
            attempted: watch::Sender::new(0),
        }
    }

    /// In microseconds since the epoch.
    pub(crate) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }
}

/// That moment `ms` milliseconds later.
pub(crate) fn later(at_us: i64, ms: u64) -> i64 {
    at_us.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000))
}
