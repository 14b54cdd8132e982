//! The payment gateway over HTTP, in the protocol of `commerce_contracts::gateway`.
//!
//! What went wrong is told by one question: may the gateway have recorded anything? Only a connection that never came
//! about, or a call that breaker or bulkhead did not let begin, proves that it has not; every silence, 5xx and
//! unreadable answer after that leaves it open.

mod answer;
mod client;
mod fault;
mod measured;
mod options;
mod pipelines;
mod report;
mod switches;
mod transport;

pub use client::HttpGateway;
pub use measured::describe_gateway_metrics;
pub use options::{BadGatewayUrl, GatewayBreaker, GatewayOptions, GatewaySetupError, gateway_url};
pub use switches::RegistryBreakers;
