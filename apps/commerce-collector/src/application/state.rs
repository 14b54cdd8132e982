use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How the consumer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not a member of its group yet.
    Starting,
    /// It counts what comes.
    Running,
    /// Something is not there for now; it tries again.
    Retrying(String),
    /// It stopped by itself and says why.
    Halted(String),
    /// It was told to stop.
    Stopped,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    /// Partitions that are counted, and why one is not getting on.
    partitions: BTreeMap<(String, i32), Option<String>>,
    /// Offsets up to which records were gone from the log before they were counted.
    skipped_to: BTreeMap<(String, i32), i64>,
    skipped: u64,
}

/// How the consumer is, for health and for those who wait for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConsumerState {
    inner: Arc<Mutex<Inner>>,
    resume: Arc<Notify>,
}

impl Default for ConsumerState {
    fn default() -> Self {
        let inner = Inner {
            status: Status::Starting,
            partitions: BTreeMap::new(),
            skipped_to: BTreeMap::new(),
            skipped: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)), resume: Arc::default() }
    }
}

impl ConsumerState {
    /// How it is now: a partition that does not get on speaks for the whole.
    pub fn status(&self) -> Status {
        let inner = self.lock();
        match &inner.status {
            Status::Running => {
                let stuck = inner.partitions.iter().find_map(|((topic, partition), stuck)| {
                    stuck.as_ref().map(|reason| format!("{topic}/{partition}: {reason}"))
                });
                stuck.map_or(Status::Running, Status::Retrying)
            }
            other => other.clone(),
        }
    }

    /// How many partitions it counts.
    pub fn partitions(&self) -> usize {
        self.lock().partitions.len()
    }

    /// Records that were gone from the log before they were counted, since this process began.
    pub fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// Has a consumer that halted go on where it stood; false where it has not halted.
    pub fn resume(&self) -> bool {
        let halted = matches!(self.status(), Status::Halted(_));
        if halted {
            self.resume.notify_one();
        }
        halted
    }

    /// Waits until somebody asks a halted consumer to go on.
    pub(super) async fn resumed(&self) {
        self.resume.notified().await;
    }

    /// Takes note that the records from `next` to before `earliest` are gone; gives back how many were not known yet: a
    /// partition that is taken over again before anything was counted skips the same ones.
    pub(super) fn skips(&self, topic: &str, partition: i32, next: i64, earliest: i64) -> u64 {
        let mut inner = self.lock();
        let known = inner.skipped_to.entry((topic.to_owned(), partition)).or_insert(next);
        let new = u64::try_from(earliest - next.max(*known)).unwrap_or_default();
        *known = earliest.max(*known);
        inner.skipped += new;
        new
    }

    pub(super) fn set(&self, status: Status) {
        super::metrics::halted(matches!(status, Status::Halted(_)));
        self.lock().status = status;
    }

    pub(super) fn owns(&self, topic: &str, partition: i32) {
        self.lock().partitions.insert((topic.to_owned(), partition), None);
    }

    pub(super) fn gives_up(&self, topic: &str, partition: i32) {
        self.lock().partitions.remove(&(topic.to_owned(), partition));
    }

    /// Why a partition does not get on; none once it does.
    pub(super) fn stuck(&self, topic: &str, partition: i32, reason: Option<String>) {
        if let Some(stuck) = self.lock().partitions.get_mut(&(topic.to_owned(), partition)) {
            *stuck = reason;
        }
    }

    // A panic elsewhere leaves plain values behind, nothing half done.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
