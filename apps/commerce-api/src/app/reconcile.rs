//! Reconciliation beside a running shop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use commerce_api_application::desk::Signal;
use commerce_api_application::reconciliation::Reconciler;
use commerce_api_infrastructure::gateway::HttpGateway;

use super::error::StartError;
use super::platform::Platform;
use super::wiring;
use crate::config::Config;

/// Compares the settlement reports of the gateway of `config` with the books of `platform`. The dispatcher of a running shop
/// finds by itself what it has to ask about.
pub fn reconciler(platform: &Platform, config: &Config) -> Result<Reconciler, StartError> {
    // Nothing is charged, so no callback will come.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, config.api.port));
    let gateway = HttpGateway::new(config.gateway_options(nowhere)?)?;
    Ok(wiring::reconciler(platform, Arc::new(gateway), Signal::default()))
}
