//! Batches of whatever waits: queue, retry, unknown commit outcomes, bisection of poisoned commands.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::metrics;
use crate::ports::{BoxError, CommitError, StorageError};

/// Limits of a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskOptions {
    /// Commands that may wait; beyond it a submission is refused at once.
    pub queue_max: usize,
    /// Commands of one batch.
    pub batch_max: usize,
    /// Rows that the commands of one batch may weigh together, so that a statement's parameter stays small.
    pub batch_weight_max: usize,
    /// Runs of one batch in all, the first included.
    pub attempts_max: u32,
}

impl Default for DeskOptions {
    fn default() -> Self {
        Self { queue_max: 8_192, batch_max: 512, batch_weight_max: 8_192, attempts_max: 4 }
    }
}

/// Why a batch did not commit.
#[derive(Debug, thiserror::Error)]
pub enum BatchFailure {
    /// Nothing was committed; the class says what may help.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The commit's answer was lost.
    #[error("the outcome of the commit is unknown")]
    CommitUnknown(#[source] BoxError),
    /// A command made us panic: our own bug.
    #[error("the batch panicked")]
    Panic,
    /// A command was done but cannot be answered: our own bug, found before the commit.
    #[error("the outcome cannot be shown")]
    Unanswerable,
}

impl From<CommitError> for BatchFailure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotCommitted(error) => Self::Storage(error),
            CommitError::Unknown(source) => Self::CommitUnknown(source),
        }
    }
}

/// Why a caller gets no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full; nothing was done.
    #[error("too many commands wait")]
    Overloaded,
    /// Storage cannot be reached; nothing was done.
    #[error("storage is unavailable")]
    Unavailable,
    /// It may or may not have been done; asking again under the same key tells.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// This command alone failed by our own fault; nothing was done.
    #[error("the command failed")]
    Failed,
}

/// What one kind of desk does with a batch.
#[async_trait]
pub trait BatchHandler: Send + Sync + 'static {
    /// A command as submitted.
    type Item: Send + Sync + 'static;
    /// What its caller gets.
    type Reply: Send + 'static;
    /// Name of the desk, for metrics and logs.
    const NAME: &'static str;

    /// How many rows the command weighs; at least 1.
    fn weight(item: &Self::Item) -> usize;

    /// A number of the command's own, to spread retries of nodes that collided.
    fn salt(item: &Self::Item) -> u64;

    /// Runs a batch in one transaction; as many replies as items, in their order. `again_after_unknown` says that an
    /// earlier run of the same batch may have committed.
    async fn run(
        &self,
        items: &[Arc<Self::Item>],
        again_after_unknown: bool,
    ) -> Result<Vec<Self::Reply>, BatchFailure>;
}

struct Waiting<H: BatchHandler> {
    item: Arc<H::Item>,
    submitted_at: Instant,
    reply: oneshot::Sender<Result<H::Reply, SubmitError>>,
}

/// A desk: a bounded queue and the worker behind it. The worker ends when the last handle is gone and the queue is
/// empty.
pub struct Engine<H: BatchHandler> {
    queue: mpsc::Sender<Waiting<H>>,
    in_turn: Arc<Mutex<()>>,
}

impl<H: BatchHandler> Clone for Engine<H> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), in_turn: self.in_turn.clone() }
    }
}

impl<H: BatchHandler> Engine<H> {
    /// Starts the worker on the current runtime.
    pub fn start(handler: H, options: DeskOptions) -> Self {
        let (queue, waiting) = mpsc::channel(options.queue_max.max(1));
        tokio::spawn(Worker { handler: Arc::new(handler), options, waiting }.run());
        Self { queue, in_turn: Arc::default() }
    }

    /// Submits a command and waits for its answer. A caller who goes away does not cancel it.
    pub async fn submit(&self, item: H::Item) -> Result<H::Reply, SubmitError> {
        self.submit_with(|| item).await
    }

    /// The same, with a command that is made as it takes its place in the queue: what `make` numbers ascends in the
    /// order of the queue.
    pub async fn submit_with(&self, make: impl FnOnce() -> H::Item) -> Result<H::Reply, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(make, reply)?;
        // A worker that died mid-batch may have committed.
        answer.await.unwrap_or(Err(SubmitError::OutcomeUnknown))
    }
}

impl<H: BatchHandler> Engine<H> {
    fn enqueue(
        &self,
        make: impl FnOnce() -> H::Item,
        reply: oneshot::Sender<Result<H::Reply, SubmitError>>,
    ) -> Result<(), SubmitError> {
        let _in_turn = self.in_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = Waiting { item: Arc::new(make()), submitted_at: Instant::now(), reply };
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                metrics::queue_full(H::NAME);
                SubmitError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable,
        })
    }
}

struct Worker<H: BatchHandler> {
    handler: Arc<H>,
    options: DeskOptions,
    waiting: mpsc::Receiver<Waiting<H>>,
}

type Replies<R> = Vec<Result<R, SubmitError>>;

