//! What the parts of the platform are given, made of the checked values.

use std::time::Duration;

use commerce_api_application::AccountOptions;
use commerce_api_application::desk::DeskOptions;
use commerce_api_domain::{Money, Rules};
use commerce_api_infrastructure::runtime::{Argon2Cost, BusinessZone};
use commerce_database::SqliteOptions;

use super::{Config, ConfigError, secrets};

impl Config {
    /// Whether this is a demonstration: embedded, reachable from this machine only, and without a configuration file.
    /// Only then are there public accounts and secrets that were made by themselves.
    pub fn is_demo(&self) -> bool {
        self.why_no_demo().is_none()
    }

    fn why_no_demo(&self) -> Option<String> {
        if self.from_file {
            Some("a configuration file is in use".to_owned())
        } else if !self.api.bind.is_loopback() {
            Some(format!("`api.bind` is {}, which other machines may reach", self.api.bind))
        } else {
            None
        }
    }

    /// The key of the fingerprints: the configured one, or in a demonstration the one in the data directory, which
    /// is made of `fresh` where there is none yet.
    pub fn fingerprint_key(&self, fresh: impl FnMut() -> [u8; 32]) -> Result<[u8; 32], ConfigError> {
        if let Some(key) = self.own_fingerprint_key() {
            return Ok(key);
        }
        self.require_own_secrets()?;
        let [key] = secrets::load_or_create(&self.data_dir, ["fingerprint_key"], fresh)?;
        Ok(key)
    }

    /// The configured key of the fingerprints.
    pub fn own_fingerprint_key(&self) -> Option<[u8; 32]> {
        self.secrets.fingerprint_key.as_ref().and_then(|key| secrets::key_of_hex(key.expose()))
    }

    /// Refuses a shop that is no demonstration and has no secret of its own.
    pub fn require_own_secrets(&self) -> Result<(), ConfigError> {
        match self.why_no_demo() {
            Some(because) if self.secrets.fingerprint_key.is_none() => {
                Err(ConfigError::SecretNeeded { key: "secrets.fingerprint_key", because })
            }
            _ => Ok(()),
        }
    }

    /// Whether customers charge points themselves.
    pub fn customers_may_charge(&self) -> bool {
        self.points.customers_may_charge.unwrap_or_else(|| self.is_demo())
    }

    /// The rules of the order desk.
    pub fn rules(&self) -> Rules {
        // The values were checked to be money; were they not, nothing could be charged.
        let money = |won| Money::new(won).unwrap_or(Money::ZERO);
        Rules {
            earn_basis_points: self.points.earn_basis_points,
            charge_max: money(self.points.charge_max),
            charge_day_max: money(self.points.charge_day_max),
            unsent_deadline: Duration::from_secs(self.orders.unsent_deadline_s),
            sent_deadline: Duration::from_secs(self.orders.sent_deadline_s),
            ..Rules::default()
        }
    }

    /// The options of the order desk.
    pub fn desk_options(&self) -> DeskOptions {
        DeskOptions {
            queue_max: self.desk.queue_max,
            batch_max: self.desk.batch_max,
            attempts_max: self.desk.attempts_max,
            ..DeskOptions::default()
        }
    }

    /// How long answers under idempotency keys are kept.
    pub fn keep_answers(&self) -> Duration {
        Duration::from_secs(self.idempotency.keep_s)
    }

    /// Lifetimes of sessions.
    pub fn account_options(&self) -> AccountOptions {
        AccountOptions {
            session_idle: Duration::from_secs(self.sessions.idle_s),
            ..AccountOptions::default()
        }
    }

    /// Options of the database in `file` of the data directory.
    pub fn sqlite_options(&self, file: &str) -> SqliteOptions {
        let mut options = SqliteOptions::new(self.data_dir.join(file));
        options.readers = self.database.readers;
        options.durable = self.database.durable;
        options.busy_timeout = Duration::from_millis(self.database.busy_timeout_ms);
        options
    }

    /// The zone of the shop's business days.
    pub fn zone(&self) -> BusinessZone {
        // The name was checked; were it not, the default is the documented one.
        self.shop.zone.parse().unwrap_or_default()
    }

    /// The cost of password hashes.
    pub const fn password_cost(&self) -> Argon2Cost {
        Argon2Cost {
            memory_kib: self.password.memory_kib,
            passes: self.password.iterations,
            lanes: self.password.parallelism,
        }
    }
}
