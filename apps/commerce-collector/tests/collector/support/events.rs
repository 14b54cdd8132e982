//! Events as commerce-api publishes them, and a recount of them that shares nothing with the collector.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use commerce_bus::Record;
use commerce_contracts::time::{micros, rfc3339};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Counts, Numbers};

/// 2027-01-15 08:00 UTC: 17:00 in Seoul.
pub const NOW_US: i64 = 1_800_000_000_000_000;

/// An event to publish.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: Uuid,
    pub topic: &'static str,
    pub key: String,
    pub kind: &'static str,
    pub aggregate: &'static str,
    pub sequence: i64,
    pub at_us: i64,
    pub payload: Value,
}

impl Event {
    fn new(
        number: u128,
        kind: &'static str,
        at: (&'static str, &'static str, String),
        payload: Value,
    ) -> Self {
        let (topic, aggregate, key) = at;
        Self { id: Uuid::from_u128(number), topic, key, kind, aggregate, sequence: 1, at_us: NOW_US, payload }
    }

    pub fn viewed(number: u128, product: i64) -> Self {
        let place = ("product", "PRODUCT_VIEW", product.to_string());
        let event = Self::new(number, "ProductViewed", place, json!({"productId": product}));
        Self { sequence: 0, ..event }
    }

    pub fn liked(number: u128, product: i64, user: i64) -> Self {
        let place = ("product.like", "PRODUCT_LIKE", format!("{product}:{user}"));
        Self::new(number, "LikeAdded", place, json!({"productId": product, "userId": user}))
    }

    pub fn unliked(number: u128, product: i64, user: i64) -> Self {
        Self { kind: "LikeRemoved", sequence: 2, ..Self::liked(number, product, user) }
    }

    /// Lines are (product, quantity, price).
    pub fn paid(number: u128, order: u128, lines: &[(i64, i64, i64)]) -> Self {
        let order = Uuid::from_u128(order).to_string();
        let items: Vec<_> = lines
            .iter()
            .map(|(product, quantity, price)| json!({"productId": product, "quantity": quantity, "price": price}))
            .collect();
        let payload = json!({"orderId": order, "userId": 5, "totalPrice": 1, "items": items});
        Self { sequence: 2, ..Self::new(number, "OrderPaid", ("order", "ORDER", order), payload) }
    }

    pub fn canceled(number: u128, paid: &Self, was_paid: bool) -> Self {
        let mut payload = paid.payload.clone();
        payload["paidAt"] = if was_paid { json!(rfc3339(paid.at_us)) } else { Value::Null };
        let id = Uuid::from_u128(number);
        Self { id, kind: "OrderCanceled", sequence: 3, payload, ..paid.clone() }
    }

    pub fn requested(number: u128, order: u128) -> Self {
        let order = Uuid::from_u128(order).to_string();
        let payload = json!({"paymentId": order, "orderId": order, "amount": 5});
        Self::new(number, "PaymentRequested", ("order", "ORDER", order), payload)
    }

    /// The same, at another moment.
    pub fn at(self, rfc3339: &str) -> Self {
        Self { at_us: micros(rfc3339).unwrap(), ..self }
    }

    pub fn envelope(&self) -> Value {
        json!({
            "eventId": self.id, "eventType": self.kind, "version": 1, "aggregateType": self.aggregate,
            "aggregateId": self.key, "sequence": self.sequence, "occurredAt": rfc3339(self.at_us),
            "payload": self.payload,
        })
    }

    pub fn record(&self) -> Record {
        Record {
            topic: self.topic.to_owned(),
            key: self.key.clone(),
            headers: vec![("ce_id".to_owned(), self.id.to_string().into())],
            value: Bytes::from(self.envelope().to_string()),
        }
    }

    /// Day in Seoul as `yyyymmdd`, by hand: nine hours ahead, no summer time.
    fn day(at_us: i64) -> i64 {
        let text = rfc3339(at_us + 9 * 3_600 * 1_000_000);
        text[..10].replace('-', "").parse().unwrap()
    }
}

/// `count` different events of all kinds, over 40 products and three days.
pub fn mixed(count: u32) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for number in 0..count {
        let (n, product) = (u128::from(number) + 1, i64::from(number * 7 % 40) + 1);
        let back_us = i64::from(number % 3) * 86_400_000_000;
        let event = match number % 10 {
            0..=4 => Event::viewed(n, product),
            5 => Event::liked(n, product, i64::from(number)),
            6 => Event::unliked(n, product, i64::from(number)),
            7 => Event::requested(n, n),
            8 => Event::paid(n, n, &[(product, 2, 500), (product % 40 + 1, 1, 900)]),
            _ => {
                let paid = &events[events.len() - 1];
                Event::canceled(n, &paid.clone(), number % 20 == 9)
            }
        };
        let at_us = if number % 10 == 9 { event.at_us } else { event.at_us - back_us };
        events.push(Event { at_us, ..event });
    }
    events
}

/// What must have been counted once all of these are, however often they were published.
pub fn recount(events: &[Event]) -> Counts {
    let mut counts = Counts::default();
    let mut seen = BTreeSet::new();
    for event in events.iter().filter(|event| seen.insert(event.id)) {
        counts.handled += 1;
        for (day, product, numbers) in effects(event) {
            add(&mut counts.totals, product, numbers);
            add(&mut counts.daily, (day, product), numbers);
        }
    }
    counts
}

fn effects(event: &Event) -> Vec<(i64, i64, Numbers)> {
    let day = Event::day(event.at_us);
    let product = || event.payload["productId"].as_i64().unwrap();
    match event.kind {
        "ProductViewed" => vec![(day, product(), [1, 0, 0, 0, 0])],
        "LikeAdded" => vec![(day, product(), [0, 1, 0, 0, 0])],
        "LikeRemoved" => vec![(day, product(), [0, -1, 0, 0, 0])],
        "OrderPaid" => sold(event, day, 1),
        "OrderCanceled" => match event.payload["paidAt"].as_str() {
            Some(paid_at) => sold(event, Event::day(micros(paid_at).unwrap()), -1),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn sold(event: &Event, day: i64, sign: i64) -> Vec<(i64, i64, Numbers)> {
    let mut by_product: BTreeMap<i64, Numbers> = BTreeMap::new();
    for item in event.payload["items"].as_array().unwrap() {
        let number = |name: &str| item[name].as_i64().unwrap();
        let sold = by_product.entry(number("productId")).or_insert([0, 0, sign, 0, 0]);
        sold[3] += sign * number("quantity");
        sold[4] += sign * number("quantity") * number("price");
    }
    by_product.into_iter().map(|(product, numbers)| (day, product, numbers)).collect()
}

fn add<K: Ord>(counts: &mut BTreeMap<K, Numbers>, key: K, numbers: Numbers) {
    let sum = counts.entry(key).or_default();
    for (sum, number) in sum.iter_mut().zip(numbers) {
        *sum += number;
    }
}
