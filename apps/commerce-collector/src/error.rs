use std::net::SocketAddr;

use commerce_database::{DatabaseError, ErrorClass};

/// Why the collector does not start: what, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error("the collector's database {place} cannot be opened: {source}")]
    Open {
        /// Which: a file, or a database of a server.
        place: String,
        /// Why.
        source: DatabaseError,
    },
    /// The schema cannot be brought up to date.
    #[error("the collector's database {place} cannot be migrated: {source}")]
    Migrate {
        /// Which: a file, or a database of a server.
        place: String,
        /// Why.
        source: DatabaseError,
    },
    /// Something listens there already.
    #[error(
        "{addr} is taken by another program; stop it, or choose another port for the collector with \
         `--collector-port` or COMMERCE_COLLECTOR__PORT (0 takes a free one)"
    )]
    PortTaken {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("the collector cannot listen on {addr}: {source}; check `collector.bind` and `collector.port`")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An option has a value that nothing could run with.
    #[error("{option} must be {allowed}")]
    Option {
        /// Which.
        option: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// A route says not who may call it: our own bug.
    #[error(transparent)]
    Routes(#[from] crate::interfaces::Unguarded),
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
        matches!(self, Self::PortTaken { .. } | Self::Bind { .. })
    }
}
