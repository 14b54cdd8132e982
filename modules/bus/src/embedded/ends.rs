use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

type Key = (String, i32);

/// The end of every partition as this process knows it, and who waits for it to grow.
#[derive(Debug, Default)]
pub(super) struct Ends {
    known: Mutex<BTreeMap<Key, watch::Sender<i64>>>,
}

impl Ends {
    /// Follows the end of a partition; 0 until something is known.
    pub fn subscribe(&self, topic: &str, partition: i32) -> watch::Receiver<i64> {
        self.with(topic, partition, watch::Sender::subscribe)
    }

    /// The partition ends at `end`, or later.
    pub fn advance(&self, topic: &str, partition: i32, end: i64) {
        self.with(topic, partition, |known| {
            known.send_if_modified(|known| {
                let grew = *known < end;
                *known = end.max(*known);
                grew
            })
        });
    }

    fn with<T>(&self, topic: &str, partition: i32, f: impl FnOnce(&watch::Sender<i64>) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        f(known.entry((topic.to_owned(), partition)).or_insert_with(|| watch::Sender::new(0)))
    }
}
