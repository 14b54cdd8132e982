//! Where values come from.

use std::path::{Path, PathBuf};

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};

use crate::{ConfigError, Setting};

/// What the configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file; none is looked for by itself.
    pub file: Option<PathBuf>,
    /// Environment variables that begin with [`Sources::PREFIX`].
    pub environment: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// What the environment variables begin with.
    pub const PREFIX: &'static str = "COMMERCE_";

    /// The variables of this process that concern us.
    pub fn process_environment() -> Vec<(String, String)> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(Self::PREFIX).then(|| (name, value.to_string_lossy().into_owned()))
        });
        variables.collect()
    }
}

/// A flag that sets a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    name: &'static str,
    key: &'static str,
    value: Value,
}

impl Flag {
    /// The flag `name` (`--api-port`) sets `key` to a whole number.
    pub fn whole(name: &'static str, key: &'static str, value: impl Into<i64>) -> Self {
        Self { name, key, value: Value::from(value.into()) }
    }

    /// The flag `name` (`--data-dir`) sets `key` to a path.
    pub fn path(name: &'static str, key: &'static str, value: &Path) -> Self {
        Self { name, key, value: Value::from(value.to_string_lossy().into_owned()) }
    }
}

const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag ";
const FILE: &str = "file ";

/// Where a value of `key` came from, in words.
pub(crate) fn describe(metadata: Option<&Metadata>, key: &str) -> String {
    match metadata.map(|metadata| metadata.name.as_ref()) {
        Some(ENVIRONMENT) => format!("environment variable {}", variable_of(key)),
        Some(named) if named.starts_with(FLAG) || named.starts_with(FILE) => named.to_owned(),
        _ => "default".to_owned(),
    }
}

pub(crate) fn variable_of(key: &str) -> String {
    format!("{}{}", Sources::PREFIX, key.to_ascii_uppercase().replace('.', "__"))
}

/// A TOML file that was read whole.
pub(crate) struct TomlFile {
    path: PathBuf,
    values: Map<Profile, Dict>,
}

impl TomlFile {
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        };
        match Toml::string(&text).data() {
            Ok(values) => Ok(Self { path, values }),
            Err(error) => Err(ConfigError::Syntax { path, detail: error.to_string().trim().to_owned() }),
        }
    }
}

impl Provider for TomlFile {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{FILE}{}", self.path.display()))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(self.values.clone())
    }
}

/// Values from the environment: `COMMERCE_API__PORT` sets `api.port`.
pub(crate) struct Environment(Vec<(String, Value)>);

impl Environment {
    pub(crate) fn new(variables: &[(String, String)], settings: &[Setting]) -> Self {
        let values = variables.iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(Sources::PREFIX)?.to_ascii_lowercase().replace("__", ".");
            let setting = settings.iter().find(|setting| setting.key == key);
            (!is_foreign(&key)).then(|| {
                let value =
                    setting.map_or_else(|| Value::from(text.as_str()), |setting| setting.rule.typed(text));
                (key, value)
            })
        });
        Self(values.collect())
    }
}

/// `COMMERCE_CONFIG` names the file; the others belong to the project's tools.
fn is_foreign(key: &str) -> bool {
    matches!(key, "config" | "tools") || key.starts_with("test_")
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let mut root = Dict::new();
        for (key, value) in &self.0 {
            insert(&mut root, key, value.clone());
        }
        Ok(Profile::Default.collect(root))
    }
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{FLAG}{}", self.name))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let mut root = Dict::new();
        insert(&mut root, self.key, self.value.clone());
        Ok(Profile::Default.collect(root))
    }
}

/// Puts `value` under the dotted `key`, making the tables on the way.
pub(crate) fn insert(table: &mut Dict, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let entry = table.entry(section.to_owned()).or_insert_with(|| Value::Dict(Tag::Default, Dict::new()));
    // Otherwise `COMMERCE_API` stands beside `COMMERCE_API__PORT`: the section is what is wrong, and stays to be refused.
    if let Value::Dict(_, inner) = entry {
        insert(inner, rest, value);
    }
}
