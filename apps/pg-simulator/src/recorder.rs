use std::sync::Arc;

use commerce_contracts::gateway::PaymentRequest;
use commerce_database::DatabaseError;
use tokio::sync::{mpsc, oneshot};

use crate::dice::Purpose;
use crate::domain::{Outcome, transaction_key};
use crate::gateway::{Gateway, later};
use crate::storage::{NewTransaction, RecordResult};

/// Payments recorded in one transaction at most.
const BATCH_MAX: usize = 256;

/// How often a transaction key may turn out to be taken. A day of the reference's volume has a few thousand of the
/// 16 million keys.
const ROUNDS_MAX: usize = 64;

/// Why a payment was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("the database did not record it")]
    Database,
    #[error("no transaction key is free today")]
    NoKey,
}

/// A payment that passed every check.
pub(crate) struct Payment {
    pub request: PaymentRequest,
    pub idempotency_key: Option<String>,
    pub outcome: Outcome,
    /// Nothing shows it before; now where none.
    pub late_ms: Option<u64>,
    /// From recording to deciding.
    pub decision_ms: u64,
}

struct Job {
    payment: Payment,
    answer: oneshot::Sender<Result<RecordResult, RecordError>>,
}

/// Records payments: those that come while a transaction runs go together into the next, so that a commit to the disk is
/// shared.
#[derive(Clone)]
pub(crate) struct Recorder {
    jobs: mpsc::Sender<Job>,
}

impl Recorder {
    /// The recorder, and the task that does its work until every recorder is dropped.
    pub(crate) fn new(gateway: Arc<Gateway>) -> (Self, impl Future<Output = ()>) {
        let (jobs, queue) = mpsc::channel(BATCH_MAX * 4);
        (Self { jobs }, work(gateway, queue))
    }

    pub(crate) async fn record(&self, payment: Payment) -> Result<RecordResult, RecordError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { payment, answer }).await.map_err(|_| RecordError::Database)?;
        answered.await.map_err(|_| RecordError::Database)?
    }
}

async fn work(gateway: Arc<Gateway>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut jobs, BATCH_MAX).await > 0 {
        record(&gateway, std::mem::take(&mut jobs)).await;
    }
}

async fn record(gateway: &Gateway, mut jobs: Vec<Job>) {
    for _ in 0..ROUNDS_MAX {
        let batch: Vec<_> = jobs.iter().map(|job| new_transaction(gateway, &job.payment)).collect();
        let soonest = batch.iter().map(|new| new.due_at).min();
        let results = match gateway.storage.record(batch).await {
            Ok(results) => results,
            Err(error) => return fail(jobs, &error),
        };
        gateway.undecided.set(soonest.unwrap_or(i64::MAX));
        let mut again = Vec::new();
        for (job, result) in jobs.into_iter().zip(results) {
            if result == RecordResult::KeyTaken {
                again.push(job);
            } else {
                // Nobody waits any more: the payment is recorded all the same.
                let _ = job.answer.send(Ok(result));
            }
        }
        if again.is_empty() {
            return;
        }
        jobs = again;
    }
    for job in jobs {
        let _ = job.answer.send(Err(RecordError::NoKey));
    }
}

fn fail(jobs: Vec<Job>, error: &DatabaseError) {
    tracing::error!(%error, payments = jobs.len(), "payments were not recorded");
    for job in jobs {
        let _ = job.answer.send(Err(RecordError::Database));
    }
}

fn new_transaction(gateway: &Gateway, payment: &Payment) -> NewTransaction {
    let now_us = gateway.now_us();
    let day = gateway.zone.day(now_us).unwrap_or_default();
    let visible_at = later(now_us, payment.late_ms.unwrap_or_default());
    NewTransaction {
        key: transaction_key(day, gateway.script.dice().bits(Purpose::TransactionKey)),
        request: payment.request.clone(),
        idempotency_key: payment.idempotency_key.clone(),
        outcome: payment.outcome.clone(),
        recorded_at: now_us,
        visible_at,
        due_at: later(visible_at, payment.decision_ms),
    }
}
