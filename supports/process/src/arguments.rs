use std::path::PathBuf;

use clap::Args;
use commerce_config::{Flag, Sources};

/// Flags of a process that serves one app.
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// Configuration file (TOML); config/commerce.toml of the sources documents every key
    #[arg(long, value_name = "FILE", env = "COMMERCE_CONFIG")]
    pub config: Option<PathBuf>,
    /// TCP port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", value_parser = port)]
    pub port: Option<u16>,
}

impl Arguments {
    /// Where the configuration is read from, where the flag of the port sets `port_key`.
    pub fn sources(&self, port_key: &'static str) -> Sources {
        Sources {
            file: self.config.clone(),
            environment: Sources::process_environment(),
            flags: self.port.map(|port| Flag::whole("--port", port_key, port)).into_iter().collect(),
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "allowed is a whole number from 0 to 65535".to_owned())
}
