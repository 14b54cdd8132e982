use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::testing::{End, Fault, SECOND, environment, gateway, judge, ms};
use crate::{Backoff, BreakerState, BulkheadOptions, NotPermitted, RetryOptions, TimeLimiterOptions, within};

fn pipeline(slots: BulkheadOptions) -> Pipeline {
    let options = RetryOptions {
        backoff: Backoff { first: SECOND, multiplier: 2.0, cap: 5 * SECOND },
        ..RetryOptions::default()
    };
    Pipeline {
        retry: Retry::new("charge", options, None, environment()).unwrap(),
        breaker: CircuitBreaker::new("charge", gateway(), environment(), Vec::new()).unwrap(),
        limiter: TimeLimiter::new("charge", TimeLimiterOptions { limit: 2 * SECOND }, environment()).unwrap(),
        bulkhead: Bulkhead::new("gateway", slots).unwrap(),
    }
}

/// One step of a script: how the attempt ends; `None` hangs.
type Script = Vec<Option<Result<u32, Fault>>>;

/// The other side: attempts end as the script says, then with 1.
#[derive(Default)]
struct Backend {
    script: Mutex<VecDeque<Option<Result<u32, Fault>>>>,
    sent: Mutex<u32>,
}

impl Backend {
    fn new(script: Script) -> Self {
        Self { script: Mutex::new(script.into()), ..Self::default() }
    }

    async fn answer(&self) -> Result<u32, Fault> {
        *self.sent.lock().unwrap() += 1;
        let step = self.script.lock().unwrap().pop_front();
        match step {
            Some(Some(end)) => end,
            Some(None) => std::future::pending().await,
            None => Ok(1),
        }
    }

    fn sent(&self) -> u32 {
        *self.sent.lock().unwrap()
    }
}

async fn call(pipeline: &Pipeline, backend: &Backend) -> End {
    pipeline.call(&judge, || backend.answer()).await
}

