use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::breaker::CircuitBreaker;
use crate::bulkhead::Bulkhead;
use crate::call::{CallError, Classify};
use crate::limiter::TimeLimiter;
use crate::retry::Retry;

/// The layers around a call, from the outside in: retry, breaker, time limiter, bulkhead. So the breaker sees each
/// attempt, and the wait for a slot is part of an attempt's time. Clones share all of them.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Repeats what may be repeated.
    pub retry: Retry,
    /// Refuses calls to what is down.
    pub breaker: CircuitBreaker,
    /// Gives up what takes too long.
    pub limiter: TimeLimiter,
    /// Refuses more than so many calls at once.
    pub bulkhead: Bulkhead,
}

impl Pipeline {
    /// Makes a call; `call` is asked anew for each attempt that is let through.
    ///
    /// [`CallError::NotPermitted`] means that no attempt was sent: it may be told as "pending", never as "failed".
    pub async fn call<T, E, F>(
        &self,
        classify: &impl Classify<T, E>,
        call: impl Fn() -> F,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let attempt = || self.breaker.run(classify, || self.send(&call));
        self.retry.run(classify, attempt).await
    }

    async fn send<T, E, F>(&self, call: impl FnOnce() -> F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let begun = &AtomicBool::new(false);
        let in_slot = self.bulkhead.run(move || async move {
            begun.store(true, Ordering::Relaxed);
            call().await.map_err(CallError::Inner)
        });
        match self.limiter.run(in_slot).await {
            // It waited for a slot all the time: nothing was sent.
            Err(CallError::TimedOut(_)) if !begun.load(Ordering::Relaxed) => Err(self.bulkhead.full().into()),
            end => end,
        }
    }
}

#[cfg(test)]
mod tests;
