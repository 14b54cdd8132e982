use std::path::PathBuf;
use std::time::Duration;

/// How an embedded log is opened.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The file; created if it does not exist, its directory is not.
    pub path: PathBuf,
    /// A commit survives a power cut; false is for throwaway data only.
    pub durable: bool,
    /// Nobody else has the file open for as long as this handle lives: members of groups that are found in it are gone,
    /// and nothing is published elsewhere that would have to be looked for.
    pub alone: bool,
    /// How long records are kept, 7 days by default.
    pub retention: Duration,
    /// How often records past their time are looked for.
    pub purge_every: Duration,
    /// A member of a group that was not heard of for this long has lost its partitions.
    pub session: Duration,
    /// How often a member tells that it lives; well below `session`.
    pub heartbeat: Duration,
    /// How often is looked for what other processes published.
    pub poll: Duration,
    /// Bytes of key, headers and value of one record; a larger one is refused.
    pub record_bytes_max: usize,
    /// Records of one transaction.
    pub batch_records_max: usize,
    /// Bytes of the records of one transaction.
    pub batch_bytes_max: usize,
    /// Calls that may wait to be written; the next one waits for a place.
    pub queue_max: usize,
}

impl EmbeddedOptions {
    /// The defaults, for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durable: true,
            alone: false,
            retention: Duration::from_hours(7 * 24),
            purge_every: Duration::from_mins(10),
            session: Duration::from_secs(5),
            heartbeat: Duration::from_millis(1_500),
            poll: Duration::from_millis(200),
            record_bytes_max: 1024 * 1024,
            batch_records_max: 4_096,
            batch_bytes_max: 8 * 1024 * 1024,
            queue_max: 1_024,
        }
    }
}
