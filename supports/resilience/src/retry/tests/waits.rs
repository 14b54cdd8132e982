//! The waits between attempts.

use super::*;
use crate::SeededRandomness;

const AGAIN: Verdict = Verdict::failure().retry();

/// Waits after `made` attempts, of a thousand clients.
fn waits(options: RetryOptions, made: u32, verdict: Verdict) -> Vec<Duration> {
    let client = |seed| {
        let environment = Environment { randomness: Arc::new(SeededRandomness::new(seed)), ..environment() };
        Retry::new("charge", options, None, environment).unwrap().wait(made, verdict).unwrap()
    };
    let mut waits: Vec<_> = (0..1_000).map(client).collect();
    waits.sort_unstable();
    waits
}

/// Point 4.
#[tokio::test(start_paused = true)]
async fn waits_spread_over_the_whole_range_even_where_the_cap_is_reached() {
    // After the second attempt the cap of 5 s is exceeded eightfold.
    let options = RetryOptions {
        backoff: Backoff { first: 4 * SECOND, multiplier: 10.0, cap: 5 * SECOND },
        attempts: 10,
        ..options()
    };
    for (made, longest) in [(1, 4 * SECOND), (2, 5 * SECOND), (9, 5 * SECOND)] {
        let waits = waits(options, made, AGAIN);
        assert!(waits[0] >= options.floor && waits[999] <= longest, "{made}");
        let quarters = [249, 499, 749].map(|i| waits[i].as_secs_f64() / longest.as_secs_f64());
        for (quarter, expected) in quarters.into_iter().zip([0.25, 0.5, 0.75]) {
            assert!((quarter - expected).abs() < 0.06, "{made}: {quarters:?}");
        }
        let mut apart = waits.clone();
        apart.dedup();
        assert!(apart.len() > 990, "{} clients wait equally long", 1_000 - apart.len());
    }
}

/// Point 4.
#[tokio::test(start_paused = true)]
async fn no_wait_is_below_the_floor() {
    let high = RetryOptions { floor: 900 * ms(1), ..options() };
    let waits = waits(high, 1, AGAIN);
    assert!(waits[0] >= 900 * ms(1) && waits[999] <= SECOND);
    assert!(waits[0] < waits[999], "they spread above the floor");
    assert!(RetryOptions::default().floor > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_an_outcome_asks_for_is_kept_and_those_told_the_same_come_apart() {
    let waits = waits(options(), 1, Verdict::failure().retry_after(3 * SECOND));
    assert!(waits[0] >= 3 * SECOND + ms(100) && waits[999] <= 4 * SECOND);
    assert!(waits[999] > waits[0] + ms(800));
    let retry = retry(options(), None);
    let began = Instant::now();
    assert_eq!(ends(&retry, [failed(Fault::Busy(5_000)), Ok(1)]).await.0, Ok(1));
    assert!(began.elapsed() >= 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_longer_wait_than_allowed_is_not_called_again() {
    let retry = retry(options(), None);
    let end = ends(&retry, [failed(Fault::Busy(5_001)), Ok(1)]).await;
    assert_eq!(end, (failed(Fault::Busy(5_001)), 1));
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_the_waits_and_the_longest_call_is_known() {
    let run = || async {
        let began = Instant::now();
        ends(&retry(options(), None), vec![failed(Fault::NotSent); 3]).await.0.unwrap_err();
        began.elapsed()
    };
    let took = run().await;
    assert_eq!(took, run().await);
    assert!(took > ms(200) && took < options().longest(Duration::ZERO));
    assert_eq!(options().longest(2 * SECOND), (3 * 2 + (5 + 1) + (5 + 2)) * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_end_in_time_costs_nothing_of_the_budget() {
    let budget = RetryBudget::new(0, 1);
    let retry = retry(RetryOptions { floor: SECOND, ..options() }, Some(budget.clone()));
    let began = Instant::now();
    within(began + SECOND, ends(&retry, [failed(Fault::NotSent)])).await.0.unwrap_err();
    ends(&retry, [failed(Fault::Refused)]).await.0.unwrap_err();
    assert_eq!(budget.left(), 1);
}
