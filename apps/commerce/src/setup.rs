//! What commands do before their work: configuration, logs, the database.

use std::fs::File;
use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use commerce_api::app::{EventLog, Platform};
use commerce_api::config::{Config, Profile};
use commerce_collector::Collector;
use commerce_process::Stop;
use commerce_runtime::{SystemClock, fill_random};

use crate::apps::{COLLECTOR_FILE, GATEWAY_FILE, collector_options};
use crate::cli::Global;
use crate::data_dir;
use crate::failure::Failure;
use crate::mode;
use crate::settings::{self, Loaded, Settings};

/// What every `SQLite` file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Reads the configuration.
pub fn configuration(global: &Global) -> Result<Loaded, Failure> {
    Ok(settings::load(&global.sources())?)
}

/// The signals that stop a command, from now on.
pub fn signals() -> Result<Stop, Failure> {
    Stop::listen().map_err(Failure::io("signals cannot be waited for"))
}

/// Configuration and logs of an operator's command: where nobody asked for more, only warnings are logged.
pub fn for_operator(global: &Global) -> Result<Settings, Failure> {
    let Loaded { settings, origins } = configuration(global)?;
    let asked = origins.iter().any(|origin| origin.key == "log.filter" && origin.source != "default");
    let filter = if asked { settings.api.log.filter.as_str() } else { "warn" };
    commerce_telemetry::logging::init(settings.api.log.format, filter)?;
    Ok(settings)
}

/// Opens the database, making it where there is none. For commands that answer no requests.
pub async fn open(config: &Config) -> Result<Platform, Failure> {
    if config.profile == Profile::Servers {
        return Ok(Platform::open_without_secrets(config).await?);
    }
    data_dir::prepare(&config.data_dir)?;
    refuse_foreign(&database_file(config))?;
    mode::claim_new(config)?;
    Ok(Platform::open_without_secrets(config).await?)
}

/// Opens the database that must be there: an empty one would pass for a clean one.
pub async fn open_existing(config: &Config) -> Result<Platform, Failure> {
    if config.profile == Profile::Servers {
        return Ok(Platform::open_without_secrets(config).await?);
    }
    data_dir::refuse_file(&config.data_dir)?;
    let path = database_file(config);
    // An empty file is what a start that was cut off leaves.
    if !path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0) {
        return Err(Failure::NoDatabase { path });
    }
    refuse_foreign(&path)?;
    Ok(Platform::open_without_secrets(config).await?)
}

/// Opens the collector's database that must be there, beside a running shop.
pub async fn open_collector(settings: &Settings) -> Result<Collector, Failure> {
    let options = collector_options(settings)?;
    if options.server.is_some() {
        return Ok(Collector::open(options, &SystemClock).await?);
    }
    data_dir::refuse_file(&settings.api.data_dir)?;
    if !options.file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0) {
        return Err(Failure::NoDatabase { path: options.file });
    }
    refuse_foreign(&options.file)?;
    Ok(Collector::open(options, &SystemClock).await?)
}

/// The secrets of the gateway's signatures: those that are configured, or that the demonstration made.
pub fn webhook_secrets(config: &Config) -> Result<Vec<commerce_webhook::Secret>, Failure> {
    let fresh = || {
        let mut key = [0; 32];
        fill_random(&mut key);
        key
    };
    Ok(config.keys(fresh)?.webhook)
}

/// Where the database is, or would be.
pub fn database_file(config: &Config) -> PathBuf {
    config.data_dir.join(Platform::DATABASE_FILE)
}

/// Where every database is, or would be: of the shop, of the event log, of the collector, of the simulated gateway.
pub fn database_files(config: &Config) -> [PathBuf; 4] {
    [Platform::DATABASE_FILE, EventLog::FILE, COLLECTOR_FILE, GATEWAY_FILE]
        .map(|name| config.data_dir.join(name))
}

/// Refuses a file that is no database. One that is absent or empty will become one.
pub fn refuse_foreign(path: &Path) -> Result<(), Failure> {
    let mut head = Vec::new();
    let read = match File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut head),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    read.map_err(Failure::io(format!("{} cannot be read", path.display())))?;
    if head.is_empty() || head == MAGIC {
        Ok(())
    } else {
        Err(Failure::NotADatabase { path: path.to_owned() })
    }
}

/// The first line of standard input.
pub fn password_from_stdin() -> Result<String, Failure> {
    let mut line = Vec::new();
    std::io::stdin()
        .lock()
        .read_until(b'\n', &mut line)
        .map_err(Failure::io("the password cannot be read from standard input"))?;
    let line = String::from_utf8(line)
        .map_err(|_| Failure::Usage("the password on standard input is not valid UTF-8".into()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Usage(
            "standard input holds no password; its first line is the password".into(),
        ));
    }
    Ok(password.to_owned())
}
