use std::io;
use std::path::PathBuf;

use crate::ServerKind;

/// Why a server was not fetched or not started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no folder to keep what was fetched.
    #[error("no place for the servers: set COMMERCE_SERVICES or HOME")]
    NoCache,
    /// A folder or file could not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program is missing or cannot be run.
    #[error("cannot run `{program}`")]
    Run {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ended without success.
    #[error("`{program}` ended with {status}: {last}")]
    Ended {
        /// Which.
        program: String,
        /// Its exit code or signal.
        status: String,
        /// The end of what it printed.
        last: String,
    },
    /// It could not be fetched.
    #[error("{kind} could not be fetched; without network, set {} to the address of one that runs", kind.variable())]
    Fetch {
        /// Which server.
        kind: ServerKind,
        /// Why.
        #[source]
        source: Box<ServerError>,
    },
    /// It did not answer in time.
    #[error("{kind} did not become ready within {seconds} s; its log ends with: {last}")]
    NotReady {
        /// Which server.
        kind: ServerKind,
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        last: String,
    },
    /// It ended while it started.
    #[error("{kind} ended while it started; its log ends with: {last}")]
    Died {
        /// Which server.
        kind: ServerKind,
        /// The end of its log.
        last: String,
    },
    /// Nobody answers where the environment says that one runs.
    #[error("{variable} names {address}, where no {kind} answers")]
    Silent {
        /// Which server.
        kind: ServerKind,
        /// The environment variable.
        variable: &'static str,
        /// What it names.
        address: String,
    },
    /// It was not started here, so it is not stopped here.
    #[error("this {kind} was not started here")]
    NotOurs {
        /// Which server.
        kind: ServerKind,
    },
    /// It is down already.
    #[error("this {kind} does not run")]
    Down {
        /// Which server.
        kind: ServerKind,
    },
    /// An address that was given cannot be read.
    #[error("{variable} must be an address and port such as 127.0.0.1:3306")]
    Address {
        /// The environment variable.
        variable: &'static str,
    },
}

impl ServerError {
    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
