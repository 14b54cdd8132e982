//! One batch of the order desk in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commerce_api_domain::{
    CommandKind, OrderId, OrderStatus, Outcome, PaymentCommand, PaymentId, PlaceOrder, Refusal, Rules,
    Timestamp, WorkingSet, decide,
};

use super::engine::BatchFailure;
use super::submission::{DeskReply, KeyedRequest, Queued};
use super::{Signal, metrics, outbox_record};
use crate::ports::{
    Answer, AuditEntry, Clock, DeskChanges, IdempotencyScope, InboxEntry, LockRequest, Locked, OrderParts,
    OutboxRecord, PaymentTraces, SealedCard, Storage, StoredAnswer, Verdict,
};

/// What the order desk needs to run a batch.
pub struct OrderBatch {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Rules,
    pub(super) keep_answers: Duration,
    pub(super) signals: DeskSignals,
}

/// What a commit of the order desk tells background work.
#[derive(Debug, Clone, Default)]
pub(super) struct DeskSignals {
    /// Payments have to be visited.
    pub payments: Signal,
    /// Events were written to the outbox.
    pub events: Signal,
}

impl OrderBatch {
    /// Steps 3 to 5 of a batch: lock and read, decide each command in turn, write what changed, commit.
    pub(super) async fn run_batch(
        &self,
        items: &[Arc<Queued>],
        again_after_unknown: bool,
    ) -> Result<Vec<DeskReply>, BatchFailure> {
        let parts = self.order_parts(items).await?;
        let mut unit = self.storage.begin("order_desk").await?;
        // After the wait for the unit, so that the day whose charges count is the day of the decision.
        let request = self.lock_request(items, &parts);
        let locked = unit.lock(&request).await?;
        // Read under the locks: a batch that waited for another node decides at the time it got them.
        let now = self.clock.now();
        let mut batch = Deciding::new(locked, now, &self.rules, again_after_unknown);
        let replies =
            items.iter().map(|submission| batch.decide(submission)).collect::<Result<Vec<_>, _>>()?;
        if batch.changed() {
            let mut traces = PaymentTraces::of(&batch.set);
            if !self.rules.captures_once {
                traces.keep_looking(&batch.set);
            }
            batch.doubted.iter().for_each(|payment| traces.visit(*payment));
            unit.write(&DeskChanges {
                set: &batch.set,
                traces: &traces,
                cards: &batch.cards(),
                callbacks: &batch.callbacks,
                outbox: &batch.outbox,
                answers: &batch.new_answers,
                answers_expire_at: now.plus(self.keep_answers),
                audit: &batch.audit,
                now,
            })
            .await?;
            unit.commit().await?;
            if !traces.checks_added.is_empty() {
                self.signals.payments.raise();
            }
            if !batch.outbox.is_empty() {
                self.signals.events.raise();
            }
        }
        batch.count();
        Ok(replies)
    }

    async fn order_parts(
        &self,
        items: &[Arc<Queued>],
    ) -> Result<BTreeMap<OrderId, OrderParts>, BatchFailure> {
        let orders: BTreeSet<OrderId> =
            items.iter().filter_map(|item| named_order(&item.command.kind)).collect();
        if orders.is_empty() { Ok(BTreeMap::new()) } else { Ok(self.storage.order_parts(&orders).await?) }
    }

    fn lock_request(&self, items: &[Arc<Queued>], parts: &BTreeMap<OrderId, OrderParts>) -> LockRequest {
        let mut request = LockRequest {
            charges_since: self.clock.business_day_start(self.clock.now()),
            ..LockRequest::default()
        };
        for item in items {
            if let Some(keyed) = &item.keyed {
                // Locking the key's user makes another node's answer under the same key visible, or waited for.
                request.users.insert(keyed.scope.user);
                request.keys.insert(keyed.scope.clone());
            }
            match &item.command.kind {
                CommandKind::Place(place) => lock_for_place(&mut request, place),
                CommandKind::Cancel { order, .. }
                | CommandKind::Expire { order }
                | CommandKind::Payment { order, .. } => lock_for_order(&mut request, *order, parts),
                CommandKind::ChargePoints { user, .. } => {
                    request.users.insert(*user);
                    request.charging_users.insert(*user);
                }
                CommandKind::MoveStock { product, .. } => {
                    request.products.insert(*product);
                }
                CommandKind::IssueCoupon { coupon, user } => {
                    request.users.insert(*user);
                    request.coupons.insert(*coupon);
                    request.issued_pairs.insert((*user, *coupon));
                }
            }
        }
        request
    }
}

fn named_order(kind: &CommandKind) -> Option<OrderId> {
    match kind {
        CommandKind::Cancel { order, .. }
        | CommandKind::Expire { order }
        | CommandKind::Payment { order, .. } => Some(*order),
        _ => None,
    }
}

/// Whether the command says what the gateway captured, or that it captured nothing.
const fn tells_of_gateway(kind: &CommandKind) -> bool {
    use PaymentCommand::{Captured, Declined, NotRecorded};
    matches!(
        kind,
        CommandKind::Payment { command: Captured { .. } | Declined { .. } | NotRecorded { .. }, .. }
    )
}

fn lock_for_place(request: &mut LockRequest, place: &PlaceOrder) {
    request.products.extend(place.lines.iter().map(|line| line.product));
    request.users.insert(place.user);
    request.purchases.extend(place.lines.iter().map(|line| (place.user, line.product)));
    request.issued.extend(place.issued_coupon);
}

fn lock_for_order(request: &mut LockRequest, order: OrderId, parts: &BTreeMap<OrderId, OrderParts>) {
    if let Some(known) = parts.get(&order) {
        request.products.extend(known.lines.iter().map(|line| line.product));
        request.users.insert(known.user);
        request.issued.extend(known.issued_coupon);
        request.orders.insert(order, known.clone());
    }
}

