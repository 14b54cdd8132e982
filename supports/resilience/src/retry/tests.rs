use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::testing::{End, Fault, SECOND, environment, judge, measured, ms};
use crate::{Backoff, BreakerState, within};

mod waits;

/// As the gateway's: three attempts, about one and two seconds apart.
fn options() -> RetryOptions {
    RetryOptions {
        attempts: 3,
        backoff: Backoff { first: SECOND, multiplier: 2.0, cap: 5 * SECOND },
        floor: ms(100),
        asked_wait_max: 5 * SECOND,
        fail_on_last_result: false,
    }
}

fn retry(options: RetryOptions, budget: Option<RetryBudget>) -> Retry {
    Retry::new("charge", options, budget, environment()).unwrap()
}

const fn failed(fault: Fault) -> End {
    Err(CallError::Inner(fault))
}

fn refused() -> End {
    let refusal =
        NotPermitted::BreakerOpen { breaker: "charge".into(), state: BreakerState::Open, retry_after: None };
    Err(refusal.into())
}

/// What a call comes to whose attempts end like this, and how many of them are used.
async fn ends(retry: &Retry, ends: impl IntoIterator<Item = End>) -> (End, usize) {
    let ends: Mutex<VecDeque<End>> = Mutex::new(ends.into_iter().collect());
    let before = ends.lock().unwrap().len();
    let next = || {
        let end = ends.lock().unwrap().pop_front().expect("an attempt too many");
        async { end }
    };
    let end = retry.run(&judge, next).await;
    let used = before - ends.lock().unwrap().len();
    (end, used)
}

