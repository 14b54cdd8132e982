//! One runner of an instance at a time.

use std::sync::Arc;
use std::time::Duration;

use commerce_batch::{
    Ask, BatchError, BatchOptions, Checkpoint, JobHistory as _, JobStore as _, Runner, Status, StepState,
    Work,
};
use commerce_database::Template;
use sea_orm::ConnectionTrait as _;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::support::{Bench, Doubling, NOW_US, counters, expected};

fn ask(owner: u128, now_us: i64) -> Ask {
    Ask {
        job: "doubling",
        parameters: "one".into(),
        input: "1".into(),
        again: false,
        force: false,
        owner: Uuid::from_u128(owner),
        now_us,
        until_us: now_us + 30_000_000,
        start_limit: 5,
    }
}

#[tokio::test]
async fn of_two_starters_at_once_one_wins_and_the_other_is_told() {
    for _ in 0..20 {
        let bench = Bench::open().await;
        let starts = (0..8).map(|owner| {
            let jobs = bench.jobs.clone();
            tokio::spawn(async move { jobs.begin(ask(owner, NOW_US)).await })
        });
        let starts: Vec<_> = starts.collect();
        let (mut won, mut told) = (0, 0);
        for start in starts {
            match start.await.unwrap() {
                Ok(_) => won += 1,
                Err(BatchError::Running { execution: 1 }) => told += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((won, told), (1, 7));
    }
}

#[tokio::test]
async fn a_dead_runner_is_followed_when_its_lease_is_over_and_not_before() {
    let bench = Bench::open().await;
    let first = bench.jobs.begin(ask(1, NOW_US)).await.unwrap();
    let early = bench.jobs.begin(ask(2, NOW_US + 29_999_999)).await.unwrap_err();
    assert!(matches!(early, BatchError::Running { .. }), "{early}");
    let second = bench.jobs.begin(ask(2, NOW_US + 30_000_000)).await.unwrap();
    assert_eq!((first.fence, second.fence), (1, 2));
    assert_eq!(bench.statuses().await, [Status::Abandoned, Status::Started]);
}

#[tokio::test]
async fn a_zombies_next_chunk_is_refused() {
    let bench = Bench::open().await;
    let zombie = bench.jobs.begin(ask(1, NOW_US)).await.unwrap();
    bench.jobs.open_step(zombie, "double", NOW_US).await.unwrap();
    let heir = bench.jobs.begin(ask(2, NOW_US + 30_000_000)).await.unwrap();
    let mut state = StepState { cursor: Some(4), ..StepState::default() };
    state.counters.commits = 1;
    let checkpoint = Checkpoint { step: "double", state, skips: Vec::new(), now_us: 0, until_us: i64::MAX };
    let writes: Work = Arc::new(|tx| {
        Box::pin(async move {
            let insert = Template::new("INSERT INTO doubled (id, value) VALUES (1, 2)");
            tx.execute_raw(insert.statement(tx.dialect(), [])).await?;
            Ok(())
        })
    });
    let refused = bench.jobs.commit(zombie, checkpoint.clone(), writes.clone()).await.unwrap_err();
    assert!(matches!(refused, BatchError::Fenced), "{refused}");
    assert!(matches!(bench.jobs.heartbeat(zombie, i64::MAX).await, Err(BatchError::Fenced)));
    let end = bench.jobs.end(zombie, Status::Completed, None, 0).await;
    assert!(matches!(end, Err(BatchError::Fenced)));
    assert!(bench.doubled().await.is_empty());
    bench.jobs.open_step(heir, "double", NOW_US).await.unwrap();
    bench.jobs.commit(heir, checkpoint, writes).await.unwrap();
    assert_eq!(bench.doubled().await, [(1, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_takes_long_keeps_its_lease() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=2);
    job.pause = Some(Arc::new(Semaphore::new(0)));
    let options = BatchOptions { lease: Duration::from_millis(30), ..BatchOptions::default() };
    let runner = Runner { options, ..bench.runner(Arc::new(bench.jobs.clone())) };
    let at_work = job.clone();
    let running = tokio::spawn(async move { runner.run(&at_work, false, false).await });
    let until = async || {
        let lease = Template::new("SELECT COALESCE(MAX(lease_until), 0) FROM job_instance");
        let row = bench.db.reader().query_one_raw(lease.statement(bench.db.dialect(), [])).await.unwrap();
        row.unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    let later = bench.clock.advance(Duration::from_mins(1));
    while until().await < later {
        tokio::task::yield_now().await;
    }
    job.pause.unwrap().add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().status, Status::Completed);
}

#[tokio::test]
async fn a_stop_ends_at_the_edge_of_a_chunk_and_goes_on_later() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    let (stop, stopping) = watch::channel(false);
    job.on_process = Arc::new(move |number| {
        if number == 6 {
            stop.send_replace(true);
        }
    });
    let runner = Runner { stop: stopping, ..bench.runner(Arc::new(bench.jobs.clone())) };
    let ended = runner.run(&job, false, false).await.unwrap();
    assert_eq!(ended.status, Status::Stopped);
    assert_eq!(bench.doubled().await, expected(1..=8), "the chunk that was begun is whole");
    let ended = bench.run(&job).await.unwrap();
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(bench.doubled().await, expected(1..=18));
    assert_eq!(counters(&bench.show(ended.execution).await.1).read, 18);
}

#[tokio::test]
async fn a_stop_that_is_asked_for_by_another_process_is_heard_at_the_next_chunk() {
    let bench = Bench::open().await;
    let mut job = Doubling::of(1..=18);
    job.pause = Some(Arc::new(Semaphore::new(0)));
    let runner = bench.runner(Arc::new(bench.jobs.clone()));
    let at_work = job.clone();
    let running = tokio::spawn(async move { runner.run(&at_work, false, false).await });
    while !bench.jobs.request_stop(1).await.unwrap() {
        tokio::task::yield_now().await;
    }
    job.pause.unwrap().add_permits(100);
    assert_eq!(running.await.unwrap().unwrap().status, Status::Stopped);
    assert_eq!(bench.doubled().await, expected(1..=4), "the chunk that was begun is whole");
    assert!(!bench.jobs.request_stop(1).await.unwrap(), "it is not at work any more");
}
