//! How a breaker probes, and that it never gets stuck.

use proptest::prelude::*;

use super::*;

fn ten() -> BreakerOptions {
    BreakerOptions { half_open_permits: 10, ..gateway() }
}

#[test]
fn half_open_lets_through_as_many_as_permitted() {
    let bench = Bench::half_open(gateway());
    let permits = [bench.breaker.try_acquire().unwrap(), bench.breaker.try_acquire().unwrap()];
    let refusal = bench.breaker.try_acquire().unwrap_err();
    let expected = NotPermitted::BreakerOpen { breaker: "charge".into(), state: HalfOpen, retry_after: None };
    assert_eq!(refusal, expected);
    let [answered, _waits] = permits;
    answered.settle(Verdict::success());
    assert!(bench.breaker.try_acquire().is_err(), "a result takes the place of its permit");
}

#[test]
fn half_open_decides_when_all_results_are_in() {
    let bench = Bench::half_open(ten());
    for _ in 0..9 {
        bench.fail();
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.failure_rate),
        (HalfOpen, -1.0),
        "the minimum of five does not count here"
    );
    bench.fail();
    assert_eq!(bench.breaker.state(), Open);
}

#[test]
fn half_open_opens_by_either_rate_and_closes_below_both() {
    let calls = |failed: u32, slow: u32| {
        let bench = Bench::half_open(ten());
        for i in 0..10 {
            let took = if i >= 10 - slow { 2 * SECOND } else { Duration::ZERO };
            bench.call(took, if i < failed { Verdict::failure() } else { Verdict::success() });
        }
        bench.breaker.state()
    };
    assert_eq!(calls(5, 0), Open);
    assert_eq!(calls(0, 7), Open);
    assert_eq!(calls(4, 6), Closed);
}

#[test]
fn it_closes_with_an_empty_window() {
    let bench = Bench::half_open(gateway());
    bench.succeed();
    bench.succeed();
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls, snapshot.failure_rate), (Closed, 0, -1.0));
}

/// Point 1.
#[test]
fn a_call_of_an_earlier_state_has_no_vote() {
    let bench = Bench::new(gateway());
    let early = [bench.breaker.try_acquire().unwrap(), bench.breaker.try_acquire().unwrap()];
    for _ in 0..5 {
        bench.fail();
    }
    bench.time.advance(10 * SECOND);
    bench.breaker.try_acquire().unwrap().release();
    for permit in early {
        permit.settle(Verdict::success().open_for(SECOND));
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls, snapshot.late_calls), (HalfOpen, 0, 2));
    bench.succeed();
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

/// Point 2.
#[test]
fn a_permit_that_is_dropped_is_given_back_and_counts_as_cancelled() {
    let bench = Bench::half_open(gateway());
    bench.heard.take();
    for _ in 0..100 {
        drop(bench.breaker.try_acquire().unwrap());
    }
    let snapshot = bench.breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.buffered_calls, snapshot.cancelled_calls), (HalfOpen, 0, 100));
    assert_eq!(bench.heard.take(), [BreakerEvent::Cancelled(Duration::ZERO); 100]);
    bench.succeed();
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

