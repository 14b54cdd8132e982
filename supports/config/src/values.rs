//! The tables of a process and the values that were read for them.

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sources::{self, Environment, TomlFile, insert};
use crate::{ConfigError, Setting, Sources};

/// What one app, or one concern, has to be told: the struct and the keys that fill it. [`Default`] holds the documented
/// defaults. No key belongs to two sections of one process.
pub trait Section: Default + Serialize + DeserializeOwned {
    /// Every key, in the order of the documented file.
    const SETTINGS: &'static [Setting];

    /// Checks the values against each other, and takes from `values` what no key holds.
    fn complete(&mut self, values: &Values) -> Result<(), ConfigError> {
        let _ = values;
        Ok(())
    }
}

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

/// The sections that one process reads.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    settings: Vec<Setting>,
    defaults: Figment,
    others: Vec<&'static str>,
}

impl Tables {
    /// These and the section `S`.
    #[must_use]
    pub fn with<S: Section>(mut self) -> Self {
        self.settings.extend_from_slice(S::SETTINGS);
        self.defaults = self.defaults.merge(Serialized::defaults(S::default()));
        self
    }

    /// Lets `sections` stand there unread: they are another process's, which checks them.
    #[must_use]
    pub fn beside(mut self, sections: &[&'static str]) -> Self {
        self.others.extend_from_slice(sections);
        self
    }

    /// Every key, section after section.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.settings.iter().map(|setting| setting.key)
    }

    /// Reads the values, and refuses unknown keys and values that are not allowed by themselves.
    pub fn read(self, sources: &Sources) -> Result<Values, ConfigError> {
        let Self { settings, defaults: mut figment, others } = self;
        if let Some(file) = &sources.file {
            figment = figment.merge(TomlFile::read(file)?);
        }
        figment = figment.merge(Environment::new(&sources.environment, &settings));
        for flag in &sources.flags {
            figment = figment.merge(flag.clone());
        }
        let values = Values { settings, figment, from_file: sources.file.is_some() };
        let mut table: Dict = values.figment.extract().map_err(shape)?;
        table.retain(|name, _| !others.contains(&name.as_str()));
        values.check_table("", &table)?;
        Ok(values)
    }
}

/// Values of which each is allowed by itself.
#[derive(Debug, Clone)]
pub struct Values {
    settings: Vec<Setting>,
    figment: Figment,
    from_file: bool,
}

impl Values {
    /// The section `S`, checked.
    pub fn section<S: Section>(&self) -> Result<S, ConfigError> {
        let mut own = Dict::new();
        for setting in S::SETTINGS {
            // There, even if none of its keys is set.
            if let Some(section) = setting.section() {
                own.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            }
            if let Some(value) = self.value(setting) {
                insert(&mut own, setting.key, value);
            }
        }
        let mut section: S = Value::from(own).deserialize().map_err(shape)?;
        section.complete(self)?;
        Ok(section)
    }

    /// Every key with its value and source, in the order of the tables.
    pub fn origins(&self) -> Vec<Origin> {
        let origins = self.settings.iter().map(|setting| {
            let value = self.value(setting);
            let source = value.as_ref().map_or_else(|| "not set".to_owned(), |v| self.source(v, setting.key));
            Origin { key: setting.key, value: value.map(|value| setting.shown(&value)), source }
        });
        origins.collect()
    }

    /// Whether a configuration file was given.
    pub const fn from_file(&self) -> bool {
        self.from_file
    }

    /// The refusal of the value of `key`, where `allowed` says what may stand there instead.
    pub fn refused(&self, key: &'static str, allowed: String) -> ConfigError {
        let found = self.find(key).and_then(|setting| Some((setting, self.value(setting)?)));
        let (value, origin) = found.map_or_else(
            || ("not set".to_owned(), "default".to_owned()),
            |(setting, value)| (setting.shown(&value), self.source(&value, key)),
        );
        ConfigError::Value { key, value, origin, allowed }
    }

    fn find(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    fn value(&self, setting: &Setting) -> Option<Value> {
        self.figment.find_value(setting.key).ok().filter(|value| !matches!(value, Value::Empty(..)))
    }

    fn source(&self, value: &Value, key: &str) -> String {
        sources::describe(self.figment.get_metadata(first_tag(value)), key)
    }

    fn check_table(&self, prefix: &str, table: &Dict) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let is_section = self.settings.iter().any(|setting| setting.section() == Some(&key));
            match (self.find(&key), value) {
                (None, Value::Dict(_, inner)) if is_section => self.check_table(&key, inner)?,
                (None, _) => return Err(self.unknown(key, value)),
                (Some(setting), _) => {
                    if let Some(allowed) = setting.rule.refuses(value) {
                        return Err(self.refused(setting.key, allowed));
                    }
                }
            }
        }
        Ok(())
    }

    fn unknown(&self, key: String, value: &Value) -> ConfigError {
        let first = key.split('.').next().unwrap_or_default();
        let siblings: Vec<_> =
            self.settings.iter().filter(|s| s.section() == Some(first)).map(|s| s.key).collect();
        let expected = if siblings.is_empty() {
            let mut sections: Vec<_> = self.settings.iter().map(|s| s.section().unwrap_or(s.key)).collect();
            sections.dedup();
            format!("there are {}", sections.join(", "))
        } else {
            format!("in that section there are {}", siblings.join(", "))
        };
        let origin = self.source(value, &key);
        ConfigError::Unknown { key, origin, expected }
    }
}

fn shape(error: figment::Error) -> ConfigError {
    ConfigError::Shape(Box::new(error))
}

/// Tables and lists have no source of their own where several were merged, but their values have.
fn first_tag(value: &Value) -> figment::value::Tag {
    match value {
        Value::Dict(tag, inner) => inner.values().next().map_or(*tag, first_tag),
        Value::Array(tag, inner) => inner.first().map_or(*tag, first_tag),
        other => other.tag(),
    }
}
