use tokio::time::Instant;

use super::CircuitBreaker;
use super::core::End;
use super::event::BreakerEvent;
use crate::call::{Kind, Verdict};
use crate::metrics;

/// Leave for one call, given by a breaker in a certain epoch.
///
/// Whoever drops it without a verdict, because the call was given up, gives it back: it counts as cancelled and decides
/// nothing.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as a cancelled call"]
pub struct Permit {
    breaker: CircuitBreaker,
    epoch: u64,
    began: Instant,
    open: bool,
}

impl Permit {
    pub(super) const fn new(breaker: CircuitBreaker, epoch: u64, began: Instant) -> Self {
        Self { breaker, epoch, began, open: true }
    }

    /// The call ended like this, now.
    pub fn settle(mut self, verdict: Verdict) {
        self.open = false;
        let now = self.breaker.now();
        let took = now.saturating_duration_since(self.began);
        metrics::call(self.breaker.name(), kind(verdict.kind), took);
        let mut core = self.breaker.lock();
        core.settle(self.epoch, End { kind: verdict.kind, took, open_for: verdict.open_for }, now);
        self.breaker.publish(core, now);
    }

    /// No call was made: gives it back, and counts nothing.
    pub fn release(mut self) {
        self.open = false;
        let now = self.breaker.now();
        let mut core = self.breaker.lock();
        core.give_back(self.epoch, now);
        self.breaker.publish(core, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let now = self.breaker.now();
        let took = now.saturating_duration_since(self.began);
        metrics::call(self.breaker.name(), "cancelled", took);
        let mut core = self.breaker.lock();
        core.give_back(self.epoch, now);
        core.cancelled += 1;
        core.events.push(BreakerEvent::Cancelled(took));
        self.breaker.publish(core, now);
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Success => "successful",
        Kind::Failure => "failed",
        Kind::Ignored => "ignored",
    }
}
