//! The layers as a client of a payment gateway uses them, from outside the crate.
#![cfg(test)]

use std::pin::Pin;
use std::time::Duration;

use commerce_resilience::{
    Backoff, BreakerOptions, BreakerRegistry, BreakerState, Bulkhead, BulkheadOptions, CallError, Classify,
    Environment, Outcome, Pipeline, Retry, RetryBudget, RetryOptions, TimeLimiter, TimeLimiterOptions,
    Verdict, WindowKind,
};

/// Why one call brought nothing.
#[derive(Debug, PartialEq)]
enum Fault {
    NotSent,
    Unknown,
    Refused,
}

/// What may be repeated, and what is left open.
#[derive(Clone, Copy)]
enum Repeat {
    /// It only asks.
    Question,
    /// It does something each time: repeated only where nothing had left.
    Unsafe,
}

impl<T> Classify<T, Fault> for Repeat {
    fn verdict(&self, outcome: &Outcome<'_, T, Fault>) -> Verdict {
        match (outcome, self) {
            (Outcome::Answered(_), _) => Verdict::success(),
            (Outcome::Failed(Fault::Refused), _) => Verdict::ignored(),
            (Outcome::Failed(Fault::NotSent), _)
            | (Outcome::Failed(Fault::Unknown) | Outcome::TimedOut(_), Self::Question) => {
                Verdict::failure().retry()
            }
            (Outcome::Failed(Fault::Unknown) | Outcome::TimedOut(_), Self::Unsafe) => {
                Verdict::failure().unknown()
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn breaker_options() -> BreakerOptions {
    BreakerOptions {
        slow_call_rate: 70,
        slow_call: SECOND,
        window: WindowKind::Count(10),
        calls_min: 5,
        open_wait: Backoff::constant(10 * SECOND),
        half_open_permits: 2,
        half_open_wait_max: Some(10 * SECOND),
        ..BreakerOptions::default()
    }
}

fn retry_options() -> RetryOptions {
    RetryOptions {
        backoff: Backoff { first: SECOND, multiplier: 2.0, cap: 2 * SECOND },
        floor: SECOND / 10,
        asked_wait_max: 2 * SECOND,
        ..RetryOptions::default()
    }
}

/// One for each of charge, query and refund; they share slots and the budget.
fn pipelines(registry: &BreakerRegistry) -> [Pipeline; 3] {
    let environment = Environment::default();
    let bulkhead =
        Bulkhead::new("gateway", BulkheadOptions { calls_max: 64, ..BulkheadOptions::default() }).unwrap();
    let budget = RetryBudget::new(10, 100);
    ["charge", "query", "refund"].map(|call| Pipeline {
        retry: Retry::new(call, retry_options(), Some(budget.clone()), environment.clone()).unwrap(),
        breaker: registry.register(call, breaker_options()).unwrap(),
        limiter: TimeLimiter::new(call, TimeLimiterOptions { limit: 2 * SECOND }, environment.clone())
            .unwrap(),
        bulkhead: bulkhead.clone(),
    })
}

/// A port's method: its future is boxed and sent to another thread.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<u32, CallError<Fault>>> + Send + 'a>>;

/// Each attempt ends like this; `None` hangs.
type End = Option<fn() -> Result<u32, Fault>>;

const ANSWERED: End = Some(|| Ok(1));

fn ask(pipeline: &Pipeline, repeat: Repeat, end: End) -> Answer<'_> {
    Box::pin(async move {
        let call = || async move {
            match end {
                Some(end) => end(),
                None => std::future::pending().await,
            }
        };
        pipeline.call(&repeat, call).await
    })
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_hangs_opens_the_breaker_of_charges_and_queries_go_on() {
    let registry = BreakerRegistry::default();
    let [charge, query, _refund] = pipelines(&registry);
    for _ in 0..5 {
        // Sent, and never told as anything but unknown; not repeated either.
        assert_eq!(ask(&charge, Repeat::Unsafe, None).await, Err(CallError::TimedOut(2 * SECOND)));
    }
    let refused = ask(&charge, Repeat::Unsafe, ANSWERED).await.unwrap_err();
    assert!(refused.not_permitted().is_some(), "{refused:?}");
    assert_eq!(ask(&query, Repeat::Question, ANSWERED).await, Ok(1));
    let states: Vec<_> = registry.snapshots().into_iter().map(|snapshot| snapshot.state).collect();
    assert_eq!(states, [BreakerState::Open, BreakerState::Closed, BreakerState::Closed]);

    tokio::time::advance(10 * SECOND).await;
    for _ in 0..2 {
        assert_eq!(ask(&charge, Repeat::Unsafe, ANSWERED).await, Ok(1));
    }
    assert_eq!(charge.breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_charge_is_sent_again_only_if_it_had_not_left() {
    let attempts = async |repeat, end| {
        let [charge, ..] = pipelines(&BreakerRegistry::default());
        ask(&charge, repeat, end).await.unwrap_err();
        charge.breaker.snapshot().buffered_calls
    };
    assert_eq!(attempts(Repeat::Unsafe, Some(|| Err(Fault::NotSent))).await, 3);
    assert_eq!(attempts(Repeat::Unsafe, Some(|| Err(Fault::Unknown))).await, 1);
    assert_eq!(attempts(Repeat::Question, Some(|| Err(Fault::Unknown))).await, 3);
    assert_eq!(attempts(Repeat::Question, Some(|| Err(Fault::Refused))).await, 0, "a refusal is no failure");
}

#[test]
fn a_lease_must_outlast_this() {
    assert_eq!(retry_options().longest(2 * SECOND), (3 * 2 + (2 + 1) + (2 + 2)) * SECOND);
}