#[tokio::test(start_paused = true)]
async fn the_attempts_count_the_first_one() {
    let retry = retry(options(), None);
    assert_eq!(ends(&retry, vec![failed(Fault::NotSent); 4]).await, (failed(Fault::NotSent), 3));
    assert_eq!(ends(&retry, [failed(Fault::NotSent), Ok(7), Ok(8)]).await, (Ok(7), 2));
    let once = Retry { options: RetryOptions { attempts: 1, ..options() }, ..retry };
    assert_eq!(ends(&once, [failed(Fault::NotSent), Ok(7)]).await, (failed(Fault::NotSent), 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_not_to_be_repeated_ends_it() {
    let retry = retry(options(), None);
    assert_eq!(ends(&retry, [failed(Fault::Refused), Ok(1)]).await, (failed(Fault::Refused), 1));
    let later = [failed(Fault::NotSent), failed(Fault::Refused), Ok(1)];
    assert_eq!(ends(&retry, later).await, (failed(Fault::Refused), 2));
}

#[tokio::test(start_paused = true)]
async fn a_result_can_be_repeated_and_the_last_one_is_given_back_or_fails() {
    let retry = retry(options(), None);
    assert_eq!(ends(&retry, [Ok(0), Ok(1), Ok(2)]).await, (Ok(1), 2));
    assert_eq!(ends(&retry, [Ok(0), Ok(0), Ok(0), Ok(1)]).await, (Ok(0), 3));
    let strict = Retry { options: RetryOptions { fail_on_last_result: true, ..options() }, ..retry };
    assert_eq!(ends(&strict, [Ok(0), Ok(1)]).await, (Ok(1), 2));
    let end = ends(&strict, [Ok(0), Ok(0), Ok(0)]).await;
    assert_eq!(end, (Err(CallError::NotAccepted { attempts: 3 }), 3));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_unknown_stays_so_until_an_answer() {
    let retry = retry(options(), None);
    let lost = failed(Fault::Lost);
    let timed_out: End = Err(CallError::TimedOut(SECOND));
    for first in [lost, timed_out] {
        for second in [failed(Fault::Refused), refused()] {
            assert_eq!(ends(&retry, [first.clone(), second]).await, (first.clone(), 2));
        }
        let worse = [first.clone(), failed(Fault::NotSent), failed(Fault::NotSent)];
        assert_eq!(ends(&retry, worse).await, (first.clone(), 3));
        assert_eq!(ends(&retry, [first.clone(), Ok(0), Ok(0)]).await, (first.clone(), 3));
        assert_eq!(ends(&retry, [first.clone(), Ok(9)]).await, (Ok(9), 2));
    }
}

/// Point 8.
#[tokio::test(start_paused = true)]
async fn a_refusal_ends_it_at_once_and_is_told_only_if_nothing_was_sent() {
    let retry = retry(options(), None);
    let began = Instant::now();
    let (end, used) = ends(&retry, [refused(), Ok(1)]).await;
    assert_eq!((&end, used), (&refused(), 1));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(end.unwrap_err().not_permitted().is_some());
    for sent in [failed(Fault::NotSent), failed(Fault::Lost), Err(CallError::TimedOut(SECOND)), Ok(0)] {
        let (end, used) = ends(&retry, [sent.clone(), refused(), Ok(1)]).await;
        assert_eq!((end, used), (sent, 2));
    }
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn a_budget_lets_a_share_of_the_calls_be_repeated() {
    let budget = RetryBudget::new(10, 2);
    let (one, other) = (retry(options(), Some(budget.clone())), retry(options(), Some(budget.clone())));
    assert_eq!(ends(&one, vec![failed(Fault::NotSent); 3]).await.1, 3);
    assert_eq!(budget.left(), 0);
    for _ in 0..9 {
        assert_eq!(ends(&other, vec![failed(Fault::NotSent); 3]).await.1, 1, "nothing is left");
    }
    assert_eq!(ends(&other, vec![failed(Fault::NotSent); 3]).await.1, 2, "ten calls earned one");
    for _ in 0..1_000 {
        assert_eq!(ends(&one, [Ok(1)]).await.1, 1);
    }
    assert_eq!(budget.left(), 2, "no more than the reserve");
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_past_the_deadline() {
    let retry = retry(RetryOptions { floor: SECOND, ..options() }, None);
    let began = Instant::now();
    let (end, used) = within(began + SECOND, ends(&retry, [failed(Fault::NotSent), Ok(1)])).await;
    assert_eq!((end, used, began.elapsed()), (failed(Fault::NotSent), 1, Duration::ZERO));
    let later = began + SECOND + ms(1);
    let (end, used) = within(later, ends(&retry, [failed(Fault::NotSent), Ok(1)])).await;
    assert_eq!((end, used, began.elapsed()), (Ok(1), 2, SECOND));
    let (end, used) = within(began, ends(&retry, [Ok(1)])).await;
    assert_eq!((end, used), (Err(NotPermitted::DeadlinePassed.into()), 0));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn the_nearest_deadline_counts() {
    let retry = retry(options(), None);
    let now = Instant::now();
    let inner = within(now + 60 * SECOND, ends(&retry, [Ok(1)]));
    assert_eq!(within(now, inner).await.0, Err(NotPermitted::DeadlinePassed.into()));
    let inner = within(now, ends(&retry, [Ok(1)]));
    assert_eq!(within(now + 60 * SECOND, inner).await.0, Err(NotPermitted::DeadlinePassed.into()));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn only_the_outermost_retry_repeats() {
    let (outer, inner) = (retry(options(), None), retry(options(), None));
    let attempts = Mutex::new(0);
    let call = || async {
        *attempts.lock().unwrap() += 1;
        failed(Fault::NotSent)
    };
    let end = outer.run(&judge, || inner.run(&judge, call)).await;
    assert_eq!((end, *attempts.lock().unwrap()), (failed(Fault::NotSent), 3));
    inner.run(&judge, call).await.unwrap_err();
    assert_eq!(*attempts.lock().unwrap(), 6, "on its own it repeats");
}

#[test]
fn calls_are_counted_by_end_and_by_whether_they_were_repeated() {
    measured(|value| {
        let retry = retry(options(), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            ends(&retry, [Ok(1)]).await.0.unwrap();
            ends(&retry, [failed(Fault::NotSent), Ok(1)]).await.0.unwrap();
            ends(&retry, [failed(Fault::Refused)]).await.0.unwrap_err();
            ends(&retry, [refused()]).await.0.unwrap_err();
            ends(&retry, vec![failed(Fault::NotSent); 3]).await.0.unwrap_err();
            ends(&retry, [Ok(0), Ok(0), Ok(0)]).await.0.unwrap();
        });
        let count =
            |kind: &str| value(&format!("resilience4j_retry_calls_total{{name=\"charge\",kind=\"{kind}\"}}"));
        assert_eq!(count("successful_without_retry"), Some(1.0));
        assert_eq!(count("successful_with_retry"), Some(1.0));
        assert_eq!(count("failed_without_retry"), Some(2.0));
        assert_eq!(count("failed_with_retry"), Some(2.0));
        assert_eq!(value("resilience4j_retry_attempts_total{name=\"charge\"}"), Some(10.0));
    });
}

#[test]
fn an_option_that_means_nothing_is_named() {
    let bad = [
        RetryOptions { attempts: 0, ..options() },
        RetryOptions { attempts: 101, ..options() },
        RetryOptions { floor: 2 * SECOND, ..options() },
        RetryOptions { asked_wait_max: Duration::MAX, ..options() },
        RetryOptions { backoff: Backoff { multiplier: 0.5, ..options().backoff }, ..options() },
    ];
    for options in bad {
        let error = Retry::new("charge", options, None, environment()).unwrap_err();
        assert!(error.to_string().starts_with("retry `charge`: `"), "{error}");
    }
    assert!(Retry::new("charge", RetryOptions::default(), None, environment()).is_ok());
}
