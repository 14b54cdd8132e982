//! Processes that die, and answers that are lost.

use std::sync::atomic::Ordering;

use commerce_batch::{BatchError, Status};

use crate::support::{Bench, Doubling, Fault, Faulty, counters, expected};

#[tokio::test]
async fn a_job_killed_at_any_boundary_ends_as_one_clean_run_does() {
    let clean = Bench::open().await;
    let ended = clean.run(&Doubling::of(1..=18)).await.unwrap();
    let clean_counters = counters(&clean.show(ended.execution).await.1);
    assert_eq!((clean_counters.read, clean_counters.written, clean_counters.commits), (18, 18, 5));
    // Five chunks and the last step.
    for after in 0..6 {
        for fault in [Fault::DiesBeforeWrite, Fault::DiesBeforeCommit, Fault::DiesAfterCommit] {
            let bench = Bench::open().await;
            let dying = Faulty::new(&bench.jobs, fault, after);
            let job = Doubling::of(1..=18);
            bench.runner(dying.clone()).run(&job, false, false).await.unwrap_err();
            assert!(dying.dead.load(Ordering::SeqCst), "{fault:?} {after}");
            assert_eq!(bench.statuses().await, [Status::Started], "a dead process says nothing");
            let refused = bench.run(&job).await.unwrap_err();
            assert!(matches!(refused, BatchError::Running { execution: 1 }), "{refused}");
            bench.lease_runs_out();
            let ended = bench.run(&job).await.unwrap();
            assert_eq!(bench.statuses().await, [Status::Abandoned, Status::Completed]);
            assert_eq!(bench.doubled().await, expected(1..=18), "{fault:?} {after}");
            assert_eq!(counters(&bench.show(ended.execution).await.1), clean_counters, "{fault:?} {after}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_checkpoint() {
    for done in [true, false] {
        for after in 0..6 {
            let bench = Bench::open().await;
            let store = Faulty::new(&bench.jobs, Fault::Lost(done), after);
            let ended = bench.runner(store).run(&Doubling::of(1..=18), false, false).await.unwrap();
            assert_eq!(bench.doubled().await, expected(1..=18), "done: {done}, chunk {after}");
            let (status, steps) = bench.show(ended.execution).await;
            assert_eq!(status, Status::Completed);
            assert_eq!((counters(&steps).read, counters(&steps).commits), (18, 5));
        }
    }
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_told_and_found_by_the_next_start() {
    let bench = Bench::open().await;
    let store = Faulty::new(&bench.jobs, Fault::LostForGood, 2);
    let job = Doubling::of(1..=18);
    let error = bench.runner(store).run(&job, false, false).await.unwrap_err();
    assert!(matches!(error, BatchError::Unknown(_)), "{error}");
    assert_eq!(bench.statuses().await, [Status::Unknown]);
    assert_eq!(bench.doubled().await.len(), 12, "it was committed");
    let ended = bench.run(&job).await.unwrap();
    assert_eq!(bench.doubled().await, expected(1..=18));
    assert_eq!(counters(&bench.show(ended.execution).await.1).commits, 5);
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_counts_once() {
    let bench = Bench::open().await;
    let store = Faulty::new(&bench.jobs, Fault::Deadlock, 2);
    let ended = bench.runner(store).run(&Doubling::of(1..=18), false, false).await.unwrap();
    assert_eq!(bench.doubled().await, expected(1..=18));
    let counters = counters(&bench.show(ended.execution).await.1);
    assert_eq!((counters.read, counters.written, counters.commits, counters.rollbacks), (18, 18, 5, 1));
}

#[tokio::test]
async fn what_is_no_matter_of_the_moment_is_not_tried_again() {
    let bench = Bench::open().await;
    let store = Faulty::new(&bench.jobs, Fault::DiesBeforeWrite, 2);
    bench.runner(store.clone()).run(&Doubling::of(1..=18), false, false).await.unwrap_err();
    assert_eq!(store.countdown.load(Ordering::SeqCst), -1, "one try of the third chunk and none after it");
}
