//! What surrounds each call: repetition, breaker, limit of time, bounded number.

use std::time::Duration;

use commerce_resilience::{
    Backoff, BreakerOptions, BreakerRegistry, Bulkhead, BulkheadOptions, Classify, Environment, OptionsError,
    Outcome, Pipeline, RegistryError, Retry, RetryBudget, RetryOptions, TimeLimiter, TimeLimiterOptions,
    Verdict, WindowKind,
};

use super::fault::Fault;
use super::options::GatewayOptions;

/// The waits between attempts grow up to this, or to the first one where that is longer.
const RETRY_WAIT_MAX: Duration = Duration::from_mins(1);
/// Repetitions that are there from the start and saved up at most.
const RETRY_RESERVE: u32 = 100;

/// Whether a repetition can do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only asks: the last answer counts.
    Question,
    /// It does something, at most once however often it is sent.
    Effect,
    /// It does something each time: repeated only where nothing had left.
    Unsafe,
}

impl<T> Classify<T, Fault> for Repeat {
    fn verdict(&self, outcome: &Outcome<'_, T, Fault>) -> Verdict {
        match (outcome, self) {
            // Who says no in the words of the protocol is well.
            (Outcome::Answered(_) | Outcome::Failed(Fault::Refused { .. }), _) => Verdict::success(),
            (Outcome::Failed(Fault::NotSent(_)), _)
            | (Outcome::Failed(Fault::Unknown(_)) | Outcome::TimedOut(_), Self::Question) => {
                Verdict::failure().retry()
            }
            // Once an effect may have been sent, a later attempt that was refused or not sent proves nothing of the first.
            (Outcome::Failed(Fault::Unknown(_)) | Outcome::TimedOut(_), Self::Effect) => {
                Verdict::failure().retry().unknown()
            }
            (Outcome::Failed(Fault::Unknown(_)) | Outcome::TimedOut(_), Self::Unsafe) => {
                Verdict::failure().unknown()
            }
        }
    }
}

/// One for each kind of call, so that what is down of the gateway does not stop the rest. They share places and the
/// budget of repetitions.
pub(super) struct Pipelines {
    pub(super) charge: Pipeline,
    pub(super) query: Pipeline,
    pub(super) refund: Pipeline,
}

impl Pipelines {
    /// Their breakers stand in `breakers` from then on.
    pub(super) fn new(options: &GatewayOptions, breakers: &BreakerRegistry) -> Result<Self, RegistryError> {
        let calls_max = u32::try_from(options.bulkhead_max).unwrap_or(u32::MAX);
        let bulkhead = Bulkhead::new("gateway", BulkheadOptions { calls_max, ..BulkheadOptions::default() })?;
        let budget = RetryBudget::new(options.retry_budget_percent, RETRY_RESERVE);
        let pipeline = |name: &str| -> Result<Pipeline, RegistryError> {
            Ok(Pipeline {
                retry: retry(name, options, &budget)?,
                breaker: breakers.register(name, breaker_options(options))?,
                limiter: limiter(name, options)?,
                bulkhead: bulkhead.clone(),
            })
        };
        Ok(Self {
            charge: pipeline("gateway-charge")?,
            query: pipeline("gateway-query")?,
            refund: pipeline("gateway-refund")?,
        })
    }
}

fn retry(name: &str, options: &GatewayOptions, budget: &RetryBudget) -> Result<Retry, OptionsError> {
    Retry::new(name, retry_options(options), Some(budget.clone()), Environment::default())
}

fn limiter(name: &str, options: &GatewayOptions) -> Result<TimeLimiter, OptionsError> {
    TimeLimiter::new(name, TimeLimiterOptions { limit: options.call_timeout }, Environment::default())
}

/// How often and when a call is made again.
pub(super) fn retry_options(options: &GatewayOptions) -> RetryOptions {
    let first = options.retry_first;
    RetryOptions {
        attempts: options.attempts_max,
        backoff: Backoff { first, multiplier: 2.0, cap: RETRY_WAIT_MAX.max(first) },
        floor: first / 10,
        // Nothing of the protocol asks for a wait.
        asked_wait_max: Duration::ZERO,
        ..RetryOptions::default()
    }
}

