//! What this process is told: the sections of all three apps, from one file.
//!
//! `config/commerce.toml` is the documented default of all of them.

mod collector;
mod simulator;
#[cfg(test)]
mod tests;

use commerce_api::config::Config;
use commerce_config::{ConfigError, Origin, Sources, Tables};

pub use collector::CollectorSettings;
pub use simulator::SimulatorSettings;

/// The sections of all apps, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The transaction side, and what all share: data directory, logs, zone, secrets.
    pub api: Config,
    /// The analytics side.
    pub collector: CollectorSettings,
    /// The stand-in for a payment gateway.
    pub simulator: SimulatorSettings,
}

/// A configuration that was read and checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub settings: Settings,
    /// The same, key by key in the order of the documented file, with their sources.
    pub origins: Vec<Origin>,
}

fn tables() -> Tables {
    Tables::default().with::<Config>().with::<CollectorSettings>().with::<SimulatorSettings>()
}

/// Reads and checks the configuration of all apps.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let values = tables().read(sources)?;
    let settings =
        Settings { api: values.section()?, collector: values.section()?, simulator: values.section()? };
    // Demonstrations have public accounts; other machines must not reach any part of one.
    if settings.api.is_demo() && !settings.collector.collector.bind.is_loopback() {
        let allowed =
            "an address of this machine only, because this is a demonstration; give a configuration file";
        return Err(values.refused("collector.bind", allowed.to_owned()));
    }
    Ok(Loaded { settings, origins: values.origins() })
}

impl Settings {
    /// Whether the simulator runs in this process: as set, otherwise in a demonstration only.
    pub fn simulates(&self) -> bool {
        self.simulator.simulator.enabled.unwrap_or_else(|| self.api.is_demo())
    }
}
