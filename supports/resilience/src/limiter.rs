use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::call::CallError;
use crate::environment::Environment;
use crate::metrics;
use crate::options::{Check, DURATION_MAX, OptionsError};
use crate::scope;

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimiterOptions {
    /// The longest; a deadline that is nearer shortens it.
    pub limit: Duration,
}

impl Default for TimeLimiterOptions {
    fn default() -> Self {
        Self { limit: Duration::from_secs(1) }
    }
}

/// Gives up a call that takes too long: its future is dropped.
#[derive(Debug, Clone)]
pub struct TimeLimiter {
    name: Arc<str>,
    options: TimeLimiterOptions,
    environment: Environment,
}

impl TimeLimiter {
    /// A limit called `name` in metrics.
    pub fn new(
        name: &str,
        options: TimeLimiterOptions,
        environment: Environment,
    ) -> Result<Self, OptionsError> {
        let check = Check::of("time limiter", name)?;
        check.duration("limit", options.limit, Duration::from_millis(1), DURATION_MAX)?;
        Ok(Self { name: check.name(), options, environment })
    }

    /// Awaits a call for at most the limit. An end that is there in time counts, even if nobody looked in time.
    pub async fn run<T, E>(
        &self,
        call: impl Future<Output = Result<T, CallError<E>>>,
    ) -> Result<T, CallError<E>> {
        let left = scope::deadline()
            .map(|deadline| deadline.saturating_duration_since(self.environment.clock.now()));
        let limit = left.map_or(self.options.limit, |left| left.min(self.options.limit));
        let end = tokio::time::timeout(limit, call).await;
        match &end {
            Ok(Ok(_)) => metrics::timed(&self.name, "successful"),
            Ok(Err(CallError::NotPermitted(_))) => {}
            Ok(Err(_)) => metrics::timed(&self.name, "failed"),
            Err(_) => metrics::timed(&self.name, "timeout"),
        }
        end.unwrap_or(Err(CallError::TimedOut(limit)))
    }
}

#[cfg(test)]
mod tests;
