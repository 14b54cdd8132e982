use proptest::prelude::*;

use super::*;

const OK: Sample = Sample { failed: false, slow: false };
const FAILED: Sample = Sample { failed: true, slow: false };

fn tally<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Tally {
    let mut tally = Tally::default();
    for sample in samples {
        tally.calls += 1;
        tally.failed += u32::from(sample.failed);
        tally.slow += u32::from(sample.slow);
        tally.slow_failed += u32::from(sample.failed && sample.slow);
    }
    tally
}

fn samples() -> impl Strategy<Value = Sample> {
    (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Sample { failed, slow })
}

#[test]
fn a_count_window_slides_by_one_call() {
    let mut window = CountWindow::new(3);
    for sample in [FAILED, FAILED, OK, OK, OK] {
        window.record(sample);
    }
    assert_eq!(window.tally(), tally(&[OK, OK, OK]));
}

#[test]
fn a_time_window_forgets_bucket_by_bucket_and_stays_small() {
    let start = Instant::now();
    let mut window = TimeWindow::new(Duration::from_secs(10), start);
    let at = |ms| start + Duration::from_millis(ms);
    for ms in [0, 999, 1_000, 9_999] {
        window.record(FAILED, at(ms));
    }
    assert_eq!(window.tally(at(9_999)).calls, 4);
    assert_eq!(window.tally(at(10_000)).calls, 2);
    assert_eq!(window.tally(at(11_000)).calls, 1);
    assert_eq!(window.tally(at(18_999)).calls, 1);
    assert_eq!(window.tally(at(19_000)).calls, 0);
    window.record(OK, at(10_000_000));
    assert_eq!(window.tally(at(10_000_001)), tally(&[OK]));
    // A moment that was read before another one, and comes after it.
    window.record(OK, at(9_999_000));
    assert_eq!(window.tally(at(9_999_000)).calls, 2);
    for _ in 0..10_000 {
        window.record(OK, at(10_000_500));
    }
    assert_eq!((window.tally(at(10_000_500)).calls, window.buckets.len()), (10_002, BUCKETS));
}

proptest! {
    #[test]
    fn a_count_window_is_the_last_so_many_calls(
        size in 1_u32..20,
        calls in prop::collection::vec(samples(), 0..100),
    ) {
        let mut window = CountWindow::new(size);
        for (i, sample) in calls.iter().enumerate() {
            window.record(*sample);
            let from = (i + 1).saturating_sub(size as usize);
            prop_assert_eq!(window.tally(), tally(&calls[from..=i]));
        }
    }

    #[test]
    fn a_time_window_is_the_calls_of_the_last_ten_buckets(
        bucket_ms in 1_u64..50,
        calls in prop::collection::vec((0_u64..300, samples()), 0..100),
    ) {
        let start = Instant::now();
        let mut window = TimeWindow::new(Duration::from_millis(bucket_ms) * 10, start);
        let mut now_ms = 0;
        let mut made: Vec<(u64, Sample)> = Vec::new();
        for (step_ms, sample) in calls {
            now_ms += step_ms;
            window.record(sample, start + Duration::from_millis(now_ms));
            made.push((now_ms / bucket_ms, sample));
            let current = now_ms / bucket_ms;
            let counted = made.iter().filter(|(bucket, _)| bucket + 10 > current).map(|(_, sample)| sample);
            prop_assert_eq!(window.tally(start + Duration::from_millis(now_ms)), tally(counted));
        }
    }
}
