//! What this process is told: the sections of all three apps, from one file.
//!
//! `config/commerce.toml` is the documented default of all of them.

mod simulator;
#[cfg(test)]
mod tests;

use commerce_api::config::{Config, Gateway};
use commerce_config::{ConfigError, Origin, Sources, Tables, Values};

pub use commerce_collector::settings::CollectorSettings;
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
    if settings.simulator.simulator.enabled == Some(true) && settings.names_a_gateway() {
        let allowed = "not set, because the simulator is the gateway; or switch `simulator.enabled` off";
        return Err(values.refused("gateway.url", allowed.to_owned()));
    }
    refuse_shared_ports(&settings, &values)?;
    Ok(Loaded { settings, origins: values.origins() })
}

/// Every app needs a port of its own.
fn refuse_shared_ports(settings: &Settings, values: &Values) -> Result<(), ConfigError> {
    let (api, collector) = (settings.api.api.port, settings.collector.collector.port);
    let simulator = if settings.simulates() { settings.simulator.simulator.port } else { 0 };
    for (key, port, taken) in [
        ("collector.port", collector, vec![("api.port", api)]),
        ("simulator.port", simulator, vec![("api.port", api), ("collector.port", collector)]),
    ] {
        if let Some((other, _)) = taken.into_iter().find(|(_, other)| port != 0 && *other == port) {
            return Err(values.refused(key, format!("another port than that of `{other}`, or 0")));
        }
    }
    Ok(())
}

impl Settings {
    /// Whether the simulator runs in this process, as the gateway: as set, otherwise in a demonstration that names no
    /// gateway of its own.
    pub fn simulates(&self) -> bool {
        self.simulator.simulator.enabled.unwrap_or_else(|| self.api.is_demo() && !self.names_a_gateway())
    }

    /// Whether the gateway is another than the one that is simulated.
    fn names_a_gateway(&self) -> bool {
        self.api.gateway.url != Gateway::default().url
    }
}
