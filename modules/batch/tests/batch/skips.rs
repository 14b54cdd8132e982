//! Items that are left out.

use commerce_batch::{BatchError, Status};

use crate::support::{Bench, Doubling, Fate, counters, expected};

fn without(gone: &[i64]) -> Vec<(i64, i64)> {
    expected((1..=18).filter(|number| !gone.contains(number)))
}

#[tokio::test]
async fn what_cannot_be_processed_is_left_out_recorded_and_counted() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    job.fates = [(3, Fate::Unprocessable), (9, Fate::Unprocessable), (10, Fate::Filtered)].into();
    let ended = bench.run(&job).await.unwrap();
    assert_eq!(bench.doubled().await, without(&[3, 9, 10]));
    let (_, steps) = bench.show(ended.execution).await;
    let counters = counters(&steps);
    assert_eq!((counters.read, counters.written), (18, 15));
    assert_eq!((counters.process_skips, counters.filtered, counters.write_skips), (2, 1, 0));
    let skip = |key| (key, "PROCESS".to_owned(), "UNPROCESSABLE".to_owned());
    assert_eq!(steps[0].skips, [skip(3), skip(9)]);
}

#[tokio::test]
async fn one_too_many_fails_the_step_and_keeps_what_was_done() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    job.fates = [3, 9, 10].map(|number| (number, Fate::Unprocessable)).into();
    let error = bench.run(&job).await.unwrap_err();
    assert!(matches!(error, BatchError::SkipLimit { step: "double", limit: 2, .. }), "{error}");
    assert_eq!(bench.statuses().await, [Status::Failed]);
    assert_eq!(bench.doubled().await, expected([1, 2, 4, 5, 6, 7, 8]));
    // Mended, it goes on where it stood.
    job.fates.remove(&9);
    job.fates.remove(&10);
    bench.run(&job).await.unwrap();
    assert_eq!(bench.doubled().await, without(&[3]));
}

#[tokio::test]
async fn what_the_writer_refuses_is_found_item_by_item_and_nothing_is_written_twice() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    job.fates = [(6, Fate::Refused), (18, Fate::Refused), (7, Fate::Filtered)].into();
    // The table refuses a number that is written a second time.
    let ended = bench.run(&job).await.unwrap();
    assert_eq!(bench.doubled().await, without(&[6, 7, 18]));
    let (status, steps) = bench.show(ended.execution).await;
    let counters = counters(&steps);
    assert_eq!(status, Status::Completed);
    assert_eq!((counters.read, counters.written, counters.write_skips), (18, 15, 2));
    assert_eq!(counters.filtered, 1);
    let skip = |key| (key, "WRITE".to_owned(), "REFUSED".to_owned());
    assert_eq!(steps[0].skips, [skip(6), skip(18)]);
}

#[tokio::test]
async fn an_error_of_the_writer_that_may_not_be_left_out_writes_nothing_twice() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    job.skippable = false;
    job.fates = [(6, Fate::Refused)].into();
    let error = bench.run(&job).await.unwrap_err();
    assert!(matches!(error, BatchError::Database(_)), "{error}");
    assert_eq!(bench.doubled().await, expected(1..=4), "of the chunk that was refused nothing is there");
    job.fates.clear();
    bench.run(&job).await.unwrap();
    assert_eq!(bench.doubled().await, expected(1..=18));
}
