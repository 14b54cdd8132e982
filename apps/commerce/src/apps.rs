//! All apps of one process: what is started in which order, and stopped in which.

use std::net::SocketAddr;

use commerce_api::app::{Platform, Running};

use crate::failure::Failure;
use crate::settings::Settings;

/// The apps at work.
pub struct Apps {
    api: Running,
}

impl Apps {
    /// Starts them on the current runtime.
    pub async fn start(platform: Platform, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self { api: Running::start(platform, &settings.api)? })
    }

    /// Where the API listens.
    pub const fn api_addr(&self) -> SocketAddr {
        self.api.api_addr()
    }

    /// Where the collector listens.
    pub const fn collector_addr(&self) -> SocketAddr {
        self.api.api_addr()
    }

    /// Where the simulator listens, if it runs.
    pub const fn simulator_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Stops them.
    pub async fn stop(self) {
        self.api.stop().await;
    }
}
