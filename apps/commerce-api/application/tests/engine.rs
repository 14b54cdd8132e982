//! The batch engine, with a handler whose storage answers as a test tells it to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use commerce_api_application::desk::{BatchFailure, BatchHandler, DeskOptions, Engine, SubmitError};
use commerce_api_application::ports::StorageError;
use tokio::sync::Semaphore;

/// What a run of the handler meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    Busy,
    Unreachable,
    /// The commit's answer is lost.
    Lost,
}

#[derive(Default)]
struct Log {
    /// The items of every run and whether it came after a lost answer.
    runs: Vec<(Vec<u32>, bool)>,
    plan: VecDeque<Meets>,
}

struct Handler {
    log: Arc<Mutex<Log>>,
    gate: Arc<Semaphore>,
}

/// An item that storage refuses.
const POISON: u32 = 666;
/// An item that makes the handler panic.
const PANIC: u32 = 667;
/// An item whose outcome cannot be shown.
const UNANSWERABLE: u32 = 668;

#[async_trait]
impl BatchHandler for Handler {
    type Item = u32;
    type Reply = u32;
    const NAME: &'static str = "test";

    fn weight(item: &u32) -> usize {
        if *item >= 1_000 { 10 } else { 1 }
    }

    fn salt(item: &u32) -> u64 {
        u64::from(*item)
    }

    async fn run(&self, items: &[Arc<u32>], again: bool) -> Result<Vec<u32>, BatchFailure> {
        self.gate.acquire().await.unwrap().forget();
        let items: Vec<u32> = items.iter().map(|item| **item).collect();
        let meets = {
            let mut log = self.log.lock().unwrap();
            log.runs.push((items.clone(), again));
            log.plan.pop_front()
        };
        match meets {
            Some(Meets::Busy) => return Err(StorageError::Transient("busy".into()).into()),
            Some(Meets::Unreachable) => return Err(StorageError::Unavailable("gone".into()).into()),
            Some(Meets::Lost) => return Err(BatchFailure::CommitUnknown("lost".into())),
            None => {}
        }
        assert!(!items.contains(&PANIC), "an item that panics");
        if items.contains(&UNANSWERABLE) {
            return Err(BatchFailure::Unanswerable);
        }
        if items.contains(&POISON) {
            return Err(StorageError::Data("refused".into()).into());
        }
        Ok(items.into_iter().map(|item| item * 2).collect())
    }
}

struct Desk {
    engine: Engine<Handler>,
    log: Arc<Mutex<Log>>,
    gate: Arc<Semaphore>,
}

/// A desk whose runs wait until `open` runs were let through.
fn desk(options: DeskOptions, plan: &[Meets], open: usize) -> Desk {
    let log = Arc::new(Mutex::new(Log { plan: plan.iter().copied().collect(), ..Log::default() }));
    let gate = Arc::new(Semaphore::new(open));
    let engine = Engine::start(Handler { log: log.clone(), gate: gate.clone() }, options);
    Desk { engine, log, gate }
}

impl Desk {
    /// Submits from a task of its own and returns once the command is in the queue or at the handler.
    fn submit(&self, item: u32) -> tokio::task::JoinHandle<Result<u32, SubmitError>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.submit(item).await })
    }

    fn runs(&self) -> Vec<(Vec<u32>, bool)> {
        self.log.lock().unwrap().runs.clone()
    }
}

const MANY: usize = 1_000;

/// One run holds the handler, so that everything submitted behind it forms one batch.
async fn batch_behind_a_run(desk: &Desk, items: &[u32]) -> Vec<Result<u32, SubmitError>> {
    let first = desk.submit(0);
    tokio::task::yield_now().await;
    let waiting: Vec<_> = items.iter().map(|item| desk.submit(*item)).collect();
    tokio::task::yield_now().await;
    desk.gate.add_permits(MANY);
    assert_eq!(first.await.unwrap(), Ok(0));
    let mut replies = Vec::new();
    for waiting in waiting {
        replies.push(waiting.await.unwrap());
    }
    replies
}

