//! Configuration: built-in defaults, then a TOML file, then the environment, then flags; the later wins.
//!
//! Every key stands in one table ([`settings`]) with what it may be, so that a wrong value is refused with its key,
//! its source and what is allowed. `config/commerce.toml` is the documented default.

mod derived;
mod error;
mod model;
mod secret;
pub mod secrets;
mod settings;
mod sources;
#[cfg(test)]
mod tests;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::Value;

pub use error::ConfigError;
pub use model::{
    Actuator, Api, Config, DatabaseSection, Desk, Docs, Idempotency, Log, Orders, Password, Points, Profile,
    Secrets, Sessions, Shop,
};
pub use secret::Secret;
pub use sources::{Flags, Sources};

use settings::Setting;

/// The value of one key and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The key: `api.port`.
    pub key: &'static str,
    /// The value as TOML; secrets are hidden. None where an optional key is not set.
    pub value: Option<String>,
    /// `default`, `file commerce.toml`, `environment variable COMMERCE_API__PORT` or `flag --api-port`.
    pub source: String,
}

/// A configuration that was read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The same, key by key in the order of the documented file, with their sources.
    pub origins: Vec<Origin>,
}

/// Reads and checks the configuration.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = &sources.file {
        figment = figment.merge(sources::TomlFile::read(file)?);
    }
    figment = figment
        .merge(sources::Environment::new(&sources.environment))
        .merge(sources::FlagValues::new(&sources.flags));
    settings::check_each(&figment)?;
    let mut config: Config = figment.extract().map_err(|error| ConfigError::Shape(Box::new(error)))?;
    config.from_file = sources.file.is_some();
    settings::check_together(&config, &figment)?;
    let origins = settings::ALL.iter().map(|setting| origin(&figment, setting)).collect();
    Ok(Loaded { config, origins })
}

fn origin(figment: &Figment, setting: &Setting) -> Origin {
    let value = figment.find_value(setting.key).ok().filter(|value| !matches!(value, Value::Empty(..)));
    let source = match &value {
        Some(value) => sources::describe(figment.get_metadata(value.tag()), setting.key),
        None => "not set".to_owned(),
    };
    Origin { key: setting.key, value: value.map(|value| settings::shown(setting, &value)), source }
}
