//! Whether all is settled, and whether the books agree then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use commerce_api_domain::{LedgerKind, Order, OrderStatus, PaymentId, PaymentStatus};
use commerce_api_infrastructure::memory::MemoryState;
use commerce_bus::Received;
use commerce_collector::Weights;
use commerce_collector_domain::Metrics;
use commerce_contracts::event::{Event, Payload, decode};
use commerce_contracts::topics;
use uuid::Uuid;

use crate::clients::Clients;
use crate::counts::board;
use crate::fleet::Fleet;
use crate::plan::{Deed, Plan};
use crate::witness::recount;

/// Looks at a run from outside.
pub struct Verdict<'a> {
    /// All processes and what they share.
    pub fleet: &'a Arc<Fleet>,
    /// Those who used the shop.
    pub clients: &'a Clients,
    /// What was to be done.
    pub plan: &'a Plan,
}

impl Verdict<'_> {
    fn wrong(&self, what: String) {
        self.fleet.world.wrong(what);
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong(what());
        }
    }

    /// What is not settled.
    pub fn open(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.clients.busy() > 0 {
            open.push(format!("{} commands are not answered", self.clients.busy()));
        }
        let rows = &self.fleet.database.rows;
        let (waiting, refunds) = (rows.outbox_after(0).len(), rows.refunds());
        if waiting > 0 {
            open.push(format!("{waiting} events wait in the outbox"));
        }
        // A gateway that cannot give back leaves its payments on the list, by design.
        let stuck = |payment: PaymentId| {
            let due = refunds.iter().any(|((of, _), refund)| *of == payment && refund.settled_at.is_none());
            due && !self.plan.abilities.refund
        };
        for payment in rows.checks().into_keys().filter(|payment| !stuck(*payment)) {
            open.push(format!("payment {payment} is still to be visited"));
        }
        let (handled, kept) = (self.fleet.counts.handled(), self.fleet.bus.events());
        if handled < kept {
            open.push(format!("{handled} of {kept} events are counted"));
        }
        if !self.fleet.counts.is_ranked() {
            open.push("a day is not ranked".to_owned());
        }
        open
    }

    /// Every event that the log holds, once, with its first record.
    fn log(&self) -> BTreeMap<Uuid, Received> {
        let mut events = BTreeMap::new();
        for record in self.fleet.bus.records() {
            let envelope: serde_json::Value = serde_json::from_slice(&record.value).unwrap_or_default();
            let id =
                envelope.get("eventId").and_then(|id| id.as_str()).and_then(|id| Uuid::try_parse(id).ok());
            if let Some(id) = id {
                events.entry(id).or_insert(record);
            }
        }
        events
    }

    /// Compares everything with everything.
    pub fn pronounce(&self) {
        self.fleet.check_processes();
        recount(&self.fleet.database);
        let state = self.fleet.database.rows.state();
        self.gateway_agrees(&state);
        self.sequences_agree(&state);
        self.clients_agree(&state);
        self.log_agrees();
        self.counts_agree(&state);
    }

    /// What the gateway keeps is the card parts of paid orders, and what it could not give back.
    fn gateway_agrees(&self, state: &MemoryState) {
        let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut sum = 0;
        for entry in self.fleet.gateway.entries().iter().filter(|entry| entry.is_kept()) {
            let transaction = &entry.transaction;
            sum += transaction.amount;
            kept.entry(transaction.reference.to_string()).or_default().insert(transaction.key.to_string());
        }
        let mut expected_sum = 0;
        for order in state.orders.values() {
            let expected = expected_captures(state, order);
            expected_sum += order.payment.card_part.won() * i64::try_from(expected.len()).unwrap_or_default();
            let found = kept.remove(&order.payment.id.to_string()).unwrap_or_default();
            self.expect(found == expected, || {
                let (id, status) = (order.payment.id, order.payment.status.name());
                format!("payment {id} is {status}: the gateway keeps {found:?}, we believe {expected:?}")
            });
        }
        self.expect(kept.is_empty(), || format!("the gateway keeps for nobody: {kept:?}"));
        self.expect(sum == expected_sum, || {
            format!("the gateway keeps {sum} won, we believe {expected_sum}")
        });
        let waits = state.orders.values().filter(|order| order.status == OrderStatus::PaymentPending);
        waits.for_each(|order| self.wrong(format!("order {} still waits for its payment", order.id)));
    }

    /// Every aggregate has told as many events as its row counts.
    fn sequences_agree(&self, state: &MemoryState) {
        let told = self.fleet.database.witness.sequences();
        let mut rows: BTreeMap<(&'static str, String), i64> = BTreeMap::new();
        let mut add = |topic, id: String, count: i64| {
            if count > 0 {
                rows.insert((topic, id), count);
            }
        };
        state.orders.values().for_each(|order| add(topics::ORDER, order.id.to_string(), order.event_seq));
        state.products.values().for_each(|row| add(topics::PRODUCT, row.id.to_string(), row.event_seq));
        state.issued.values().for_each(|row| add(topics::COUPON, row.id.to_string(), row.event_seq));
        for like in state.likes.values() {
            add(topics::PRODUCT_LIKE, format!("{}:{}", like.product, like.user), like.event_seq);
        }
        self.expect(told == rows, || format!("events by aggregate are {told:?}, the rows count {rows:?}"));
    }

    /// Every order was asked for once, and every charge of points too.
    fn clients_agree(&self, state: &MemoryState) {
        let answers = self.clients.answers();
        let told: BTreeSet<&str> =
            answers.values().filter_map(|answer| answer.strip_prefix("order ")).collect();
        let rows: BTreeSet<String> = state.orders.keys().map(ToString::to_string).collect();
        self.expect(told.len() == rows.len() && rows.iter().all(|id| told.contains(id.as_str())), || {
            format!("clients were told of {} orders, there are {}", told.len(), rows.len())
        });
        let charged: i64 =
            answers.values().filter_map(|answer| answer.strip_prefix("charged ")?.parse::<i64>().ok()).sum();
        let fixture = 5_000 * i64::try_from(state.users.len()).unwrap_or_default();
        let bought = state.ledger.values().filter(|entry| entry.kind == LedgerKind::Charge);
        let rows: i64 = bought.map(|entry| entry.amount.won()).sum();
        self.expect(charged == rows - fixture, || {
            format!("clients were told of {charged} points, there are {}", rows - fixture)
        });
    }

    /// Every event that was committed is in the log, aggregate by aggregate in order; and nothing else but views.
    fn log_agrees(&self) {
        let (log, written) = (self.log(), self.fleet.database.witness.written());
        for id in written.keys().filter(|id| !log.contains_key(id)) {
            self.wrong(format!("the event {id} was committed and never published"));
        }
        let mut last: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut views = 0;
        for record in self.fleet.bus.records() {
            let Ok(event) = decode(&record.topic, &record.value) else {
                self.wrong(format!(
                    "{}/{} holds no event at {}",
                    record.topic, record.partition, record.offset
                ));
                continue;
            };
            if !seen.insert(event.id) {
                continue;
            }
            let Some(known) = written.get(&event.id) else {
                views += 1;
                self.expect(matches!(event.payload, Payload::ProductViewed(_)), || {
                    format!("the event {} was published and never committed", event.id)
                });
                continue;
            };
            let last = last.entry((known.stream.0, known.stream.1.as_str())).or_default();
            self.expect(known.sequence == *last + 1, || {
                format!("the log tells {:?} #{} after #{last}", known.stream, known.sequence)
            });
            self.expect(record.value == known.payload.as_bytes(), || {
                format!("the event {} changed", event.id)
            });
            *last = known.sequence;
        }
        let looked = self.plan.commands.iter().filter(|command| matches!(command.deed, Deed::View { .. }));
        self.expect(views <= looked.count(), || format!("{views} views were published, there were fewer"));
    }

    /// What is counted is what the rows say was sold and is liked, and each view in the log once.
    fn counts_agree(&self, state: &MemoryState) {
        let rows = self.fleet.counts.rows();
        for reason in &rows.set_aside {
            self.wrong(format!("an event was set aside: {reason}"));
        }
        let mut expected: BTreeMap<i64, Metrics> = BTreeMap::new();
        for order in state.orders.values().filter(|order| order.status == OrderStatus::Paid) {
            for line in order.lines.iter() {
                let metrics = expected.entry(line.product.0).or_default();
                metrics.orders += 1;
                metrics.quantity += line.quantity.get();
                metrics.amount += line.unit_price.won() * line.quantity.get();
            }
        }
        for like in state.likes.values().filter(|like| like.active) {
            expected.entry(like.product.0).or_default().likes += 1;
        }
        for record in self.log().values() {
            if let Ok(Event { payload: Payload::ProductViewed(viewed), .. }) =
                decode(&record.topic, &record.value)
            {
                expected.entry(viewed.product_id).or_default().views += 1;
            }
        }
        let some = |rows: &BTreeMap<i64, Metrics>| -> BTreeMap<i64, Metrics> {
            rows.iter().filter(|(_, row)| **row != Metrics::ZERO).map(|(id, row)| (*id, *row)).collect()
        };
        let (found, expected) = (some(&rows.totals), some(&expected));
        self.expect(found == expected, || format!("counted {found:?}, the shop says {expected:?}"));
        let mut by_day: BTreeMap<i64, Metrics> = BTreeMap::new();
        for ((_, product), metrics) in &rows.daily {
            let sum = by_day.entry(*product).or_default();
            *sum = sum.checked_add(*metrics).unwrap_or_default();
        }
        self.expect(some(&by_day) == found, || format!("days add up to {by_day:?}, counted {found:?}"));
        for (day, standings) in &rows.boards {
            let expected = board(&rows.daily, *day, Weights::default());
            self.expect(*standings == expected, || format!("the board of {day} is old"));
        }
    }
}

/// The gateway's keys of what we believe that it keeps of an order.
fn expected_captures(state: &MemoryState, order: &Order) -> BTreeSet<String> {
    let due = state
        .refunds
        .iter()
        .filter(|((of, _), refund)| *of == order.payment.id && refund.settled_at.is_none());
    let mut expected: BTreeSet<String> = due.map(|((_, key), _)| key.to_string()).collect();
    if order.payment.status == PaymentStatus::Success {
        expected.extend(order.payment.gateway_key.as_ref().map(ToString::to_string));
    }
    expected
}