/// The commands of a batch, decided one after the other on the state that the ones before left.
struct Deciding<'a> {
    set: WorkingSet,
    answers: BTreeMap<IdempotencyScope, StoredAnswer>,
    new_answers: Vec<(IdempotencyScope, StoredAnswer)>,
    outbox: Vec<OutboxRecord>,
    audit: Vec<AuditEntry>,
    placed_with: Vec<(OrderId, SealedCard)>,
    callbacks: Vec<(InboxEntry, Verdict)>,
    /// Payments of which a callback says what their state refuses, or somebody settled by hand.
    doubted: Vec<PaymentId>,
    replayed: Vec<&'static str>,
    refused: usize,
    now: Timestamp,
    rules: &'a Rules,
    again_after_unknown: bool,
}

impl<'a> Deciding<'a> {
    fn new(locked: Locked, now: Timestamp, rules: &'a Rules, again_after_unknown: bool) -> Self {
        Self {
            set: WorkingSet::new(locked.snapshot),
            answers: locked.answers,
            new_answers: Vec::new(),
            outbox: Vec::new(),
            audit: Vec::new(),
            placed_with: Vec::new(),
            callbacks: Vec::new(),
            doubted: Vec::new(),
            replayed: Vec::new(),
            refused: 0,
            now,
            rules,
            again_after_unknown,
        }
    }

    fn decide(&mut self, submission: &Queued) -> Result<DeskReply, BatchFailure> {
        if let Some(keyed) = &submission.keyed
            && let Some(stored) = self.answers.get(&keyed.scope)
        {
            if stored.fingerprint != keyed.fingerprint {
                return Ok(DeskReply::KeyReused);
            }
            let answer = stored.answer.clone();
            if self.again_after_unknown {
                return Ok(DeskReply::Confirmed(answer));
            }
            self.replayed.push(keyed.scope.route);
            return Ok(DeskReply::Replayed(answer));
        }
        let events_before = self.set.events.len();
        let decision = decide(&submission.command, &mut self.set, self.now, self.rules);
        let traceparent = submission.traceparent.as_deref();
        self.outbox
            .extend(self.set.events[events_before..].iter().map(|event| outbox_record(event, traceparent)));
        match (&decision, &submission.audit) {
            (Ok(_), Some(entry)) => self.audit.push(AuditEntry { at: self.now, ..entry.clone() }),
            (Ok(_), None) => {}
            (Err(_), _) => self.refused += 1,
        }
        if let (Ok(Outcome::Order(order)), Some(card)) = (&decision, &submission.card) {
            self.placed_with.push((order.id, card.clone()));
        }
        if let Some(entry) = &submission.callback {
            self.judge(entry, &submission.command.kind, decision.is_ok());
        }
        if let (Ok(Outcome::Order(order)), Some(_)) = (&decision, &submission.audit)
            && tells_of_gateway(&submission.command.kind)
        {
            // A charge may be on its way while somebody settles it by hand: the gateway is asked once more.
            self.doubted.push(order.payment.id);
        }
        let keep = |keyed| self.keep(keyed, decision.as_ref());
        let answer = submission.keyed.as_ref().map(keep).transpose()?;
        Ok(DeskReply::Decided { decision: Box::new(decision), answer })
    }

    /// Keeps the answer, so that a twin in the same batch gets it too. A failure of our own is not kept: once it is
    /// mended the same key shall get a real answer; and an effect that cannot be answered shall not happen.
    fn keep(
        &mut self,
        keyed: &KeyedRequest,
        decision: Result<&Outcome, &Refusal>,
    ) -> Result<Answer, BatchFailure> {
        let answer = (keyed.encode)(decision);
        if answer.status >= 500 {
            return if decision.is_ok() { Err(BatchFailure::Unanswerable) } else { Ok(answer) };
        }
        let stored = StoredAnswer { fingerprint: keyed.fingerprint, answer: answer.clone() };
        self.answers.insert(keyed.scope.clone(), stored.clone());
        self.new_answers.push((keyed.scope.clone(), stored));
        Ok(answer)
    }

    /// Notes the verdict on a callback, once for its id. What the payment's state refuses is settled by asking the gateway.
    fn judge(&mut self, entry: &InboxEntry, kind: &CommandKind, is_applied: bool) {
        let verdict = if is_applied { Verdict::Applied } else { Verdict::Conflict };
        match self.callbacks.iter_mut().find(|(known, _)| known.event_id == entry.event_id) {
            Some((_, known)) => *known = verdict,
            None => self.callbacks.push((entry.clone(), verdict)),
        }
        if !is_applied && let Some(order) = named_order(kind).and_then(|id| self.set.snapshot.orders.get(&id))
        {
            self.doubted.push(order.payment.id);
        }
    }

    /// The card numbers that are still needed at the end of the batch.
    fn cards(&self) -> Vec<(PaymentId, SealedCard)> {
        let placed = self.placed_with.iter().filter_map(|(id, card)| {
            let order = self.set.snapshot.orders.get(id)?;
            (order.status == OrderStatus::PaymentPending).then(|| (order.payment.id, card.clone()))
        });
        placed.collect()
    }

    fn changed(&self) -> bool {
        !self.set.is_clean()
            || !self.new_answers.is_empty()
            || !self.callbacks.is_empty()
            || !self.doubted.is_empty()
    }

    /// Counts what became durable; only called after the commit.
    fn count(&self) {
        metrics::committed(&self.set);
        self.replayed.iter().for_each(|route| metrics::replayed(route));
        (0..self.refused).for_each(|_| metrics::refused());
    }
}
