//! Invariant 5: what the shop did, the collector has counted, exactly once and on its day, or will.
//!
//! The two databases and the log between them are read one after the other, in the direction of the events: what has left
//! the outbox before the first look stood in the log at the second, and is counted at the third unless the collector
//! lags. So an event that is in none of them is lost, unless its partition is behind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use commerce_api_application::ports::{AuditReport, EventFacts, Finding, FindingState, OrderEvents};
use commerce_api_domain::Timestamp;
use commerce_bus::{PartitionEnd, partition_of};
use commerce_collector::audit::{BoardFindings, CountedTo, Daily, HandledRange, OpenDeadLetter};
use commerce_contracts::topics;
use commerce_runtime::BusinessZone;

const INVARIANT: u8 = 5;
/// Most findings that are listed.
const LISTED_MAX: usize = 100;

/// What the collector has counted, at one moment.
#[derive(Debug, Default)]
pub struct Counted {
    /// Events of orders, by the order's id.
    pub orders: BTreeMap<String, HandledRange>,
    /// The same number by number, where they have gaps.
    pub gaps: BTreeMap<String, BTreeSet<i64>>,
    /// Dead letters that nobody has dealt with.
    pub dead_letters: Vec<OpenDeadLetter>,
    /// Those that an operator gave up: their events are missing on purpose. What they would have counted is not there,
    /// and is told where it shows.
    pub discarded: Vec<OpenDeadLetter>,
    /// Metrics by day and product.
    pub daily: Daily,
    /// Likes by product.
    pub likes: BTreeMap<i64, i64>,
    /// How far every partition is counted.
    pub to: Vec<CountedTo>,
    /// What the boards and totals have to say.
    pub boards: BoardFindings,
}

impl Counted {
    /// Orders of which some event in the middle was not counted.
    pub fn with_gaps(&self) -> Vec<String> {
        let has_gap = |range: &HandledRange| range.first != 1 || range.count != range.last;
        self.orders.iter().filter(|(_, range)| has_gap(range)).map(|(id, _)| id.clone()).collect()
    }

    fn has(&self, order: &str, sequence: i64) -> bool {
        match (self.gaps.get(order), self.orders.get(order)) {
            (Some(counted), _) => counted.contains(&sequence),
            (None, Some(range)) => (range.first..=range.last).contains(&sequence),
            (None, None) => false,
        }
    }
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Lost,
    Behind,
}

/// Both sides of the comparison.
pub struct Comparison<'a> {
    /// The shop, before the others were read.
    pub shop: &'a EventFacts,
    /// The shop, after them.
    pub shop_after: &'a EventFacts,
    /// The ends of the log's partitions.
    pub ends: &'a [PartitionEnd],
    /// Whether the log shares keys out as [`partition_of`] does; otherwise it is not known which partition carries a key.
    pub shares_keys: bool,
    /// The collector, read last but for the second look at the shop.
    pub counted: &'a Counted,
    /// The shop's zone.
    pub zone: BusinessZone,
    /// Of what happened before it, dedupe rows may be gone.
    pub remembered_since: Timestamp,
}

