//! What a breaker tells: events, metrics, and the registry.

use super::*;
use crate::{BreakerRegistry, RegistryError};

#[test]
fn every_kind_of_event_is_told() {
    let bench = Bench::new(gateway());
    bench.succeed();
    bench.call(Duration::ZERO, Verdict::ignored());
    drop(bench.breaker.try_acquire().unwrap());
    let zero = Duration::ZERO;
    let first = [BreakerEvent::Success(zero), BreakerEvent::Ignored(zero), BreakerEvent::Cancelled(zero)];
    assert_eq!(bench.heard.take(), first);
    for _ in 0..4 {
        bench.call(2 * SECOND, Verdict::failure());
    }
    assert!(bench.breaker.try_acquire().is_err());
    let told = [
        BreakerEvent::Error(2 * SECOND),
        BreakerEvent::FailureRateExceeded(80.0),
        BreakerEvent::SlowCallRateExceeded(80.0),
        BreakerEvent::Transition { from: Closed, to: Open, epoch: 1 },
        BreakerEvent::NotPermitted,
    ];
    assert_eq!(bench.heard.take()[3..], told);
    bench.breaker.reset();
    let told = [BreakerEvent::Transition { from: Open, to: Closed, epoch: 2 }, BreakerEvent::Reset];
    assert_eq!(bench.heard.take(), told);
}

#[test]
fn metrics_have_the_names_that_dashboards_know() {
    measured(|value| {
        let bench = Bench::new(gateway());
        bench.succeed();
        bench.call(2 * SECOND, Verdict::failure());
        bench.call(Duration::ZERO, Verdict::ignored());
        drop(bench.breaker.try_acquire().unwrap());
        let at = |series: &str, labels: &str| {
            value(&format!("resilience4j_circuitbreaker_{series}{{name=\"charge\"{labels}}}"))
        };
        for kind in ["successful", "failed", "ignored", "cancelled"] {
            assert_eq!(at("calls_seconds_count", &format!(",kind=\"{kind}\"")), Some(1.0), "{kind}");
        }
        assert_eq!(at("calls_seconds_sum", ",kind=\"failed\""), Some(2.0));
        assert_eq!(at("buffered_calls", ",kind=\"failed\""), Some(1.0));
        assert_eq!(at("buffered_calls", ",kind=\"successful\""), Some(1.0));
        assert_eq!(at("slow_calls", ",kind=\"failed\""), Some(1.0));
        assert_eq!(at("slow_calls", ",kind=\"successful\""), Some(0.0));
        assert_eq!((at("failure_rate", ""), at("slow_call_rate", "")), (Some(-1.0), Some(-1.0)));
        assert_eq!(at("not_permitted_calls_total", ",kind=\"not_permitted\""), None);
        for _ in 0..3 {
            bench.fail();
        }
        assert!(bench.breaker.try_acquire().is_err());
        assert_eq!((at("failure_rate", ""), at("slow_call_rate", "")), (Some(80.0), Some(20.0)));
        assert_eq!(at("not_permitted_calls_total", ",kind=\"not_permitted\""), Some(1.0));
    });
}

#[test]
fn one_state_is_1_and_all_others_are_0() {
    measured(|value| {
        let bench = Bench::new(gateway());
        let is = |state: BreakerState| {
            let labels = format!("name=\"charge\",state=\"{}\"", state.label());
            value(&format!("resilience4j_circuitbreaker_state{{{labels}}}"))
        };
        let only = |state: BreakerState| {
            for other in BreakerState::ALL {
                assert_eq!(is(other), Some(f64::from(u8::from(other == state))), "{state}: {other}");
            }
        };
        only(Closed);
        for _ in 0..5 {
            bench.fail();
        }
        only(Open);
        bench.time.advance(10 * SECOND);
        let probe = bench.breaker.try_acquire().unwrap();
        only(HalfOpen);
        bench.breaker.force_open();
        only(ForcedOpen);
        drop(probe);
        bench.breaker.reset();
        only(Closed);
    });
}

#[test]
fn gauges_follow_time_when_they_are_refreshed() {
    measured(|value| {
        let bench = Bench::new(BreakerOptions { window: WindowKind::Time(10 * SECOND), ..gateway() });
        bench.fail();
        let buffered =
            || value("resilience4j_circuitbreaker_buffered_calls{name=\"charge\",kind=\"failed\"}");
        assert_eq!(buffered(), Some(1.0));
        bench.time.advance(10 * SECOND);
        bench.breaker.refresh();
        assert_eq!(buffered(), Some(0.0));
    });
}

/// Point 6.
#[test]
fn breakers_of_a_registry_open_apart() {
    let registry = BreakerRegistry::default();
    for name in ["charge", "query", "refund"] {
        registry.register(name, gateway()).unwrap();
    }
    let charge = registry.get("charge").unwrap();
    for _ in 0..5 {
        charge.try_acquire().unwrap().settle(Verdict::failure());
    }
    let states: Vec<_> =
        registry.snapshots().iter().map(|snapshot| (snapshot.name.to_string(), snapshot.state)).collect();
    let expected = [("charge", Open), ("query", Closed), ("refund", Closed)]
        .map(|(name, state)| (name.to_owned(), state));
    assert_eq!(states, expected);
    assert!(registry.get("void").is_none());
    registry.refresh();
}

#[test]
fn a_name_is_registered_once_and_bad_options_take_none() {
    let registry = BreakerRegistry::default();
    let bad = BreakerOptions { calls_min: 0, ..gateway() };
    assert!(matches!(registry.register("charge", bad), Err(RegistryError::Options(_))));
    registry.register("charge", gateway()).unwrap();
    assert_eq!(registry.register("charge", gateway()).unwrap_err(), RegistryError::Taken("charge".into()));
    assert_eq!(registry.all().len(), 1);
}

#[test]
fn a_listener_may_look_at_the_breaker() {
    struct Looks(Mutex<Option<CircuitBreaker>>);
    impl BreakerListener for Looks {
        fn heard(&self, _: &str, _: BreakerEvent) {
            if let Some(breaker) = &*self.0.lock().unwrap() {
                breaker.snapshot();
            }
        }
    }
    let looks = Arc::new(Looks(Mutex::default()));
    let breaker =
        CircuitBreaker::new("charge", gateway(), Environment::default(), vec![looks.clone()]).unwrap();
    *looks.0.lock().unwrap() = Some(breaker.clone());
    for _ in 0..5 {
        breaker.try_acquire().unwrap().settle(Verdict::failure());
    }
    assert_eq!(breaker.state(), Open);
    // They know each other.
    looks.0.lock().unwrap().take();
}
