use std::fmt;
use std::sync::Arc;

use crate::clock::{MonotonicClock, TokioClock};
use crate::random::{Randomness, SystemRandomness};

/// The time and the chance that the layers go by.
#[derive(Clone)]
pub struct Environment {
    /// Measures calls, waits of open breakers, and deadlines.
    pub clock: Arc<dyn MonotonicClock>,
    /// Draws the waits between attempts.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for Environment {
    fn default() -> Self {
        Self { clock: Arc::new(TokioClock), randomness: Arc::new(SystemRandomness) }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