#[tokio::test(start_paused = true)]
async fn the_breaker_sees_each_attempt() {
    let pipeline = pipeline(BulkheadOptions::default());
    let backend = Backend::new(vec![Some(Err(Fault::NotSent)), None, Some(Ok(7))]);
    assert_eq!(call(&pipeline, &backend).await, Ok(7));
    let snapshot = pipeline.breaker.snapshot();
    assert_eq!((snapshot.buffered_calls, snapshot.failed_calls, snapshot.slow_failed_calls), (3, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stops_retries_at_once_and_nothing_more_is_sent() {
    let pipeline = pipeline(BulkheadOptions::default());
    let backend = Backend::new(vec![Some(Err(Fault::NotSent)); 100]);
    call(&pipeline, &backend).await.unwrap_err();
    assert_eq!(backend.sent(), 3);
    // The fifth failure opens it in the middle of this call.
    let began = Instant::now();
    assert_eq!(call(&pipeline, &backend).await, Err(CallError::Inner(Fault::NotSent)));
    assert_eq!((pipeline.breaker.state(), backend.sent()), (BreakerState::Open, 5));
    assert!(began.elapsed() < 5 * SECOND);
    let now = Instant::now();
    let refused = call(&pipeline, &backend).await.unwrap_err();
    assert!(matches!(refused.not_permitted(), Some(NotPermitted::BreakerOpen { .. })), "{refused:?}");
    assert_eq!((backend.sent(), now.elapsed()), (5, Duration::ZERO));
}

/// Point 8.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_is_never_told_as_not_permitted_or_failed() {
    #[derive(Debug, PartialEq)]
    enum Charge {
        Answered(u32),
        /// Accepted, outcome pending: not sent yet.
        Waits,
        /// Accepted, outcome pending: to be asked for.
        Asked,
        Declined,
    }
    let told = |end: End| match end {
        Ok(answer) => Charge::Answered(answer),
        Err(CallError::NotPermitted(_) | CallError::Inner(Fault::NotSent | Fault::Busy(_))) => Charge::Waits,
        Err(CallError::TimedOut(_) | CallError::NotAccepted { .. } | CallError::Inner(Fault::Lost)) => {
            Charge::Asked
        }
        Err(CallError::Inner(Fault::Refused)) => Charge::Declined,
    };
    let lost = Some(Err(Fault::Lost));
    let scripts: [(Script, Charge); 5] = [
        (vec![lost, lost, lost], Charge::Asked),
        (vec![lost, Some(Err(Fault::Refused))], Charge::Asked),
        (vec![None, Some(Err(Fault::NotSent)), Some(Err(Fault::NotSent))], Charge::Asked),
        (vec![Some(Err(Fault::Refused))], Charge::Declined),
        (vec![lost, Some(Ok(9))], Charge::Answered(9)),
    ];
    for (script, expected) in scripts {
        let pipeline = pipeline(BulkheadOptions::default());
        assert_eq!(told(call(&pipeline, &Backend::new(script.clone())).await), expected, "{script:?}");
    }
    // The breaker opens between the attempts of a call whose first attempt was lost.
    let pipeline = pipeline(BulkheadOptions::default());
    let backend = Backend::new(vec![lost]);
    let end = pipeline
        .call(&judge, || async {
            let end = backend.answer().await;
            pipeline.breaker.force_open();
            end
        })
        .await;
    assert_eq!((told(end), backend.sent()), (Charge::Asked, 1));
    assert_eq!((told(call(&pipeline, &backend).await), backend.sent()), (Charge::Waits, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_is_no_failure_of_the_backend_and_ends_the_call() {
    let pipeline = pipeline(BulkheadOptions { calls_max: 1, wait: Duration::ZERO });
    let slot = pipeline.bulkhead.acquire().await.unwrap();
    let backend = Backend::default();
    for _ in 0..20 {
        let refused = call(&pipeline, &backend).await.unwrap_err();
        assert!(matches!(refused.not_permitted(), Some(NotPermitted::BulkheadFull { .. })), "{refused:?}");
    }
    let snapshot = pipeline.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls, backend.sent()), (BreakerState::Closed, 0, 0));
    drop(slot);
    assert_eq!(call(&pipeline, &backend).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn time_that_is_used_up_waiting_for_a_slot_was_no_call() {
    let pipeline = pipeline(BulkheadOptions { calls_max: 1, wait: 60 * SECOND });
    let _slot = pipeline.bulkhead.acquire().await.unwrap();
    let backend = Backend::default();
    let refused = call(&pipeline, &backend).await.unwrap_err();
    assert!(matches!(refused.not_permitted(), Some(NotPermitted::BulkheadFull { .. })), "{refused:?}");
    assert_eq!((pipeline.breaker.snapshot().buffered_calls, backend.sent()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_gives_the_slot_and_the_permit_back() {
    let pipeline = pipeline(BulkheadOptions { calls_max: 1, wait: Duration::ZERO });
    let backend = Backend::new(vec![None, None, None]);
    assert_eq!(call(&pipeline, &backend).await, Err(CallError::TimedOut(2 * SECOND)));
    assert_eq!(backend.sent(), 3);
    assert_eq!(pipeline.bulkhead.snapshot().available, 1);
    let snapshot = pipeline.breaker.snapshot();
    assert_eq!((snapshot.failed_calls, snapshot.slow_failed_calls), (3, 3));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn a_deadline_bounds_attempts_and_waits_together() {
    let pipeline = pipeline(BulkheadOptions::default());
    let began = Instant::now();
    let backend = Backend::new(vec![None; 6]);
    let end = within(began + ms(1_500), call(&pipeline, &backend)).await;
    assert_eq!((end, began.elapsed()), (Err(CallError::TimedOut(ms(1_500))), ms(1_500)));
    let began = Instant::now();
    let end = within(began + ms(5_500), call(&pipeline, &backend)).await;
    assert!(matches!(end, Err(CallError::TimedOut(_))), "{end:?}");
    assert!(began.elapsed() > ms(3_500) && began.elapsed() <= ms(5_500), "{:?}", began.elapsed());
    let sent = backend.sent();
    assert_eq!(within(began, call(&pipeline, &backend)).await, Err(NotPermitted::DeadlinePassed.into()));
    assert_eq!(backend.sent(), sent);
}

/// Point 6: a query goes on while charges are refused.
#[tokio::test(start_paused = true)]
async fn queries_survive_an_outage_of_charges() {
    let charges = pipeline(BulkheadOptions::default());
    let breaker = CircuitBreaker::new("query", gateway(), environment(), Vec::new()).unwrap();
    let queries = Pipeline { breaker, ..charges.clone() };
    let down = Backend::new(vec![Some(Err(Fault::NotSent)); 10]);
    for _ in 0..2 {
        call(&charges, &down).await.unwrap_err();
    }
    let refused = call(&charges, &down).await.unwrap_err();
    assert!(refused.not_permitted().is_some());
    assert_eq!(call(&queries, &Backend::default()).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let pipeline = pipeline(BulkheadOptions { calls_max: 1, wait: Duration::ZERO });
    let (there, backend) = (pipeline.clone(), std::sync::Arc::new(Backend::new(vec![None])));
    let at = backend.clone();
    let running = tokio::spawn(async move { call(&there, &at).await });
    while backend.sent() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pipeline.bulkhead.snapshot().available, 0);
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(pipeline.bulkhead.snapshot().available, 1);
    let snapshot = pipeline.breaker.snapshot();
    assert_eq!((snapshot.cancelled_calls, snapshot.buffered_calls), (1, 0));
}
