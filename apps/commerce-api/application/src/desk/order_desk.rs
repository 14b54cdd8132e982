use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_domain::{CommandKind, Rules};

use super::engine::{BatchFailure, BatchHandler, DeskOptions, Engine, SubmitError};
use super::order_batch::{DeskSignals, OrderBatch};
use super::signal::Signal;
use super::submission::{DeskReply, Queued, Submission};
use crate::ports::{Clock, IdSource, Storage};

/// The desk for orders, payments, points, stock and coupons.
#[derive(Clone)]
pub struct OrderDesk {
    engine: Engine<OrderBatch>,
    ids: Arc<dyn IdSource>,
    signals: DeskSignals,
}

impl OrderDesk {
    /// Starts the desk on the current runtime. `keep_answers` is how long answers under keys are kept.
    pub fn start(
        storage: Arc<dyn Storage>,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
        rules: Rules,
        options: DeskOptions,
        keep_answers: Duration,
    ) -> Self {
        let signals = DeskSignals::default();
        let batch = OrderBatch { storage, clock, rules, keep_answers, signals: signals.clone() };
        Self { engine: Engine::start(batch, options), ids, signals }
    }

    /// Raised after a commit by which payments have to be visited.
    pub const fn payments_due(&self) -> &Signal {
        &self.signals.payments
    }

    /// Raised after a commit that wrote events to the outbox.
    pub const fn events_written(&self) -> &Signal {
        &self.signals.events
    }

    /// Submits a command and waits for its answer; a caller who goes away does not cancel it.
    pub async fn submit(&self, submission: Submission) -> Result<DeskReply, SubmitError> {
        self.engine.submit_with(|| Queued::new(submission, self.ids.seed())).await
    }
}

#[async_trait]
impl BatchHandler for OrderBatch {
    type Item = Queued;
    type Reply = DeskReply;
    const NAME: &'static str = "orders";

    fn weight(item: &Queued) -> usize {
        match &item.command.kind {
            CommandKind::Place(place) => 1 + place.lines.len(),
            // The lines of an order that is named are not known yet; most have few.
            CommandKind::Cancel { .. } | CommandKind::Expire { .. } | CommandKind::Payment { .. } => 8,
            CommandKind::ChargePoints { .. }
            | CommandKind::MoveStock { .. }
            | CommandKind::IssueCoupon { .. } => 1,
        }
    }

    fn salt(item: &Queued) -> u64 {
        item.command.ids.salt()
    }

    async fn run(
        &self,
        items: &[Arc<Queued>],
        again_after_unknown: bool,
    ) -> Result<Vec<DeskReply>, BatchFailure> {
        self.run_batch(items, again_after_unknown).await
    }
}
