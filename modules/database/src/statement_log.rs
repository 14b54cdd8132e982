//! Counts of statements and transactions by name, so that tests can hold a use case to its number.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    statements: u64,
    transactions: u64,
}

/// Counts statements by the name of the transaction or reader that ran them.
/// BEGIN, COMMIT and ROLLBACK are not statements here.
#[derive(Debug, Default)]
pub struct StatementLog {
    counts: Mutex<BTreeMap<&'static str, Counts>>,
}

impl StatementLog {
    /// Statements run under `name` since the last reset.
    pub fn count(&self, name: &str) -> u64 {
        self.lock().get(name).map_or(0, |counts| counts.statements)
    }

    /// Transactions begun under `name` since the last reset.
    pub fn transactions(&self, name: &str) -> u64 {
        self.lock().get(name).map_or(0, |counts| counts.transactions)
    }

    /// Statements under every name since the last reset.
    pub fn total(&self) -> u64 {
        self.lock().values().map(|counts| counts.statements).sum()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.lock().clear();
    }

    pub(crate) fn statement(&self, name: &'static str) {
        self.lock().entry(name).or_default().statements += 1;
    }

    pub(crate) fn transaction(&self, name: &'static str) {
        self.lock().entry(name).or_default().transactions += 1;
    }

    // A panic elsewhere leaves plain counters behind, nothing half done.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