/// Point 2.
#[tokio::test]
async fn a_call_that_is_given_up_or_panics_gives_its_permit_back() {
    let bench = Bench::half_open(BreakerOptions { half_open_permits: 1, ..gateway() });
    let judge = |_: &Outcome<'_, (), ()>| Verdict::success();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let breaker = bench.breaker.clone();
    let hangs = tokio::spawn(async move {
        let call = || async {
            begun.send(()).unwrap();
            std::future::pending().await
        };
        breaker.run(&judge, call).await
    });
    begins.await.unwrap();
    assert!(bench.breaker.try_acquire().is_err());
    hangs.abort();
    assert!(hangs.await.unwrap_err().is_cancelled());
    let breaker = bench.breaker.clone();
    let panics = tokio::spawn(async move { breaker.run(&judge, || async { panic!("on purpose") }).await });
    assert!(panics.await.unwrap_err().is_panic());
    assert_eq!(bench.breaker.snapshot().cancelled_calls, 2);
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

/// Point 2.
#[test]
fn half_open_does_not_wait_for_ever_for_a_call_that_hangs() {
    assert!(BreakerOptions::default().half_open_wait_max.is_some());
    let bench = Bench::half_open(gateway());
    bench.succeed();
    let hangs = bench.breaker.try_acquire().unwrap();
    bench.time.advance(ms(29_999));
    assert_eq!(bench.breaker.state(), HalfOpen);
    bench.time.advance(ms(1));
    assert_eq!(bench.breaker.state(), Open);
    hangs.settle(Verdict::success());
    assert_eq!((bench.breaker.state(), bench.breaker.snapshot().late_calls), (Open, 1));
    bench.time.advance(10 * SECOND);
    bench.succeed();
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

#[test]
fn without_a_maximum_half_open_waits() {
    let bench = Bench::half_open(BreakerOptions { half_open_wait_max: None, ..gateway() });
    let hangs = bench.breaker.try_acquire().unwrap();
    bench.time.advance(Duration::from_hours(24));
    assert_eq!(bench.breaker.state(), HalfOpen);
    hangs.settle(Verdict::success());
    bench.succeed();
    assert_eq!(bench.breaker.state(), Closed);
}

#[test]
fn calls_that_are_rare_can_close_it_too() {
    let bench = Bench::half_open(gateway());
    for _ in 0..2 {
        bench.time.advance(Duration::from_hours(1));
        bench.succeed();
    }
    assert_eq!(bench.breaker.state(), Closed);
}

/// Point 3.
#[test]
fn a_call_of_an_earlier_state_that_is_ignored_adds_no_permit() {
    let bench = Bench::new(gateway());
    let early: Vec<_> = (0..5).map(|_| bench.breaker.try_acquire().unwrap()).collect();
    for _ in 0..5 {
        bench.fail();
    }
    bench.time.advance(10 * SECOND);
    let probes = [bench.breaker.try_acquire().unwrap(), bench.breaker.try_acquire().unwrap()];
    for permit in early {
        permit.settle(Verdict::ignored());
        assert!(bench.breaker.try_acquire().is_err());
    }
    let [ignored, answered] = probes;
    ignored.settle(Verdict::ignored());
    let again = bench.breaker.try_acquire().expect("an ignored probe gives its permit back");
    assert!(bench.breaker.try_acquire().is_err());
    answered.settle(Verdict::success());
    again.settle(Verdict::success());
    assert_eq!(bench.breaker.state(), Closed);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Acquire,
    Settle(usize, Verdict),
    Drop(usize),
    Pass(u64),
    Reset,
    Force,
}

fn steps() -> impl Strategy<Value = Step> {
    let verdicts = prop_oneof![
        Just(Verdict::success()),
        Just(Verdict::failure()),
        Just(Verdict::ignored()),
        Just(Verdict::failure().open_for(3 * SECOND)),
    ];
    prop_oneof![
        12 => Just(Step::Acquire),
        10 => (0_usize..8, verdicts).prop_map(|(which, verdict)| Step::Settle(which, verdict)),
        2 => (0_usize..8).prop_map(Step::Drop),
        6 => (0_u64..8_000).prop_map(Step::Pass),
        1 => Just(Step::Reset),
        1 => Just(Step::Force),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_probes_stay_bounded_and_it_closes_when_all_is_well(
        steps in prop::collection::vec(steps(), 0..200),
    ) {
        let bench = Bench::new(gateway());
        let mut permits: Vec<(u64, Permit)> = Vec::new();
        for step in steps {
            match step {
                Step::Acquire => {
                    if let Ok(permit) = bench.breaker.try_acquire() {
                        permits.push((bench.breaker.snapshot().epoch, permit));
                    } else {
                        prop_assert_ne!(bench.breaker.state(), Closed);
                    }
                }
                Step::Settle(which, verdict) if which < permits.len() => permits.remove(which).1.settle(verdict),
                Step::Drop(which) if which < permits.len() => drop(permits.remove(which)),
                Step::Settle(..) | Step::Drop(_) => {}
                Step::Pass(ms) => bench.time.advance(Duration::from_millis(ms)),
                Step::Reset => bench.breaker.reset(),
                Step::Force => bench.breaker.force_open(),
            }
            let snapshot = bench.breaker.snapshot();
            let out = permits.iter().filter(|(epoch, _)| *epoch == snapshot.epoch).count();
            match snapshot.state {
                Closed => prop_assert!(snapshot.buffered_calls < 5 || snapshot.failure_rate < 50.0),
                HalfOpen => prop_assert!(out + snapshot.buffered_calls as usize <= 2),
                Open | ForcedOpen => prop_assert_eq!(out, 0),
            }
        }
        permits.clear();
        if bench.breaker.state() == ForcedOpen {
            bench.breaker.reset();
        }
        bench.time.advance(Duration::from_mins(10));
        for _ in 0..10 {
            if let Ok(permit) = bench.breaker.try_acquire() {
                permit.settle(Verdict::success());
            }
            bench.time.advance(10 * SECOND);
        }
        prop_assert_eq!(bench.breaker.state(), Closed);
    }
}
