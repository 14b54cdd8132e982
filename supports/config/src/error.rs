use std::path::PathBuf;

use crate::secrets::SecretsError;
use crate::sources::variable_of;

/// Why a configuration cannot be used. Its text says what, where and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not valid TOML: {detail}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        detail: String,
    },
    /// There is no such key.
    #[error("unknown setting `{key}` ({origin}); {expected}")]
    Unknown {
        /// The key as written.
        key: String,
        /// Where it came from.
        origin: String,
        /// The keys that there are.
        expected: String,
    },
    /// A value is not allowed.
    #[error("`{key}` is {value} ({origin}); allowed: {allowed}")]
    Value {
        /// Which key.
        key: &'static str,
        /// The value, hidden where it is a secret.
        value: String,
        /// Where it came from.
        origin: String,
        /// What may stand there.
        allowed: String,
    },
    /// An installation that needs a secret of its own has none.
    #[error(
        "`{key}` is not set, and {because}; {how}, and set it in the configuration file or as {}",
        variable_of(key)
    )]
    SecretNeeded {
        /// Which key.
        key: &'static str,
        /// Why it needs one.
        because: String,
        /// How to come by one.
        how: &'static str,
    },
    /// The secrets in the data directory cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Values that are each allowed cannot be used together, as whoever uses them says.
    #[error("`{section}` cannot be used as it is set")]
    Unusable {
        /// The section.
        section: &'static str,
        /// What its user says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The values do not make up a configuration though each was checked: our own bug.
    #[error("the configuration cannot be put together: {0}")]
    Shape(Box<figment::Error>),
}
