//! Configuration: built-in defaults, then a TOML file, then the environment, then flags; the later wins.
//!
//! Each app has a [`Section`]: the struct that its values fill, and a table of its keys with what each may be, so that
//! a wrong value is refused with its key, its source and what is allowed. [`Tables`] puts the sections of one process
//! together, so that one file configures all of its apps and an unknown key is still refused.

mod error;
mod rule;
mod secret;
pub mod secrets;
mod server_url;
mod sources;
#[cfg(test)]
mod tests;
mod values;

pub use error::ConfigError;
pub use rule::{Rule, Setting, checks, setting};
pub use secret::Secret;
pub use server_url::ServerUrl;
pub use sources::{Flag, Sources};
pub use values::{Origin, Section, Tables, Values};
