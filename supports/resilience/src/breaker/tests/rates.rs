//! When a closed breaker opens.

use super::*;

#[test]
fn a_rate_that_reaches_its_threshold_is_enough() {
    let bench = Bench::new(BreakerOptions { calls_min: 10, ..gateway() });
    for _ in 0..5 {
        bench.succeed();
    }
    for _ in 0..4 {
        bench.fail();
    }
    assert_eq!(bench.breaker.state(), Closed);
    bench.fail();
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failure_rate), (Open, 50.0));
}

#[test]
fn a_rate_below_its_threshold_is_not_enough() {
    let bench = Bench::new(BreakerOptions {
        failure_rate: 67,
        calls_min: 3,
        window: WindowKind::Count(3),
        ..gateway()
    });
    bench.fail();
    bench.succeed();
    bench.fail();
    assert_eq!(bench.breaker.state(), Closed);
}

#[test]
fn fewer_calls_than_the_minimum_give_no_verdict() {
    let bench = Bench::new(gateway());
    for _ in 0..4 {
        bench.fail();
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls), (Closed, 4));
    assert_eq!((snapshot.failure_rate, snapshot.slow_call_rate), (-1.0, -1.0));
    bench.fail();
    assert_eq!(bench.breaker.state(), Open);
}

#[test]
fn the_minimum_is_capped_at_a_count_window() {
    let bench = Bench::new(BreakerOptions { window: WindowKind::Count(3), calls_min: 100, ..gateway() });
    bench.fail();
    bench.fail();
    assert_eq!(bench.breaker.state(), Closed);
    bench.fail();
    assert_eq!(bench.breaker.state(), Open);
}

#[test]
fn the_minimum_is_not_capped_in_a_time_window() {
    let bench =
        Bench::new(BreakerOptions { window: WindowKind::Time(10 * SECOND), calls_min: 5, ..gateway() });
    for _ in 0..4 {
        bench.fail();
    }
    bench.time.advance(10 * SECOND);
    bench.fail();
    assert_eq!(bench.breaker.state(), Closed, "the first four are forgotten");
    for _ in 0..4 {
        bench.fail();
    }
    assert_eq!(bench.breaker.state(), Open);
}

#[test]
fn the_window_slides() {
    let bench = Bench::new(gateway());
    for _ in 0..100 {
        bench.succeed();
    }
    for _ in 0..4 {
        bench.fail();
    }
    assert_eq!(bench.breaker.state(), Closed);
    bench.fail();
    assert_eq!(bench.breaker.state(), Open, "five of the last ten failed");
}

#[test]
fn slow_is_longer_than_the_limit_and_opens_by_its_own_rate() {
    let bench = Bench::new(gateway());
    for _ in 0..3 {
        bench.call(SECOND, Verdict::success());
    }
    assert_eq!(bench.breaker.snapshot().slow_calls, 0);
    for _ in 0..6 {
        bench.call(SECOND + ms(1), Verdict::success());
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.slow_call_rate), (Closed, 600.0 / 9.0));
    bench.call(SECOND + ms(1), Verdict::success());
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.slow_call_rate, snapshot.failure_rate), (Open, 70.0, 0.0));
}

#[test]
fn slow_successes_and_slow_failures_are_counted_apart() {
    let bench = Bench::new(gateway());
    let slow = 2 * SECOND;
    for (took, verdict) in [
        (slow, Verdict::success()),
        (slow, Verdict::failure()),
        (Duration::ZERO, Verdict::failure()),
        (Duration::ZERO, Verdict::success()),
    ] {
        bench.call(took, verdict);
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.buffered_calls, snapshot.failed_calls), (4, 2));
    assert_eq!((snapshot.slow_calls, snapshot.slow_failed_calls), (2, 1));
}

#[test]
fn an_ignored_end_counts_as_nothing() {
    let bench = Bench::new(gateway());
    for _ in 0..100 {
        bench.call(2 * SECOND, Verdict::ignored());
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls, snapshot.slow_calls), (Closed, 0, 0));
}

#[test]
fn a_result_can_open_it_for_as_long_as_it_asks() {
    let bench = Bench::new(gateway());
    bench.call(Duration::ZERO, Verdict::success().open_for(25 * SECOND));
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.open_for), (Open, Some(25 * SECOND)));
    assert_eq!((snapshot.buffered_calls, snapshot.failure_rate), (1, -1.0), "one call is no verdict");
    bench.time.advance(ms(24_999));
    assert!(bench.breaker.try_acquire().is_err());
    bench.time.advance(ms(1));
    assert!(bench.breaker.try_acquire().is_ok());
}

#[test]
fn an_ignored_result_can_open_it_too_but_not_for_longer_than_allowed() {
    let bench = Bench::new(BreakerOptions { asked_wait_max: 60 * SECOND, ..gateway() });
    bench.call(Duration::ZERO, Verdict::ignored().open_for(Duration::MAX));
    assert_eq!(bench.breaker.snapshot().open_for, Some(60 * SECOND));
}

#[test]
fn a_result_that_asks_for_less_than_the_rates_demand_does_not_shorten_the_wait() {
    let bench = Bench::new(gateway());
    for _ in 0..4 {
        bench.fail();
    }
    bench.call(Duration::ZERO, Verdict::failure().open_for(SECOND));
    assert_eq!(bench.breaker.snapshot().open_for, Some(10 * SECOND));
}

#[test]
fn an_open_breaker_refuses_until_its_wait_is_over() {
    let bench = Bench::opened(gateway());
    bench.time.advance(ms(9_999));
    let refusal = bench.breaker.try_acquire().unwrap_err();
    let expected =
        NotPermitted::BreakerOpen { breaker: "charge".into(), state: Open, retry_after: Some(ms(1)) };
    assert_eq!(refusal, expected);
    assert_eq!(refusal.to_string(), "circuit breaker `charge` is OPEN");
    bench.time.advance(ms(1));
    assert_eq!(bench.breaker.state(), Open, "time alone does not end it");
    bench.breaker.try_acquire().unwrap().release();
    assert_eq!(bench.breaker.state(), HalfOpen);
}

#[test]
fn looking_is_enough_where_it_is_to_become_half_open_automatically() {
    let bench = Bench::opened(BreakerOptions { half_open_automatically: true, ..gateway() });
    bench.time.advance(10 * SECOND);
    assert_eq!(bench.breaker.state(), HalfOpen);
}

#[test]
fn the_wait_grows_with_each_opening_until_it_has_closed() {
    let open_wait = Backoff { first: SECOND, multiplier: 3.0, cap: 5 * SECOND };
    let bench = Bench::opened(BreakerOptions { open_wait, half_open_permits: 1, ..gateway() });
    for wait in [SECOND, 3 * SECOND, 5 * SECOND, 5 * SECOND] {
        assert_eq!(bench.breaker.snapshot().open_for, Some(wait));
        bench.time.advance(wait);
        bench.fail();
    }
    bench.time.advance(5 * SECOND);
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
    for _ in 0..5 {
        bench.fail();
    }
    assert_eq!(bench.breaker.snapshot().open_for, Some(SECOND));
}

#[test]
fn every_state_can_be_the_first_one() {
    for initial in BreakerState::ALL {
        let bench = Bench::new(BreakerOptions { initial, ..gateway() });
        assert_eq!(bench.breaker.state(), initial);
        let may_call = matches!(initial, Closed | HalfOpen);
        assert_eq!(bench.breaker.try_acquire().is_ok(), may_call, "{initial}");
        bench.time.advance(10 * SECOND);
        assert_eq!(bench.breaker.try_acquire().is_ok(), initial != ForcedOpen, "{initial}");
    }
}