impl Comparison<'_> {
    /// Adds what was compared and what was found. `settled`: what merely lags is a violation.
    pub fn report(&self, settled: bool, report: &mut AuditReport) {
        let orders = u64::try_from(self.shop.orders.len()).unwrap_or(u64::MAX);
        report.checked.push(("orders' events", orders));
        let boards = &self.counted.boards;
        report.checked.push(("days' boards", u64::try_from(boards.days).unwrap_or(u64::MAX)));
        report.checked.push(("weeks and months", u64::try_from(boards.periods).unwrap_or(u64::MAX)));
        let mut found = self.lags();
        let lags = !found.is_empty();
        found.extend(self.orders());
        found.extend(self.sold(lags));
        found.extend(self.likes(lags));
        found.extend(self.boards());
        // What is lost first: a long backlog must not hide it.
        found.sort_by_key(|(verdict, ..)| *verdict == Verdict::Behind);
        report.truncated |= found.len() > LISTED_MAX;
        report.findings.extend(found.into_iter().take(LISTED_MAX).map(|(verdict, subject, detail)| {
            let state = match verdict {
                Verdict::Behind if !settled => FindingState::Pending,
                Verdict::Behind | Verdict::Lost => FindingState::Violated,
            };
            Finding { invariant: INVARIANT, state, subject, detail }
        }));
    }

    /// What is under way.
    fn lags(&self) -> Vec<Found> {
        let mut found = Vec::new();
        if self.shop.waiting > 0 {
            let detail = format!("{} events wait to be published", self.shop.waiting);
            found.push((Verdict::Behind, "outbox".to_owned(), detail));
        }
        for PartitionEnd { topic, partition, end } in self.ends {
            let behind = end - self.counted_to(topic, *partition);
            if behind > 0 {
                let detail = format!("{behind} events are not counted yet");
                found.push((Verdict::Behind, format!("log:{topic}/{partition}"), detail));
            }
        }
        for letter in &self.counted.dead_letters {
            let detail = format!("set aside as {} and not dealt with", letter.cause);
            found.push((Verdict::Behind, format!("dead-letter:{}", letter.id), detail));
        }
        found
    }

    fn counted_to(&self, topic: &str, partition: i32) -> i64 {
        let mut counted = self.counted.to.iter();
        counted.find(|to| to.topic == topic && to.partition == partition).map_or(0, |to| to.next)
    }

    fn orders(&self) -> Vec<Found> {
        let order_letter = |letter: &&OpenDeadLetter| letter.aggregate_type.as_deref() == Some("ORDER");
        let letters = self.counted.dead_letters.iter().chain(&self.counted.discarded).filter(order_letter);
        let set_aside: BTreeSet<(&str, i64)> =
            letters.filter_map(|letter| Some((letter.aggregate_id.as_deref()?, letter.sequence?))).collect();
        let mut found = Vec::new();
        for order in &self.shop.orders {
            let id = order.order.to_string();
            let missing = self.missing(order, &id, &set_aside);
            if !missing.is_empty() {
                let verdict = if self.is_behind(&id) { Verdict::Behind } else { Verdict::Lost };
                let detail =
                    format!("of its {} events {missing:?} are neither counted nor under way", order.count);
                found.push((verdict, format!("order:{id}"), detail));
            }
        }
        found.extend(self.unknown());
        found
    }

    fn missing(&self, order: &OrderEvents, id: &str, set_aside: &BTreeSet<(&str, i64)>) -> Vec<i64> {
        let is_missing = |sequence: &i64| {
            !(self.counted.has(id, *sequence)
                || order.waiting.contains(sequence)
                || set_aside.contains(&(id, *sequence)))
        };
        let missing = (1..=order.count).filter(is_missing);
        if order.placed_at < self.remembered_since {
            // That its first events were counted was forgotten with time; what follows a known one must be there.
            let known = |sequence: &i64| !is_missing(sequence);
            let first_known = (1..=order.count).find(known).unwrap_or(order.count);
            return missing.filter(|sequence| *sequence > first_known).collect();
        }
        missing.collect()
    }

    /// Whether the partition that carries the order's events has some that are not counted; any, where it is not known
    /// which one it is.
    fn is_behind(&self, order: &str) -> bool {
        if !self.shares_keys {
            let mut ends = self.ends.iter().filter(|end| end.topic == topics::ORDER);
            return ends.any(|end| self.counted_to(topics::ORDER, end.partition) < end.end);
        }
        let partitions = self.ends.iter().filter(|end| end.topic == topics::ORDER).count();
        let partition = partition_of(order, i32::try_from(partitions).unwrap_or(1));
        let end = self.ends.iter().find(|end| end.topic == topics::ORDER && end.partition == partition);
        end.is_some_and(|end| self.counted_to(topics::ORDER, partition) < end.end)
    }

    /// Events counted that the shop does not know, such as after an older copy of its database was put back.
    fn unknown(&self) -> Vec<Found> {
        let counts = |facts: &EventFacts| -> BTreeMap<String, i64> {
            facts.orders.iter().map(|order| (order.order.to_string(), order.count)).collect()
        };
        let (before, after) = (counts(self.shop), counts(self.shop_after));
        let known = |id: &str| before.get(id).copied().max(after.get(id).copied());
        let mut found = Vec::new();
        for (id, range) in &self.counted.orders {
            if let Some(known) = known(id).filter(|known| range.last > *known) {
                let detail = format!("event {} was counted, of {known} that there are", range.last);
                found.push((Verdict::Lost, format!("order:{id}"), detail));
            }
        }
        found
    }

    fn sold(&self, lags: bool) -> Vec<Found> {
        let (before, after) = (self.sold_by_day(self.shop), self.sold_by_day(self.shop_after));
        let mut counted: BTreeMap<DayProduct, Sums> = BTreeMap::new();
        for (key, metrics) in &self.counted.daily {
            counted.insert(*key, (metrics.orders, metrics.quantity, metrics.amount.into()));
        }
        let differ = differences(&before, &after, &counted, lags);
        let finding =
            |((day, product), (verdict, expected, counted)): (DayProduct, (Verdict, Sums, Sums))| {
                let told = |(orders, quantity, amount): Sums| {
                    format!("{orders} orders, {quantity} pieces, {amount} won")
                };
                let detail = format!("sold on {day}: {}; counted: {}", told(expected), told(counted));
                (verdict, format!("product:{product}"), detail)
            };
        differ.into_iter().map(finding).collect()
    }

    fn sold_by_day(&self, facts: &EventFacts) -> BTreeMap<DayProduct, Sums> {
        let mut days: BTreeMap<DayProduct, Sums> = BTreeMap::new();
        for sold in &facts.sold {
            // A moment beyond the calendar was never a time of payment.
            let Some(day) = self.zone.day(sold.from.as_micros()) else { continue };
            let sums = days.entry((day, sold.product.0)).or_default();
            sums.0 += sold.orders;
            sums.1 += sold.quantity;
            sums.2 += sold.amount;
        }
        days
    }

    fn likes(&self, lags: bool) -> Vec<Found> {
        let likes = |facts: &EventFacts| -> BTreeMap<i64, i64> {
            facts.likes.iter().map(|(product, likes)| (product.0, *likes)).collect()
        };
        let differ = differences(&likes(self.shop), &likes(self.shop_after), &self.counted.likes, lags);
        let finding = |(product, (verdict, expected, counted)): (i64, (Verdict, i64, i64))| {
            (verdict, format!("product:{product}"), format!("{expected} likes; counted: {counted}"))
        };
        differ.into_iter().map(finding).collect()
    }

    fn boards(&self) -> Vec<Found> {
        let wrong = self.counted.boards.wrong.iter();
        let wrong = wrong.map(|(subject, detail)| (Verdict::Lost, subject.clone(), detail.clone()));
        let pending = self.counted.boards.pending.iter().map(|period| {
            (Verdict::Behind, format!("board:{period}"), "has changed since it was ranked".to_owned())
        });
        wrong.chain(pending).collect()
    }
}

/// Verdict, subject and detail.
type Found = (Verdict, String, String);

/// Orders, pieces, won.
type Sums = (i64, i64, i128);

/// A business day and a product.
type DayProduct = (NaiveDate, i64);

/// The keys under which was counted what the shop has neither before nor after: while the shop moves, or events are under
/// way, it may yet agree. Absent is the same as nothing.
fn differences<K: Ord + Copy, V: Copy + Default + PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    counted: &BTreeMap<K, V>,
    lags: bool,
) -> BTreeMap<K, (Verdict, V, V)> {
    let keys: BTreeSet<K> = before.keys().chain(after.keys()).chain(counted.keys()).copied().collect();
    let at = |map: &BTreeMap<K, V>, key: &K| map.get(key).copied().unwrap_or_default();
    let differ = |key: K| {
        let (before, after, counted) = (at(before, &key), at(after, &key), at(counted, &key));
        if counted == before || counted == after {
            return None;
        }
        let verdict = if lags || before != after { Verdict::Behind } else { Verdict::Lost };
        Some((key, (verdict, before, counted)))
    };
    keys.into_iter().filter_map(differ).collect()
}

#[cfg(test)]
mod tests;