#[tokio::test(start_paused = true)]
async fn whatever_waits_while_a_batch_runs_is_the_next_batch() {
    let desk = desk(DeskOptions::default(), &[], 0);
    let replies = batch_behind_a_run(&desk, &[1, 2, 3]).await;
    assert_eq!(replies, [Ok(2), Ok(4), Ok(6)]);
    assert_eq!(desk.runs(), [(vec![0], false), (vec![1, 2, 3], false)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_keeps_its_limits_of_commands_and_weight() {
    let options = DeskOptions { batch_max: 2, ..DeskOptions::default() };
    let by_count = desk(options, &[], 0);
    batch_behind_a_run(&by_count, &[1, 2, 3]).await;
    assert_eq!(by_count.runs()[1..], [(vec![1, 2], false), (vec![3], false)]);
    let options = DeskOptions { batch_weight_max: 12, ..DeskOptions::default() };
    let by_weight = desk(options, &[], 0);
    batch_behind_a_run(&by_weight, &[1, 1_000, 1_001, 2]).await;
    assert_eq!(by_weight.runs()[1..], [(vec![1, 1_000], false), (vec![1_001, 2], false)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let desk = desk(DeskOptions { queue_max: 2, ..DeskOptions::default() }, &[], 0);
    let replies = batch_behind_a_run(&desk, &[1, 2, 3, 4]).await;
    assert_eq!(replies, [Ok(2), Ok(4), Err(SubmitError::Overloaded), Err(SubmitError::Overloaded)]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_storage_is_tried_again_and_then_given_up_with_nothing_done() {
    let twice = desk(DeskOptions::default(), &[Meets::Busy, Meets::Busy], MANY);
    assert_eq!(twice.engine.submit(1).await, Ok(2));
    assert_eq!(twice.runs().len(), 3);
    let always = desk(DeskOptions::default(), &[Meets::Busy; 9], MANY);
    assert_eq!(always.engine.submit(1).await, Err(SubmitError::Unavailable));
    assert_eq!(always.runs().len(), 4, "the first run and three more");
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_storage_is_told_at_once() {
    let desk = desk(DeskOptions::default(), &[Meets::Unreachable], MANY);
    assert_eq!(desk.engine.submit(1).await, Err(SubmitError::Unavailable));
    assert_eq!(desk.runs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_answer_is_asked_for_again() {
    let lost = desk(DeskOptions::default(), &[Meets::Lost], MANY);
    assert_eq!(lost.engine.submit(1).await, Ok(2));
    assert_eq!(lost.runs(), [(vec![1], false), (vec![1], true)]);
    let gone = desk(DeskOptions::default(), &[Meets::Lost, Meets::Unreachable, Meets::Busy], MANY);
    assert_eq!(gone.engine.submit(1).await, Ok(2), "and again while it cannot be reached");
    assert!(gone.runs()[1..].iter().all(|(_, again)| *again));
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_stays_away_after_a_lost_answer_is_an_unknown_outcome() {
    let plan = [Meets::Lost, Meets::Unreachable, Meets::Unreachable, Meets::Unreachable];
    let desk = desk(DeskOptions::default(), &plan, MANY);
    assert_eq!(desk.engine.submit(1).await, Err(SubmitError::OutcomeUnknown));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_command_fails_alone() {
    for poison in [POISON, PANIC, UNANSWERABLE] {
        let desk = desk(DeskOptions::default(), &[], 0);
        let replies = batch_behind_a_run(&desk, &[1, 2, poison, 4, 5]).await;
        assert_eq!(replies, [Ok(2), Ok(4), Err(SubmitError::Failed), Ok(8), Ok(10)]);
        assert_eq!(desk.engine.submit(6).await, Ok(12), "the worker lives");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_meets_a_locked_or_lost_storage_is_not_bisected() {
    for meets in [Meets::Unreachable, Meets::Busy] {
        let desk = desk(DeskOptions { attempts_max: 1, ..DeskOptions::default() }, &[], 0);
        desk.log.lock().unwrap().plan.clear();
        let first = desk.submit(0);
        tokio::task::yield_now().await;
        let waiting: Vec<_> = [1, 2, 3, 4].map(|item| desk.submit(item)).into();
        tokio::task::yield_now().await;
        desk.gate.add_permits(1);
        first.await.unwrap().unwrap();
        desk.log.lock().unwrap().plan.push_back(meets);
        desk.gate.add_permits(MANY);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(SubmitError::Unavailable));
        }
        assert_eq!(desk.runs().len(), 2, "{meets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_does_not_cancel_the_command() {
    let desk = desk(DeskOptions::default(), &[], 0);
    let first = desk.submit(0);
    tokio::task::yield_now().await;
    let gone = desk.submit(1);
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    desk.gate.add_permits(MANY);
    first.await.unwrap().unwrap();
    assert_eq!(desk.engine.submit(2).await, Ok(4));
    let done: Vec<u32> = desk.runs().into_iter().flat_map(|(items, _)| items).collect();
    assert_eq!(done, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_a_command_is_numbered_ascends_in_the_order_of_the_queue() {
    let desk = desk(DeskOptions::default(), &[], MANY);
    let next = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let callers = (0..200).map(|_| {
        let (engine, next) = (desk.engine.clone(), next.clone());
        tokio::spawn(async move {
            engine.submit_with(|| next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)).await.unwrap()
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let decided: Vec<u32> = desk.runs().into_iter().flat_map(|(items, _)| items).collect();
    assert!(decided.iter().copied().eq(0..200), "{decided:?}");
}
