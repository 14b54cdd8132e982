//! The operator's switch, and the ways between the states.

use super::*;

fn in_state(state: BreakerState) -> Bench {
    Bench::new(BreakerOptions { initial: state, ..gateway() })
}

#[test]
fn only_the_ways_of_the_list_lead_from_state_to_state() {
    let ways = [
        (Closed, vec![Open, ForcedOpen]),
        (Open, vec![Closed, HalfOpen, ForcedOpen]),
        (HalfOpen, vec![Closed, Open, ForcedOpen]),
        (ForcedOpen, vec![Closed, Open, HalfOpen]),
    ];
    for (from, ways) in ways {
        for to in BreakerState::ALL {
            let bench = in_state(from);
            let went = bench.breaker.transition(to);
            if ways.contains(&to) {
                assert_eq!((went, bench.breaker.state()), (Ok(()), to));
                assert_eq!(bench.transitions(), [(from, to)]);
            } else {
                assert_eq!(
                    (&went, bench.breaker.state()),
                    (&Err(IllegalTransition { breaker: "charge".into(), from, to }), from)
                );
                assert!(bench.heard.take().is_empty());
            }
        }
    }
    let text = in_state(Closed).breaker.transition(HalfOpen).unwrap_err().to_string();
    assert_eq!(text, "circuit breaker `charge` cannot go from CLOSED to HALF_OPEN");
}

#[test]
fn a_breaker_that_is_forced_open_stays_so_until_the_operator_says() {
    let bench = Bench::new(gateway());
    let under_way = bench.breaker.try_acquire().unwrap();
    bench.breaker.force_open();
    bench.breaker.force_open();
    under_way.settle(Verdict::success());
    bench.time.advance(Duration::from_hours(24));
    let refusal = bench.breaker.try_acquire().unwrap_err();
    let expected =
        NotPermitted::BreakerOpen { breaker: "charge".into(), state: ForcedOpen, retry_after: None };
    assert_eq!(refusal, expected);
    bench.breaker.transition(HalfOpen).unwrap();
    bench.succeed();
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

#[test]
fn forced_open_tells_only_of_transitions_and_resets() {
    let bench = Bench::new(gateway());
    let under_way = [bench.breaker.try_acquire().unwrap(), bench.breaker.try_acquire().unwrap()];
    bench.breaker.force_open();
    assert_eq!(bench.transitions(), [(Closed, ForcedOpen)]);
    let [settled, dropped] = under_way;
    settled.settle(Verdict::failure());
    drop(dropped);
    assert!(bench.breaker.try_acquire().is_err());
    assert_eq!(bench.heard.take(), []);
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.not_permitted_calls, snapshot.late_calls, snapshot.cancelled_calls), (1, 1, 1));
    bench.breaker.reset();
    let closed = BreakerEvent::Transition { from: ForcedOpen, to: Closed, epoch: 2 };
    assert_eq!(bench.heard.take(), [closed, BreakerEvent::Reset]);
}

#[test]
fn a_reset_closes_with_an_empty_window_from_every_state() {
    for from in BreakerState::ALL {
        let bench = in_state(from);
        bench.breaker.reset();
        let snapshot = bench.breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.buffered_calls), (Closed, 0), "{from}");
    }
    let bench = Bench::new(gateway());
    let under_way = bench.breaker.try_acquire().unwrap();
    for _ in 0..4 {
        bench.fail();
    }
    bench.breaker.reset();
    under_way.settle(Verdict::failure());
    assert_eq!(bench.breaker.snapshot().buffered_calls, 0, "what was under way does not count");
}

#[test]
fn an_option_that_means_nothing_is_named() {
    let new = |options| CircuitBreaker::new("charge", options, Environment::default(), Vec::new()).err();
    let text = |options| new(options).map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(
        text(BreakerOptions { failure_rate: 0, ..gateway() }),
        "circuit breaker `charge`: `failure rate (percent)` is 0; expected 1 to 100"
    );
    let bad = [
        BreakerOptions { failure_rate: 101, ..gateway() },
        BreakerOptions { slow_call_rate: 0, ..gateway() },
        BreakerOptions { slow_call: Duration::ZERO, ..gateway() },
        BreakerOptions { window: WindowKind::Count(0), ..gateway() },
        BreakerOptions { window: WindowKind::Time(Duration::ZERO), ..gateway() },
        BreakerOptions { window: WindowKind::Count(u32::MAX), ..gateway() },
        BreakerOptions { calls_min: 0, ..gateway() },
        BreakerOptions { open_wait: Backoff::constant(Duration::ZERO), ..gateway() },
        BreakerOptions {
            open_wait: Backoff { first: SECOND, multiplier: f64::NAN, cap: SECOND },
            ..gateway()
        },
        BreakerOptions { open_wait: Backoff { first: SECOND, multiplier: 1.0, cap: ms(1) }, ..gateway() },
        BreakerOptions { open_wait: Backoff::constant(Duration::MAX), ..gateway() },
        BreakerOptions { half_open_permits: 0, ..gateway() },
        BreakerOptions { half_open_wait_max: Some(Duration::ZERO), ..gateway() },
        BreakerOptions { asked_wait_max: Duration::MAX, ..gateway() },
    ];
    for options in bad {
        assert!(new(options).is_some(), "{options:?}");
    }
    for name in ["", "two words", &"x".repeat(65)] {
        let error = CircuitBreaker::new(name, gateway(), Environment::default(), Vec::new()).unwrap_err();
        assert_eq!(error.option, "name");
    }
}
