use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{CallError, Classify, NotPermitted, Outcome, Verdict};
use crate::environment::Environment;
use crate::options::{Check, OptionsError};
use crate::random::between;
use crate::{metrics, scope};

mod budget;
mod options;

pub use budget::RetryBudget;
pub use options::RetryOptions;

/// Makes a call again that may end better the next time. The outermost layer, and the only one that repeats: inside an
/// attempt of another retry it makes one attempt.
#[derive(Debug, Clone)]
pub struct Retry {
    name: Arc<str>,
    options: RetryOptions,
    budget: Option<RetryBudget>,
    environment: Environment,
}

/// What a call came to so far.
struct Held<T, E> {
    end: Result<T, CallError<E>>,
    unknown: bool,
    /// The classifier would have it repeated.
    repeatable: bool,
}

impl<T, E> Held<T, E> {
    const fn is_accepted(&self) -> bool {
        self.end.is_ok() && !self.repeatable
    }

    /// An outcome that is open stays open, whatever becomes of later attempts: only an answer settles it.
    fn or_still(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.unknown && !self.is_accepted() => earlier,
            Some(_) | None => self,
        }
    }
}

impl Retry {
    /// A retry called `name` in metrics. Retries of calls to the same backend share a budget.
    pub fn new(
        name: &str,
        options: RetryOptions,
        budget: Option<RetryBudget>,
        environment: Environment,
    ) -> Result<Self, OptionsError> {
        let check = Check::of("retry", name)?;
        options.check(&check)?;
        Ok(Self { name: check.name(), options, budget, environment })
    }

    /// Makes attempts until one is accepted or must not be repeated.
    ///
    /// A refusal ends it at once. It is told only if no attempt was sent; otherwise the outcome of the last attempt that
    /// was, or of the first whose outcome is unknown, is the outcome of the call.
    pub async fn run<T, E, F>(
        &self,
        classify: &impl Classify<T, E>,
        attempt: impl Fn() -> F,
    ) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, CallError<E>>>,
    {
        let attempts_max = if scope::is_repeated() { 1 } else { self.options.attempts };
        if let Some(budget) = &self.budget {
            budget.put_in();
        }
        let mut held: Option<Held<T, E>> = None;
        let mut made = 0;
        let refusal = loop {
            if self.is_late(Duration::ZERO) {
                break NotPermitted::DeadlinePassed;
            }
            let end = match scope::repeated(attempt()).await {
                Err(CallError::NotPermitted(refusal)) => break refusal,
                end => end,
            };
            made += 1;
            metrics::attempt(&self.name);
            let verdict = Outcome::of(&end).map_or(Verdict::ignored(), |outcome| classify.verdict(&outcome));
            let wait = if made < attempts_max { self.wait(made, verdict) } else { None };
            let repeatable = verdict.retry_after.is_some();
            let now_held = Held { end, unknown: verdict.unknown, repeatable }.or_still(held.take());
            let Some(wait) = wait else { return self.finish(now_held, made) };
            held = Some(now_held);
            tracing::debug!(retry = &*self.name, made, ?wait, "a call is made again");
            tokio::time::sleep(wait).await;
        };
        let Some(held) = held else {
            metrics::retry(&self.name, "failed_without_retry");
            return Err(refusal.into());
        };
        self.finish(held, made)
    }

    /// How long to wait before the next attempt; none if there is to be none.
    fn wait(&self, made: u32, verdict: Verdict) -> Option<Duration> {
        let asked = verdict.retry_after.filter(|asked| *asked <= self.options.asked_wait_max)?;
        let longest = self.options.backoff.wait(made - 1);
        let wait = asked + between(&*self.environment.randomness, self.options.floor, longest);
        if self.is_late(wait) {
            return None;
        }
        // Last, so that only retries that take place use the budget up.
        self.budget.as_ref().is_none_or(RetryBudget::take).then_some(wait)
    }

    /// Whether the deadline has passed by then.
    fn is_late(&self, wait: Duration) -> bool {
        scope::deadline().is_some_and(|deadline| self.environment.clock.now() + wait >= deadline)
    }

    fn finish<T, E>(&self, held: Held<T, E>, made: u32) -> Result<T, CallError<E>> {
        let kind = match (held.is_accepted(), made > 1) {
            (true, false) => "successful_without_retry",
            (true, true) => "successful_with_retry",
            (false, false) => "failed_without_retry",
            (false, true) => "failed_with_retry",
        };
        metrics::retry(&self.name, kind);
        match held.end {
            Ok(_) if held.repeatable && self.options.fail_on_last_result => {
                Err(CallError::NotAccepted { attempts: made })
            }
            end => end,
        }
    }
}

#[cfg(test)]
mod tests;