fn breaker_options(options: &GatewayOptions) -> BreakerOptions {
    let breaker = &options.breaker;
    BreakerOptions {
        failure_rate: breaker.failure_rate,
        slow_call_rate: breaker.slow_call_rate,
        slow_call: breaker.slow_call,
        window: WindowKind::Count(breaker.window_calls),
        calls_min: breaker.calls_min,
        open_wait: Backoff::constant(breaker.open_wait),
        half_open_permits: breaker.half_open_calls,
        // Longer than a call takes: its result decides, not the wait for it.
        half_open_wait_max: Some(breaker.open_wait.max(options.call_timeout.saturating_mul(2))),
        ..BreakerOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_sent() -> Fault {
        Fault::NotSent("no connection".to_owned())
    }

    fn unknown() -> Fault {
        Fault::Unknown("silence".to_owned())
    }

    fn refused() -> Fault {
        Fault::Refused { status: 400, text: "no".to_owned() }
    }

    fn of(repeat: Repeat, fault: &Fault) -> Verdict {
        repeat.verdict(&Outcome::<(), Fault>::Failed(fault))
    }

    #[test]
    fn only_what_can_do_no_harm_is_repeated() {
        for repeat in [Repeat::Question, Repeat::Effect, Repeat::Unsafe] {
            assert_eq!(of(repeat, &not_sent()), Verdict::failure().retry(), "{repeat:?}");
            assert_eq!(of(repeat, &refused()), Verdict::success(), "{repeat:?}");
        }
        assert_eq!(of(Repeat::Question, &unknown()), Verdict::failure().retry());
        assert_eq!(of(Repeat::Effect, &unknown()), Verdict::failure().retry().unknown());
        assert_eq!(of(Repeat::Unsafe, &unknown()), Verdict::failure().unknown());
    }

    #[test]
    fn a_call_that_took_too_long_is_unknown() {
        let timed_out = Outcome::<(), Fault>::TimedOut(Duration::from_secs(2));
        for repeat in [Repeat::Question, Repeat::Effect, Repeat::Unsafe] {
            assert_eq!(repeat.verdict(&timed_out), of(repeat, &unknown()), "{repeat:?}");
        }
    }

    /// How a call ends whose attempts fail like this, and how many of them there were.
    async fn end(repeat: Repeat, faults: Vec<Fault>) -> (Fault, usize) {
        let first = Duration::from_millis(1);
        let options = RetryOptions {
            backoff: Backoff { first, multiplier: 2.0, cap: first },
            floor: Duration::ZERO,
            ..RetryOptions::default()
        };
        let retry = Retry::new("test", options, None, Environment::default()).unwrap();
        let left = std::sync::Mutex::new(faults.clone().into_iter());
        let attempt = || async {
            let fault = left.lock().unwrap().next().unwrap();
            Err::<(), _>(commerce_resilience::CallError::Inner(fault))
        };
        let end = retry.run(&repeat, attempt).await;
        let Err(commerce_resilience::CallError::Inner(fault)) = end else { panic!("{end:?}") };
        (fault, faults.len() - left.lock().unwrap().len())
    }

    #[tokio::test]
    async fn a_question_is_asked_three_times_and_the_last_answer_counts() {
        let silence = vec![unknown(), unknown(), not_sent(), not_sent()];
        assert_eq!(end(Repeat::Question, silence).await, (not_sent(), 3));
        assert_eq!(end(Repeat::Question, vec![unknown(), refused()]).await, (refused(), 2));
    }

    #[tokio::test]
    async fn an_effect_that_may_have_been_sent_stays_unknown() {
        assert_eq!(end(Repeat::Effect, vec![unknown(), refused()]).await, (unknown(), 2));
        assert_eq!(end(Repeat::Effect, vec![unknown(), not_sent(), not_sent()]).await, (unknown(), 3));
        assert_eq!(end(Repeat::Effect, vec![not_sent(), refused()]).await, (refused(), 2));
        assert_eq!(end(Repeat::Effect, vec![not_sent(), not_sent(), not_sent()]).await, (not_sent(), 3));
    }

    #[tokio::test]
    async fn what_must_not_be_done_twice_is_repeated_only_where_nothing_had_left() {
        assert_eq!(end(Repeat::Unsafe, vec![unknown()]).await, (unknown(), 1));
        assert_eq!(end(Repeat::Unsafe, vec![not_sent(), unknown()]).await, (unknown(), 2));
        assert_eq!(end(Repeat::Unsafe, vec![not_sent(), not_sent(), not_sent()]).await, (not_sent(), 3));
    }
}
