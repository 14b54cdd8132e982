use commerce_api_application::ports::Sold;
use commerce_api_domain::{OrderId, ProductId};

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn order(id: u128, count: i64, waiting: &[i64]) -> OrderEvents {
    let waiting = waiting.to_vec();
    OrderEvents { order: OrderId(uuid::Uuid::from_u128(id)), placed_at: NOW, count, waiting }
}

fn id(id: u128) -> String {
    uuid::Uuid::from_u128(id).to_string()
}

fn range(first: i64, last: i64) -> HandledRange {
    HandledRange { count: last - first + 1, first, last }
}

/// A shop with one order of two events and one like, and a collector that has counted all of it.
struct Both {
    shop: EventFacts,
    after: Option<EventFacts>,
    ends: Vec<PartitionEnd>,
    counted: Counted,
    remembered_since: Timestamp,
    shares_keys: bool,
}

impl Both {
    fn new() -> Self {
        let sold = Sold { product: ProductId(7), from: NOW, orders: 1, quantity: 2, amount: 500 };
        let shop = EventFacts {
            orders: vec![order(1, 2, &[])],
            sold: vec![sold],
            likes: vec![(ProductId(7), 1)],
            waiting: 0,
        };
        let mut counted = Counted { orders: BTreeMap::from([(id(1), range(1, 2))]), ..Counted::default() };
        counted.likes.insert(7, 1);
        let day = BusinessZone::default().day(NOW.as_micros()).unwrap();
        let metrics = counted.daily.entry((day, 7)).or_default();
        (metrics.orders, metrics.quantity, metrics.amount) = (1, 2, 500);
        let partitions = 0..3;
        let end = |partition| PartitionEnd { topic: "order".to_owned(), partition, end: 5 };
        let to = |partition| CountedTo { topic: "order".to_owned(), partition, next: 5 };
        counted.to = partitions.clone().map(to).collect();
        let remembered_since = Timestamp::default();
        Self {
            shop,
            after: None,
            ends: partitions.map(end).collect(),
            counted,
            remembered_since,
            shares_keys: true,
        }
    }

    /// State and subject of what is found.
    fn found(&self, settled: bool) -> Vec<(FindingState, String)> {
        let comparison = Comparison {
            shop: &self.shop,
            shop_after: self.after.as_ref().unwrap_or(&self.shop),
            ends: &self.ends,
            shares_keys: self.shares_keys,
            counted: &self.counted,
            zone: BusinessZone::default(),
            remembered_since: self.remembered_since,
        };
        let mut report = AuditReport::default();
        comparison.report(settled, &mut report);
        assert!(report.findings.iter().all(|finding| finding.invariant == 5));
        report.findings.into_iter().map(|finding| (finding.state, finding.subject)).collect()
    }

    fn lost(&self) -> Vec<String> {
        let lost = |(state, subject)| (state == FindingState::Violated).then_some(subject);
        self.found(false).into_iter().filter_map(lost).collect()
    }

    fn pending(&self) -> Vec<String> {
        let found = self.found(false);
        assert!(found.iter().all(|(state, _)| *state == FindingState::Pending), "{found:?}");
        let settled = self.found(true);
        assert!(settled.iter().all(|(state, _)| *state == FindingState::Violated), "{settled:?}");
        assert_eq!(settled.len(), found.len());
        found.into_iter().map(|(_, subject)| subject).collect()
    }
}

#[test]
fn what_was_all_counted_is_clean() {
    assert_eq!(Both::new().found(true), []);
}

#[test]
fn an_event_that_is_nowhere_is_lost() {
    for counted in [None, Some(range(1, 1)), Some(range(2, 2))] {
        let mut both = Both::new();
        both.counted.orders.clear();
        both.counted.orders.extend(counted.map(|range| (id(1), range)));
        assert_eq!(both.lost(), [format!("order:{}", id(1))], "{counted:?}");
    }
    let mut both = Both::new();
    both.shop.orders = vec![order(1, 4, &[4])];
    both.counted.orders.insert(id(1), HandledRange { count: 2, first: 1, last: 3 });
    assert_eq!(both.counted.with_gaps(), [id(1)]);
    both.counted.gaps.insert(id(1), BTreeSet::from([1, 3]));
    both.shop.waiting = 1;
    assert_eq!(both.lost(), [format!("order:{}", id(1))], "2 is lost, 4 is on its way");
}

