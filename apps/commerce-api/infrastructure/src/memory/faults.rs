use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use commerce_api_application::ports::{CommitError, StorageError};
use commerce_api_domain::UserId;

use super::storage::{MemoryError, locked};

/// Something that goes wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `begin` fails as transient.
    BeginBusy,
    /// `begin` fails as unavailable.
    BeginUnavailable,
    /// `lock` or `lock_likes` fails as transient.
    LockBusy,
    /// `write` or `write_likes` fails as transient.
    WriteBusy,
    /// `write` or `write_likes` fails as refused data.
    WriteData,
    /// `commit` fails as transient, and nothing is committed.
    CommitRefused,
    /// The answer of `commit` is lost.
    CommitAnswerLost {
        /// Whether it was committed.
        applied: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Begin,
    Lock,
    Write,
    Commit,
}

impl Fault {
    const fn operation(self) -> Operation {
        match self {
            Self::BeginBusy | Self::BeginUnavailable => Operation::Begin,
            Self::LockBusy => Operation::Lock,
            Self::WriteBusy | Self::WriteData => Operation::Write,
            Self::CommitRefused | Self::CommitAnswerLost { .. } => Operation::Commit,
        }
    }

    pub(super) fn storage_error(self) -> StorageError {
        let source = Box::new(MemoryError::Injected(self));
        match self {
            Self::BeginUnavailable => StorageError::Unavailable(source),
            Self::WriteData => StorageError::Data(source),
            _ => StorageError::Transient(source),
        }
    }

    pub(super) fn commit_error(self) -> CommitError {
        match self {
            Self::CommitAnswerLost { .. } => CommitError::Unknown(Box::new(MemoryError::Injected(self))),
            _ => CommitError::NotCommitted(self.storage_error()),
        }
    }
}

/// What goes wrong next. Every operation takes the oldest fault of its own kind; the others wait for theirs.
#[derive(Debug, Default)]
pub struct Faults {
    queue: Mutex<VecDeque<Fault>>,
    poisoned: Mutex<BTreeSet<UserId>>,
}

impl Faults {
    /// Adds a fault to the queue.
    pub fn push(&self, fault: Fault) {
        locked(&self.queue).push_back(fault);
    }

    /// How many faults have not happened yet.
    pub fn pending(&self) -> usize {
        locked(&self.queue).len()
    }

    /// Refuses as data every write that changes the account of `user`, until [`Self::clear`].
    pub fn poison(&self, user: UserId) {
        locked(&self.poisoned).insert(user);
    }

    /// Forgets every fault.
    pub fn clear(&self) {
        locked(&self.queue).clear();
        locked(&self.poisoned).clear();
    }

    pub(super) fn take(&self, operation: Operation) -> Option<Fault> {
        let mut queue = locked(&self.queue);
        let oldest = queue.iter().position(|fault| fault.operation() == operation)?;
        queue.remove(oldest)
    }

    pub(super) fn is_poisoned(&self, user: UserId) -> bool {
        locked(&self.poisoned).contains(&user)
    }
}
