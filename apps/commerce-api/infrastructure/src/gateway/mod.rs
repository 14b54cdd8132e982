//! The payment gateway over HTTP, in the protocol of `commerce_contracts::gateway`.
//!
//! What went wrong is told by one question: may the gateway have recorded anything? Only a connection that never came
//! about proves that it has not; every silence, 5xx and unreadable answer after that leaves it open.

mod answer;
mod client;
mod fault;
mod options;
mod retry;
mod transport;

pub use client::HttpGateway;
pub use options::{BadGatewayUrl, GatewayOptions, GatewaySetupError, gateway_url};
pub use transport::describe_gateway_metrics;