#[test]
fn an_event_in_the_outbox_a_dead_letter_or_the_log_is_under_way() {
    let mut both = Both::new();
    both.counted.orders.insert(id(1), range(1, 1));
    let subject = format!("order:{}", id(1));

    both.shop.orders = vec![order(1, 2, &[2])];
    both.shop.waiting = 1;
    assert_eq!(both.pending(), ["outbox"]);

    both.shop.orders = vec![order(1, 2, &[])];
    both.shop.waiting = 0;
    let letter = OpenDeadLetter {
        id: 4,
        cause: "UNKNOWN_TYPE".to_owned(),
        aggregate_type: Some("ORDER".to_owned()),
        aggregate_id: Some(id(1)),
        sequence: Some(2),
    };
    both.counted.dead_letters = vec![letter];
    assert_eq!(both.pending(), ["dead-letter:4"]);

    // One that was given up is no gap, and nothing that is still to be done.
    both.counted.discarded = std::mem::take(&mut both.counted.dead_letters);
    assert!(both.found(true).is_empty());
    both.counted.discarded.clear();

    let partition = partition_of(&id(1), 3);
    let end = both.ends.iter_mut().find(|end| end.partition == partition).unwrap();
    end.end = 6;
    let log = format!("log:order/{partition}");
    assert_eq!(both.pending(), [log.clone(), subject.clone()]);

    // Another partition that is behind is no excuse.
    for end in &mut both.ends {
        end.end = 5 + i64::from(end.partition != partition);
    }
    assert_eq!(both.lost(), [subject]);
}

#[test]
fn totals_that_differ_are_wrong_only_when_nothing_moves() {
    let mut both = Both::new();
    both.counted.likes.insert(7, 2);
    both.counted.daily.values_mut().for_each(|metrics| metrics.amount += 1);
    assert_eq!(both.lost(), ["product:7", "product:7"]);
    // Counted between the two looks at the shop.
    let mut after = both.shop.clone();
    after.likes[0].1 = 2;
    after.sold[0].amount += 1;
    both.after = Some(after);
    assert_eq!(both.found(true), []);
    // The shop has moved on since.
    let mut after = both.shop.clone();
    after.likes[0].1 = 3;
    after.sold[0].amount += 2;
    both.after = Some(after);
    assert_eq!(both.pending(), ["product:7", "product:7"]);
    both.after = None;
    both.shop.waiting = 1;
    assert_eq!(both.pending(), ["outbox", "product:7", "product:7"]);
}

#[test]
fn what_was_counted_of_nothing_is_wrong() {
    let mut both = Both::new();
    both.shop.sold.clear();
    both.shop.likes.clear();
    assert_eq!(both.lost(), ["product:7", "product:7"]);
    let mut both = Both::new();
    both.counted.orders.insert(id(1), range(1, 3));
    assert_eq!(both.lost(), [format!("order:{}", id(1))], "an event that the shop does not know");
}

#[test]
fn an_old_order_whose_first_events_are_forgotten_is_not_incomplete() {
    let mut both = Both::new();
    both.shop.orders = vec![order(1, 4, &[])];
    both.counted.orders.insert(id(1), range(3, 4));
    assert_eq!(both.lost().len(), 1);
    both.remembered_since = NOW.plus(std::time::Duration::from_secs(1));
    assert_eq!(both.lost(), Vec::<String>::new());
    both.shop.orders = vec![order(1, 5, &[])];
    assert_eq!(both.lost().len(), 1, "what follows must be there");
}

#[test]
fn boards_are_wrong_or_pending() {
    let mut both = Both::new();
    both.counted.boards.pending.push("D20270115".to_owned());
    assert_eq!(both.pending(), ["board:D20270115"]);
    both.counted.boards.wrong.push(("board:D20270114:ALL".to_owned(), "2 places".to_owned()));
    assert_eq!(both.lost(), ["board:D20270114:ALL"]);
}

#[test]
fn where_the_log_shares_keys_out_itself_any_partition_that_is_behind_may_carry_the_order() {
    let mut both = Both { shares_keys: false, ..Both::new() };
    both.counted.orders.clear();
    both.counted.to.iter_mut().find(|to| to.partition == 2).unwrap().next = 4;
    let found = both.found(false);
    assert!(found.iter().all(|(state, _)| *state == FindingState::Pending), "{found:?}");
    both.counted.to.iter_mut().for_each(|to| to.next = 5);
    let subject = format!("order:{}", id(1));
    assert!(both.found(false).contains(&(FindingState::Violated, subject)));
}
