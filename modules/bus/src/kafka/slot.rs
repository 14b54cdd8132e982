//! A partition in the hands of a member: what was fetched of it and waits to be read, between the thread that fetches and
//! the task that reads.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::{Assignment, Received};

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub records: usize,
    pub bytes: usize,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub assignment: Assignment,
    /// The topic's name in the cluster.
    pub name: String,
    limits: Limits,
    buffer: Mutex<Buffer>,
    /// The reader has something to look at.
    pub news: Notify,
}

/// From where on records are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody has said where to begin.
    Nowhere,
    /// The reader has said so; the client does not know yet.
    Seeking(i64),
    /// This offset or a later one comes next.
    Open(i64),
}

#[derive(Debug)]
struct Buffer {
    place: Place,
    records: VecDeque<Received>,
    bytes: usize,
    /// Nothing more is fetched.
    paused: bool,
    /// The reader has made enough room to go on.
    resume: bool,
    /// So many records are what the reader waits for.
    wanted: usize,
    revoked: bool,
    /// An offset that the group did not take yet.
    deferred: Option<i64>,
}

/// What the fetching thread is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Seek(i64),
    Resume,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    Revoked,
    /// So many wait, and that is not enough.
    Waiting(usize),
    Records(Vec<Received>),
}

impl Slot {
    pub fn new(assignment: Assignment, name: String, limits: Limits) -> Self {
        let buffer = Buffer {
            place: Place::Nowhere,
            records: VecDeque::new(),
            bytes: 0,
            paused: true,
            resume: false,
            wanted: 1,
            revoked: false,
            deferred: None,
        };
        Self { assignment, name, limits, buffer: Mutex::new(buffer), news: Notify::new() }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_revoked(&self) -> bool {
        self.buffer().revoked
    }

    /// Whether the reader has said where to begin.
    pub fn has_place(&self) -> bool {
        self.buffer().place != Place::Nowhere
    }

    /// The reader goes on from `next`.
    pub fn seek(&self, next: i64) {
        let mut buffer = self.buffer();
        buffer.place = Place::Seeking(next);
        buffer.records.clear();
        (buffer.bytes, buffer.resume) = (0, false);
    }

    /// What waits to be done by the thread that fetches.
    pub fn work(&self) -> Option<Work> {
        let buffer = self.buffer();
        match buffer.place {
            Place::Seeking(next) => Some(Work::Seek(next)),
            _ => buffer.resume.then_some(Work::Resume),
        }
    }

    /// The client goes on from `next`; whether that is still what the reader wants.
    pub fn sought(&self, next: i64) -> bool {
        let mut buffer = self.buffer();
        let is_wanted = buffer.place == Place::Seeking(next);
        if is_wanted {
            buffer.place = Place::Open(next);
            (buffer.paused, buffer.resume) = (false, false);
        }
        is_wanted
    }

    /// The client fetches again.
    pub fn resumed(&self) {
        let mut buffer = self.buffer();
        (buffer.paused, buffer.resume) = (false, false);
    }

    /// Takes in what was fetched; whether that is enough for now.
    pub fn push(&self, record: Received) -> bool {
        let mut buffer = self.buffer();
        let Place::Open(next) = buffer.place else { return false };
        if record.offset < next || buffer.revoked {
            return false;
        }
        buffer.place = Place::Open(record.offset + 1);
        buffer.bytes += bytes(&record);
        buffer.records.push_back(record);
        let length = buffer.records.len();
        let is_full = !buffer.paused && (length >= self.limits.records || buffer.bytes >= self.limits.bytes);
        if is_full {
            buffer.paused = true;
        }
        // The first one starts the reader's linger.
        let tell = length == 1 || length >= buffer.wanted || is_full;
        drop(buffer);
        if tell {
            self.news.notify_one();
        }
        is_full
    }

    /// Takes up to `max` records where there are that many, or where `now` is true and there is any, or where no more can
    /// come before some are taken. The flag tells that there is room to go on fetching.
    pub fn take(&self, max: usize, now: bool) -> (Found, bool) {
        let mut buffer = self.buffer();
        if buffer.revoked {
            return (Found::Revoked, false);
        }
        let length = buffer.records.len();
        if length == 0 || !(now || length >= max || buffer.paused) {
            buffer.wanted = max;
            return (Found::Waiting(length), false);
        }
        let records: Vec<Received> = buffer.records.drain(..max.min(length)).collect();
        buffer.bytes -= records.iter().map(bytes).sum::<usize>();
        let has_room =
            buffer.records.len() <= self.limits.records / 2 && buffer.bytes <= self.limits.bytes / 2;
        let go_on = buffer.paused && has_room && !buffer.resume;
        buffer.resume |= go_on;
        (Found::Records(records), go_on)
    }

    /// The partition is not this member's any more.
    pub fn revoke(&self) {
        let mut buffer = self.buffer();
        buffer.revoked = true;
        buffer.records.clear();
        buffer.bytes = 0;
        buffer.deferred = None;
        drop(buffer);
        self.news.notify_one();
    }

    /// The group is to be told of `next` again later.
    pub fn defer(&self, next: i64) {
        let mut buffer = self.buffer();
        buffer.deferred = buffer.deferred.max(Some(next));
    }

    pub fn deferred(&self) -> Option<i64> {
        self.buffer().deferred
    }

    /// The group knows `next`.
    pub fn committed(&self, next: i64) {
        let mut buffer = self.buffer();
        buffer.deferred = buffer.deferred.filter(|deferred| *deferred > next);
    }
}

fn bytes(record: &Received) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.len() + headers + record.value.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn slot() -> Slot {
        let assignment = Assignment { topic: "t".into(), partition: 0, epoch: 1 };
        let slot = Slot::new(assignment, "t".into(), Limits { records: 4, bytes: 100 });
        slot.seek(0);
        assert!(slot.sought(0));
        slot
    }

