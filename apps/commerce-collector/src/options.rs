use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use commerce_database::MySqlOptions;
use commerce_redis::Redis;
use commerce_runtime::BusinessZone;

use crate::application::{ConsumerOptions, JobsOptions, ProjectorOptions};

/// How the collector runs.
#[derive(Clone)]
pub struct Options {
    /// Address to listen on, 127.0.0.1 by default.
    pub bind: IpAddr,
    /// Port, 8081 by default; 0 takes a free one.
    pub port: u16,
    /// The database; created if it does not exist, its directory is not.
    pub file: PathBuf,
    /// The database on a server, which is used instead of the file; none by default.
    pub server: Option<MySqlOptions>,
    /// Where copies of the boards are that processes share; none by default.
    pub redis: Option<Redis>,
    /// A commit survives a power cut; false is for throwaway data only.
    pub durable: bool,
    /// The shop's zone.
    pub zone: BusinessZone,
    /// Limits of the consumer.
    pub consumer: ConsumerOptions,
    /// Limits of the projector, and the weights of scores.
    pub projector: ProjectorOptions,
    /// Limits and times of the jobs.
    pub jobs: JobsOptions,
    /// Whether the `OpenAPI` document and its page are served.
    pub docs: bool,
    /// Admits to the actuator's details; none or empty admits nobody by it.
    pub scrape_token: Option<String>,
}

impl Options {
    /// Name of the database in a data directory.
    pub const DATABASE_FILE: &'static str = commerce_boards::schema::DATABASE_FILE;

    /// The defaults, for the database at `file`.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8081,
            file: file.into(),
            server: None,
            redis: None,
            durable: true,
            zone: BusinessZone::default(),
            consumer: ConsumerOptions::default(),
            projector: ProjectorOptions::default(),
            jobs: JobsOptions::default(),
            docs: true,
            scrape_token: None,
        }
    }
}

/// The token is never shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bind", &self.bind)
            .field("port", &self.port)
            .field("file", &self.file)
            .field("server", &self.server.as_ref().map(MySqlOptions::server))
            .field("zone", &self.zone)
            .field("consumer", &self.consumer)
            .field("projector", &self.projector)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}
