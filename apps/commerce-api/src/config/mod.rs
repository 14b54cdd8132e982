//! Configuration of the transaction side, on the machinery of `commerce_config`.
//!
//! Every key stands in one table (`settings`) with what it may be. `config/commerce.toml` is the documented default.

mod derived;
mod derived_servers;
mod keys;
mod limits;
mod model;
mod payments;
mod servers;
mod settings;
#[cfg(test)]
mod tests;

pub use commerce_config::{
    ConfigError, Flag, Origin, Secret, Section, ServerUrl, Sources, Tables, Values, secrets,
};
pub use keys::Keys;
pub use limits::{Cors, Limits};
pub use model::{
    Actuator, Api, Config, DatabaseSection, Desk, Docs, Gateway, Idempotency, Log, Nightly, Orders, Password,
    Payments, Points, Profile, Relay, Secrets, Sessions, Shop,
};
pub use servers::{Kafka, KafkaSecurity, Mysql, MysqlTls, Redis, SaslMechanism};

/// A configuration that was read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The same, key by key in the order of the documented file, with their sources.
    pub origins: Vec<Origin>,
}

/// Reads and checks the configuration of this app alone.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let values = Tables::default().with::<Config>().read(sources)?;
    Ok(Loaded { config: values.section()?, origins: values.origins() })
}
