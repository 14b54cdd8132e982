use std::sync::Arc;

use commerce_contracts::gateway::Transaction;
use commerce_database::DatabaseError;
use tokio::sync::Mutex;

use crate::dice::Purpose;
use crate::domain::{Mishaps, callbacks_of, status_name};
use crate::gateway::Gateway;
use crate::storage::{Decision, Undecided};

/// Transactions decided in one go at most.
const BATCH_MAX: u64 = 256;

/// Decides what is due. What it has to do stands in the books, so that it goes on after a restart.
pub(crate) struct Decider {
    gateway: Arc<Gateway>,
    /// A transaction is decided once: whoever reads it as undecided holds this until that is settled.
    turn: Mutex<()>,
}

impl Decider {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, turn: Mutex::new(()) }
    }

    /// Decides as things become due, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.gateway.undecided.reset();
            let next_us = self.decide_due().await.unwrap_or_else(|error| {
                tracing::error!(%error, "transactions were not decided; trying again");
                None
            });
            self.gateway.undecided.wait(self.gateway.clock.as_ref(), next_us).await;
        }
    }

    /// Decides that transaction now, due or not.
    pub(crate) async fn decide_now(&self, key: &str) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        let undecided = self.gateway.storage.undecided_one(key).await?;
        self.decide(undecided.into_iter().collect()).await
    }

    /// Decides what is due, and gives back when the next one is.
    async fn decide_due(&self) -> Result<Option<i64>, DatabaseError> {
        let _turn = self.turn.lock().await;
        let due = self.gateway.storage.undecided(self.gateway.now_us(), BATCH_MAX).await?;
        self.decide(due).await?;
        self.gateway.storage.next_undecided().await
    }

    async fn decide(&self, undecided: Vec<Undecided>) -> Result<(), DatabaseError> {
        if undecided.is_empty() {
            return Ok(());
        }
        let decided_at = self.gateway.now_us();
        let decisions: Vec<_> =
            undecided.into_iter().map(|undecided| self.decision(undecided, decided_at)).collect();
        for decision in &decisions {
            let status = status_name(decision.transaction.status);
            metrics::counter!("simulator_decisions_total", "status" => status).increment(1);
        }
        self.gateway.storage.settle(decisions).await?;
        self.gateway.outgoing.set(decided_at);
        Ok(())
    }

    fn decision(&self, undecided: Undecided, decided_at: i64) -> Decision {
        let transaction = Transaction {
            status: undecided.planned_status,
            reason: Some(undecided.planned_reason),
            ..undecided.recorded.transaction
        };
        let callbacks = callbacks_of(&transaction, self.mishaps(), decided_at);
        tracing::debug!(key = transaction.transaction_key, status = ?transaction.status, "decided");
        Decision { transaction, callback_url: undecided.recorded.callback_url, callbacks, decided_at }
    }

    fn mishaps(&self) -> Mishaps {
        let script = &self.gateway.script;
        let fires = |purpose| script.fires(purpose);
        let delayed = fires(Purpose::CallbackDelayed);
        let faults = script.now();
        Mishaps {
            lost: fires(Purpose::CallbackLost),
            delay_ms: if delayed {
                script.dice().within(Purpose::CallbackDelayed, faults.callback_delay_ms)
            } else {
                0
            },
            copies: if fires(Purpose::CallbackDuplicated) { faults.callback_copies } else { 0 },
            held_ms: fires(Purpose::CallbackReordered).then_some(faults.callback_reorder_ms),
            forged: fires(Purpose::CallbackForged),
            replay_age_ms: fires(Purpose::CallbackReplayed).then_some(faults.callback_replay_age_ms),
            wrong_amount: fires(Purpose::CallbackWrongAmount),
        }
    }
}
