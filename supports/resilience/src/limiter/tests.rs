use tokio::time::Instant;

use super::*;
use crate::testing::{End, Fault, SECOND, environment, measured, ms};
use crate::{NotPermitted, within};

fn limiter(limit: Duration) -> TimeLimiter {
    TimeLimiter::new("charge", TimeLimiterOptions { limit }, environment()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_an_outcome_of_its_own_and_ends_the_call() {
    let alive = Arc::new(());
    let running = alive.clone();
    let began = Instant::now();
    let call = async {
        let end = std::future::pending::<End>().await;
        drop(running);
        end
    };
    assert_eq!(limiter(SECOND).run(call).await, Err(CallError::TimedOut(SECOND)));
    assert_eq!(began.elapsed(), SECOND);
    assert_eq!(Arc::strong_count(&alive), 1, "the call was dropped");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_in_time_is_given_back_as_it_is() {
    let in_time = async {
        tokio::time::sleep(ms(999)).await; // tidy: sleep a call that takes this long
        Err(CallError::Inner(Fault::Refused))
    };
    let end: End = limiter(SECOND).run(in_time).await;
    assert_eq!(end, Err(CallError::Inner(Fault::Refused)));
}

#[tokio::test(start_paused = true)]
async fn a_nearer_deadline_shortens_the_limit() {
    let began = Instant::now();
    let hangs = || std::future::pending::<End>();
    assert_eq!(
        within(began + ms(300), limiter(SECOND).run(hangs())).await,
        Err(CallError::TimedOut(ms(300)))
    );
    assert_eq!(began.elapsed(), ms(300));
    assert_eq!(
        within(began + 60 * SECOND, limiter(SECOND).run(hangs())).await,
        Err(CallError::TimedOut(SECOND))
    );
}

#[test]
fn calls_are_counted_by_end() {
    measured(|value| {
        let limiter = limiter(SECOND);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let run = |end: End| limiter.run(async { end });
            run(Ok(1)).await.unwrap();
            run(Err(CallError::Inner(Fault::Lost))).await.unwrap_err();
            run(Err(NotPermitted::DeadlinePassed.into())).await.unwrap_err();
            limiter.run(std::future::pending::<End>()).await.unwrap_err();
        });
        for kind in ["successful", "failed", "timeout"] {
            let series = format!("resilience4j_timelimiter_calls_total{{name=\"charge\",kind=\"{kind}\"}}");
            assert_eq!(value(&series), Some(1.0), "{kind}");
        }
    });
}

#[test]
fn an_option_that_means_nothing_is_named() {
    let options = TimeLimiterOptions { limit: Duration::ZERO };
    let error = TimeLimiter::new("charge", options, environment()).unwrap_err();
    assert_eq!(error.to_string(), "time limiter `charge`: `limit` is 0ns; expected 1ms to 86400s");
    assert_eq!(TimeLimiterOptions::default().limit, SECOND);
}