impl<H: BatchHandler> Worker<H> {
    async fn run(mut self) {
        metrics::started(H::NAME);
        let mut left_over = None;
        loop {
            let first = match left_over.take() {
                Some(first) => first,
                None => match self.waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let (batch, next) = self.fill(first);
            left_over = next;
            metrics::queue_depth(H::NAME, self.waiting.len());
            let started_at = Instant::now();
            metrics::batch_started(
                H::NAME,
                batch.len(),
                batch.iter().map(|waiting| started_at.duration_since(waiting.submitted_at)),
            );
            let (items, callers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.item, waiting.reply)).unzip();
            let replies = self.settle(&items).await;
            metrics::batch_finished(H::NAME, started_at.elapsed());
            for (caller, reply) in callers.into_iter().zip(replies) {
                // The caller may be gone; its command was done all the same.
                let _ = caller.send(reply);
            }
        }
    }

    /// Takes what waits, up to the limits; gives back the one that did not fit.
    fn fill(&mut self, first: Waiting<H>) -> (Vec<Waiting<H>>, Option<Waiting<H>>) {
        let mut weight = H::weight(&first.item);
        let mut batch = vec![first];
        while batch.len() < self.options.batch_max {
            let Ok(next) = self.waiting.try_recv() else { break };
            weight += H::weight(&next.item);
            if weight > self.options.batch_weight_max {
                return (batch, Some(next));
            }
            batch.push(next);
        }
        (batch, None)
    }

    /// Runs a batch until every command has an answer. Only data errors and panics are bisected, so that a poisoned
    /// command fails alone; connection, disk and lock errors fail the batch.
    fn settle<'a>(&'a self, items: &'a [Arc<H::Item>]) -> BoxFuture<'a, Replies<H::Reply>> {
        async move {
            let failure = match self.run_with_retries(items).await {
                Ok(replies) => return replies.into_iter().map(Ok).collect(),
                Err(failure) => failure,
            };
            let poisoned = matches!(
                failure,
                Refused::Certain(
                    BatchFailure::Storage(StorageError::Data(_)) | BatchFailure::Panic | BatchFailure::Unanswerable
                )
            );
            match failure {
                Refused::Certain(_) if poisoned && items.len() > 1 => {
                    let (left, right) = items.split_at(items.len() / 2);
                    let mut replies = self.settle(left).await;
                    replies.extend(self.settle(right).await);
                    replies
                }
                Refused::Certain(error) => {
                    tracing::error!(desk = H::NAME, commands = items.len(), error = %Chain(&error), "batch failed");
                    let error = if poisoned { SubmitError::Failed } else { SubmitError::Unavailable };
                    items.iter().map(|_| Err(error)).collect()
                }
                Refused::Unknown(error) => {
                    tracing::error!(desk = H::NAME, commands = items.len(), error = %Chain(&error), "outcome unknown");
                    items.iter().map(|_| Err(SubmitError::OutcomeUnknown)).collect()
                }
            }
        }
        .boxed()
    }

    async fn run_with_retries(&self, items: &[Arc<H::Item>]) -> Result<Vec<H::Reply>, Refused> {
        let mut unknown = false;
        let mut attempt = 1;
        loop {
            let run = AssertUnwindSafe(self.handler.run(items, unknown)).catch_unwind().await;
            let failure = match run.unwrap_or(Err(BatchFailure::Panic)) {
                Ok(replies) => {
                    assert_eq!(replies.len(), items.len(), "a batch answers every command");
                    return Ok(replies);
                }
                Err(failure) => failure,
            };
            let again = match &failure {
                BatchFailure::CommitUnknown(_) => {
                    unknown = true;
                    Some("commit_unknown")
                }
                BatchFailure::Storage(StorageError::Transient(_)) => Some("busy"),
                // After a lost answer an unreachable database may hold the batch already: ask again.
                BatchFailure::Storage(StorageError::Unavailable(_)) if unknown => Some("unreachable"),
                _ => None,
            };
            match again {
                Some(cause) if attempt < self.options.attempts_max => {
                    metrics::batch_retried(H::NAME, cause);
                    let salt = items.first().map_or(0, |item| H::salt(item));
                    tokio::time::sleep(backoff(attempt, salt)).await;
                    attempt += 1;
                }
                _ if unknown => return Err(Refused::Unknown(failure)),
                _ => return Err(Refused::Certain(failure)),
            }
        }
    }
}

enum Refused {
    /// Nothing was committed.
    Certain(BatchFailure),
    /// A commit's answer was lost and asking again did not help.
    Unknown(BatchFailure),
}

/// 5, 10, 20 ms and so on, spread by up to half of it, so that two nodes that collided do not collide again. The
/// spread comes from the batch's first command, whose random id no other node has; the engine draws no random numbers.
fn backoff(attempt: u32, salt: u64) -> Duration {
    let base = 5_000_u64 << attempt.min(6);
    let spread = salt.wrapping_add(u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_micros(base / 2 + spread % (base / 2))
}

/// An error and its sources in one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
