use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A clock that never goes back.
pub trait MonotonicClock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Instant;
}

/// Tokio's clock: the machine's, or what a test has paused.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioClock;

impl MonotonicClock for TokioClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when it is told to. What sleeps or times out goes by tokio's clock all the same.
#[derive(Debug)]
pub struct ManualTime(Mutex<Instant>);

impl Default for ManualTime {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl ManualTime {
    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl MonotonicClock for ManualTime {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
