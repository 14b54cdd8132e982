//! What commands do before their work: configuration, logs, the database.

use std::io::BufRead as _;

use commerce_api::app::Platform;
use commerce_api::config::{self, Config, Loaded};

use crate::cli::Global;
use crate::data_dir;
use crate::failure::Failure;

/// Reads the configuration.
pub fn configuration(global: &Global) -> Result<Loaded, Failure> {
    Ok(config::load(&global.sources())?)
}

/// Configuration and logs of an operator's command: where nobody asked for more, only warnings are logged.
pub fn for_operator(global: &Global) -> Result<Config, Failure> {
    let Loaded { config, origins } = configuration(global)?;
    let asked = origins.iter().any(|origin| origin.key == "log.filter" && origin.source != "default");
    let filter = if asked { config.log.filter.as_str() } else { "warn" };
    commerce_telemetry::logging::init(config.log.format, filter)?;
    Ok(config)
}

/// Opens the database, making it where there is none.
pub async fn open(config: &Config) -> Result<Platform, Failure> {
    data_dir::prepare(&config.data_dir)?;
    Ok(Platform::open(config).await?)
}

/// Opens the database that must be there: an empty one would pass for a clean one.
pub async fn open_existing(config: &Config) -> Result<Platform, Failure> {
    let path = config.data_dir.join(Platform::DATABASE_FILE);
    if !path.is_file() {
        return Err(Failure::NoDatabase { path });
    }
    Ok(Platform::open(config).await?)
}

/// The first line of standard input.
pub fn password_from_stdin() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(Failure::io("the password cannot be read from standard input"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Usage(
            "standard input holds no password; its first line is the password".into(),
        ));
    }
    Ok(password.to_owned())
}
