use std::net::SocketAddr;
use std::path::PathBuf;

use commerce_database::DatabaseError;

use crate::faults::FaultsError;

/// Why the simulator does not start: what, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Callbacks are to be signed, and there is nothing to sign them with.
    #[error("callbacks are to be signed and there is no webhook secret; give one, or switch `signature` off")]
    NoSecret,
    /// The script cannot be followed.
    #[error("faults: {0}")]
    Faults(#[from] FaultsError),
    /// Something listens there already.
    #[error(
        "{addr} is taken by another program; stop it, or choose another port for the simulator (0 takes a free one)"
    )]
    PortTaken {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("the simulator cannot listen on {addr}: {source}; check its address and port")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened or brought up to date.
    #[error("the simulator's database {} cannot be used: {source}", path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: DatabaseError,
    },
    /// Callbacks cannot be sent.
    #[error("the client for callbacks cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] commerce_telemetry::MetricsError),
}
