use std::net::SocketAddr;
use std::path::PathBuf;

use commerce_api_application::ports::{BoxError, StorageError};
use commerce_api_infrastructure::gateway::GatewaySetupError;
use commerce_database::{DatabaseError, ErrorClass};

use crate::config::ConfigError;

/// Why the app does not start: what, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something listens there already.
    #[error(
        "{addr} is taken by another program; stop it, or choose another port with `--api-port` or \
         COMMERCE_API__PORT (0 takes a free one)"
    )]
    PortTaken {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; check `api.bind` and `api.port`")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data directory cannot be made.
    #[error("the data directory {} cannot be made: {source}; choose another with `--data-dir`", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("the database {place} cannot be opened: {source}")]
    Open {
        /// Which: a file, or a database of a server.
        place: String,
        /// Why.
        source: DatabaseError,
    },
    /// The schema cannot be brought up to date.
    #[error("the database {place} cannot be migrated: {source}")]
    Migrate {
        /// Which: a file, or a database of a server.
        place: String,
        /// Why.
        source: DatabaseError,
    },
    /// The event log cannot be opened.
    #[error("the event log cannot be opened")]
    EventLog(#[source] BoxError),
    /// A setting is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway cannot be called as it is configured.
    #[error("the payment gateway cannot be called: {0}; check [gateway]")]
    Gateway(#[from] GatewaySetupError),
    /// The demonstration's data cannot be written.
    #[error("the demonstration's data cannot be written: {0}")]
    Seed(#[source] BoxError),
    /// A route says not who may call it: our own bug.
    #[error(transparent)]
    Routes(crate::interfaces::Unguarded),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] commerce_telemetry::MetricsError),
}

impl StartError {
    /// Whether a server that is needed cannot be reached: it may come.
    pub fn is_absent(&self) -> bool {
        let (Self::Open { source, .. } | Self::Migrate { source, .. }) = self else { return false };
        source.class() == ErrorClass::Connection
    }

    /// Whether the caller can mend it.
    pub const fn is_for_the_caller(&self) -> bool {
        matches!(self, Self::PortTaken { .. } | Self::Bind { .. } | Self::DataDir { .. } | Self::Config(_))
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        Self::Seed(error.into())
    }
}
