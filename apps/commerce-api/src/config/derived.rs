//! What the parts of the platform are given, made of the checked values.

use std::time::Duration;

use commerce_api_application::AccountOptions;
use commerce_api_application::desk::DeskOptions;
use commerce_api_domain::{Money, Rules};
use commerce_api_infrastructure::runtime::{Argon2Cost, BusinessZone};
use commerce_database::SqliteOptions;

use super::Config;

impl Config {
    /// Whether this is a demonstration: on this machine only, with the servers that it uses, and without a configuration
    /// file. Only then are there public accounts, and only an embedded one makes its secrets itself.
    pub fn is_demo(&self) -> bool {
        self.why_no_demo().is_none()
    }

    pub(super) fn why_no_demo(&self) -> Option<String> {
        if self.from_file {
            Some("a configuration file is in use".to_owned())
        } else if !self.api.bind.is_loopback() {
            Some(format!("`api.bind` is {}, which other machines may reach", self.api.bind))
        } else {
            self.server_elsewhere()
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
            captures_once: self.gateway.idempotency,
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
