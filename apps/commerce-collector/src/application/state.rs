use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
}

/// How the consumer is, for health and for those who wait for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConsumerState(Arc<Mutex<Inner>>);

impl Default for ConsumerState {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner { status: Status::Starting, partitions: BTreeMap::new() })))
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
