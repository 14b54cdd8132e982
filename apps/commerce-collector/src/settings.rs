//! What the configuration tells the collector: its section of the file that all apps share.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use commerce_config::{Rule, Section, Setting, checks, setting};
use serde::{Deserialize, Serialize};

use crate::{ConsumerOptions, Options, ProjectorOptions, Weights};

/// What the collector is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectorSettings {
    /// The collector.
    pub collector: Collector,
}

/// `collector`: counting events and ranking products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collector {
    /// The address to listen on.
    pub bind: IpAddr,
    /// The TCP port; 0 takes a free one.
    pub port: u16,
    /// Events of one transaction.
    pub batch_max: usize,
    /// How long a batch waits to become full, in milliseconds.
    pub flush_ms: u64,
    /// Products of one transaction of a job.
    pub job_chunk: u32,
    /// How long a job is held without being renewed, in seconds.
    pub job_lease_s: u64,
    /// What a like counts on the board of everything, in tenths.
    pub like_weight: i64,
    /// What a view counts there, in tenths.
    pub view_weight: i64,
    /// What an order counts there, in tenths.
    pub order_weight: i64,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8081,
            batch_max: 100,
            flush_ms: 500,
            job_chunk: 100,
            job_lease_s: 30,
            like_weight: 2,
            view_weight: 1,
            order_weight: 6,
        }
    }
}

impl Collector {
    /// Sets in `options` what is set here.
    pub fn apply(&self, options: &mut Options) {
        options.bind = self.bind;
        options.port = self.port;
        options.consumer = ConsumerOptions {
            batch_max: self.batch_max,
            linger: Duration::from_millis(self.flush_ms),
            ..ConsumerOptions::default()
        };
        options.jobs.batch.chunk = self.job_chunk;
        options.jobs.batch.lease = Duration::from_secs(self.job_lease_s);
        let weights = Weights { like: self.like_weight, view: self.view_weight, order: self.order_weight };
        options.projector = ProjectorOptions { weights, ..ProjectorOptions::default() };
    }
}

impl Section for CollectorSettings {
    const SETTINGS: &'static [Setting] = &[
        setting(
            "collector.bind",
            Rule::Text(checks::is_address, "an IP address such as 127.0.0.1, ::1 or 0.0.0.0"),
        ),
        setting("collector.port", Rule::Whole(0, 65_535, "; 0 takes a free port")),
        setting("collector.batch_max", Rule::Whole(1, 10_000, " events")),
        setting("collector.flush_ms", Rule::Whole(1, 60_000, " milliseconds")),
        setting("collector.job_chunk", Rule::Whole(1, 10_000, " products")),
        setting("collector.job_lease_s", Rule::Whole(1, 3_600, " seconds")),
        setting("collector.like_weight", Rule::Whole(0, 1_000, " tenths")),
        setting("collector.view_weight", Rule::Whole(0, 1_000, " tenths")),
        setting("collector.order_weight", Rule::Whole(0, 1_000, " tenths")),
    ];
}
