//! Instances, and what of them is run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use commerce_batch::{BatchError, Status};

use crate::support::{Bench, Doubling, counters, expected};

#[tokio::test]
async fn what_is_complete_is_refused_and_other_parameters_are_another_instance() {
    let bench = Bench::open().await;
    bench.run(&Doubling::of(1..=5)).await.unwrap();
    let refused = bench.run(&Doubling::of(1..=5)).await.unwrap_err();
    assert!(matches!(refused, BatchError::Complete { execution: 1 }), "{refused}");
    let other = Doubling { parameters: "two", ..Doubling::of(6..=9) };
    assert_eq!(bench.run(&other).await.unwrap().execution, 2);
    assert_eq!(bench.doubled().await, expected(1..=9));
    // By force it is run as if it never had been.
    let runner = bench.runner(Arc::new(bench.jobs.clone()));
    let ended = runner.run(&Doubling::of(10..=12), false, true).await.unwrap();
    assert_eq!(counters(&bench.show(ended.execution).await.1).read, 3);
}

#[tokio::test]
async fn a_step_that_is_done_is_not_run_again_and_its_counters_stay() {
    let bench = Bench::open().await;
    let processed = Arc::new(AtomicI64::new(0));
    let mut job = Doubling::of(1..=10);
    job.failures = Arc::new(AtomicI64::new(1));
    let seen = processed.clone();
    job.on_process = Arc::new(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    bench.run(&job).await.unwrap_err();
    assert_eq!(bench.statuses().await, [Status::Failed]);
    let ended = bench.run(&job).await.unwrap();
    assert_eq!(processed.load(Ordering::SeqCst), 10);
    let (status, steps) = bench.show(ended.execution).await;
    assert_eq!(status, Status::Completed);
    assert_eq!((counters(&steps).read, counters(&steps).commits), (10, 3));
    assert!(steps.iter().all(|step| step.status == Status::Completed));
}

#[tokio::test]
async fn an_unfinished_execution_over_another_input_is_not_continued() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=10);
    job.failures = Arc::new(AtomicI64::new(1));
    bench.run(&job).await.unwrap_err();
    let other = Doubling { input: "2", ..Doubling::of(11..=20) };
    let ended = bench.run(&other).await.unwrap();
    assert_eq!(bench.doubled().await, expected(1..=20));
    assert_eq!(counters(&bench.show(ended.execution).await.1).read, 10);
}

#[tokio::test]
async fn rows_that_come_mid_run_move_nothing() {
    let bench = Bench::open().await;
    let mut job = Doubling::of((1..=9).map(|number| number * 10));
    let numbers = job.numbers.clone();
    // While the second chunk is processed: one behind the cursor, one in the chunk, one ahead.
    job.on_process = Arc::new(move |number| {
        let mut numbers = numbers.lock().unwrap();
        if number == 50 && numbers.len() == 9 {
            numbers.extend([5, 55, 85]);
        }
    });
    bench.run(&job).await.unwrap();
    let found = bench.doubled().await;
    assert_eq!(found, expected([10, 20, 30, 40, 50, 60, 70, 80, 85, 90]));
}

#[tokio::test]
async fn what_failed_too_often_is_started_by_force_only() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=3);
    job.failures = Arc::new(AtomicI64::new(5));
    for _ in 0..5 {
        bench.run(&job).await.unwrap_err();
    }
    let refused = bench.run(&job).await.unwrap_err();
    assert!(matches!(refused, BatchError::StartLimit { failures: 5 }), "{refused}");
    let runner = bench.runner(Arc::new(bench.jobs.clone()));
    assert_eq!(runner.run(&job, false, true).await.unwrap().status, Status::Completed);
    assert_eq!(bench.doubled().await, expected(1..=3));
}
