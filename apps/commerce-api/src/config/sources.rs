//! Where values come from.

use std::path::{Path, PathBuf};

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;
use super::settings::{self, Rule};

/// What the configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file; none is looked for by itself.
    pub file: Option<PathBuf>,
    /// Environment variables that begin with [`Sources::PREFIX`].
    pub environment: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Flags,
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

/// Flags that set a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--api-port`.
    pub api_port: Option<u16>,
}

const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag";
const FILE: &str = "file ";

/// Where a value of `key` came from, in words.
pub(super) fn describe(metadata: Option<&Metadata>, key: &str) -> String {
    match metadata.map(|metadata| metadata.name.as_ref()) {
        Some(ENVIRONMENT) => format!("environment variable {}", variable_of(key)),
        Some(FLAG) => format!("flag --{}", key.replace(['.', '_'], "-")),
        Some(file) if file.starts_with(FILE) => file.to_owned(),
        _ => "default".to_owned(),
    }
}

fn variable_of(key: &str) -> String {
    format!("{}{}", Sources::PREFIX, key.to_ascii_uppercase().replace('.', "__"))
}

/// A TOML file that was read whole.
pub(super) struct TomlFile {
    path: PathBuf,
    values: Map<Profile, Dict>,
}

impl TomlFile {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
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
pub(super) struct Environment(Vec<(String, Value)>);

impl Environment {
    pub(super) fn new(variables: &[(String, String)]) -> Self {
        let values = variables.iter().filter_map(|(name, text)| {
            let key = name.strip_prefix(Sources::PREFIX)?.to_ascii_lowercase().replace("__", ".");
            (!is_foreign(&key)).then(|| {
                let value = typed(&key, text);
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

/// The text as the type that the key wants; where it is not of that type it stays a text and is refused later.
fn typed(key: &str, text: &str) -> Value {
    let as_text = || Value::from(text);
    match settings::find(key).map(|setting| &setting.rule) {
        Some(Rule::Whole(..)) => text.parse::<i64>().map_or_else(|_| as_text(), Value::from),
        Some(Rule::Switch) => text.parse::<bool>().map_or_else(|_| as_text(), Value::from),
        _ => as_text(),
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(nested(&self.0))
    }
}

/// Values from the command line.
pub(super) struct FlagValues(Vec<(String, Value)>);

impl FlagValues {
    pub(super) fn new(flags: &Flags) -> Self {
        let mut values = Vec::new();
        if let Some(path) = &flags.data_dir {
            values.push(("data_dir".to_owned(), Value::from(path.to_string_lossy().into_owned())));
        }
        if let Some(port) = flags.api_port {
            values.push(("api.port".to_owned(), Value::from(port)));
        }
        Self(values)
    }
}

impl Provider for FlagValues {
    fn metadata(&self) -> Metadata {
        Metadata::named(FLAG)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(nested(&self.0))
    }
}

fn nested(values: &[(String, Value)]) -> Map<Profile, Dict> {
    let mut root = Dict::new();
    for (key, value) in values {
        insert(&mut root, key, value.clone());
    }
    Profile::Default.collect(root)
}

fn insert(table: &mut Dict, key: &str, value: Value) {
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
