use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one retry takes out.
const RETRY: u64 = 100;

/// How many retries there may be in proportion to calls, so that a failing backend is not called several times as often
/// as a healthy one. A token bucket: each call puts a share of a retry in, each retry takes one out. Clones share it.
#[derive(Debug, Clone)]
pub struct RetryBudget(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    /// In hundredths of a retry.
    tokens: AtomicU64,
    tokens_max: u64,
    percent: u64,
}

impl RetryBudget {
    /// Retries for `percent` percent of the calls, and up to `reserve` in a row, which is there from the start.
    pub fn new(percent: u8, reserve: u32) -> Self {
        let tokens_max = u64::from(reserve) * RETRY;
        let bucket = Bucket { tokens: AtomicU64::new(tokens_max), tokens_max, percent: percent.into() };
        Self(Arc::new(bucket))
    }

    /// Whole retries that are left.
    pub fn left(&self) -> u64 {
        self.0.tokens.load(Ordering::Relaxed) / RETRY
    }

    pub(super) fn put_in(&self) {
        let add = |tokens: u64| Some(tokens.saturating_add(self.0.percent).min(self.0.tokens_max));
        // It always adds, so there is nothing to refuse.
        let _ = self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn take(&self) -> bool {
        let take = |tokens: u64| tokens.checked_sub(RETRY);
        self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}