    fn record(offset: i64, bytes: usize) -> Received {
        Received {
            topic: "t".into(),
            partition: 0,
            offset,
            key: Bytes::new(),
            headers: Vec::new(),
            value: vec![0; bytes].into(),
            kept_at_us: 0,
        }
    }

    fn offsets(found: (Found, bool)) -> (Vec<i64>, bool) {
        let Found::Records(records) = found.0 else { panic!("{found:?}") };
        (records.iter().map(|record| record.offset).collect(), found.1)
    }

    #[test]
    fn a_full_buffer_is_told_once_and_goes_on_at_half() {
        let slot = slot();
        assert_eq!(
            (0..5).map(|offset| slot.push(record(offset, 1))).collect::<Vec<_>>(),
            [false, false, false, true, false]
        );
        assert_eq!(offsets(slot.take(2, false)), (vec![0, 1], false));
        assert_eq!(offsets(slot.take(1, false)), (vec![2], true));
        assert_eq!(slot.work(), Some(Work::Resume));
        assert_eq!(offsets(slot.take(1, false)), (vec![3], false), "once");
        slot.resumed();
        assert_eq!(slot.work(), None);
    }

    #[test]
    fn bytes_fill_it_too_and_then_fewer_than_wanted_are_given() {
        let slot = slot();
        assert!(!slot.push(record(0, 99)));
        assert!(matches!(slot.take(9, false).0, Found::Waiting(1)));
        assert!(slot.push(record(1, 1)));
        assert_eq!(offsets(slot.take(9, false)), (vec![0, 1], true));
    }

    #[test]
    fn what_was_fetched_before_a_seek_is_not_read_after_it() {
        let slot = slot();
        slot.push(record(0, 1));
        slot.seek(7);
        assert!(!slot.push(record(1, 1)) && !slot.push(record(7, 1)), "the client does not know yet");
        assert!(!slot.sought(6) && slot.sought(7));
        slot.push(record(6, 1));
        assert!(matches!(slot.take(1, true).0, Found::Waiting(0)));
        slot.push(record(9, 1));
        slot.push(record(9, 1));
        assert_eq!(offsets(slot.take(9, true)).0, [9]);
    }

    #[test]
    fn nothing_is_left_of_a_lost_partition() {
        let slot = slot();
        slot.push(record(0, 1));
        slot.defer(1);
        slot.revoke();
        assert!(matches!(slot.take(1, true).0, Found::Revoked));
        assert!(!slot.push(record(1, 1)));
        assert_eq!(slot.deferred(), None);
    }

    #[test]
    fn the_latest_offset_that_the_group_did_not_take_waits() {
        let slot = slot();
        slot.defer(5);
        slot.defer(3);
        assert_eq!(slot.deferred(), Some(5));
        slot.committed(4);
        assert_eq!(slot.deferred(), Some(5));
        slot.committed(5);
        assert_eq!(slot.deferred(), None);
    }
}
