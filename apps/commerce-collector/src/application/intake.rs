//! From a record to what is done with it.

use std::time::Duration;

use commerce_bus::Received;
use commerce_collector_domain::{Fact, Line, count, is_future};
use commerce_contracts::event::{Event, Payload, decode};
use commerce_contracts::{OrderItem, OrderMoved};
use commerce_runtime::BusinessZone;
use serde_json::Value;

use super::ports::{Cause, CountedEvent, Identity, Item, Verdict};

/// The longest id of an aggregate, as the tables have it.
const AGGREGATE_ID_MAX: usize = 64;
/// The longest text about what is wrong.
const DETAIL_MAX: usize = 500;

/// What records are held to.
#[derive(Debug, Clone, Copy)]
pub struct Intake {
    /// The shop's zone.
    pub zone: BusinessZone,
    /// How far clocks may differ.
    pub future_max: Duration,
}

impl Intake {
    /// What is done with a record that is read at `now_us`.
    pub fn judge(&self, record: Received, now_us: i64) -> Item {
        let verdict = match decode(&record.topic, &record.value) {
            Ok(event) => self.judge_event(&event, now_us),
            Err(error) => {
                Verdict::SetAside(cause(error.class(), &error.to_string(), identity(&record.value)))
            }
        };
        Item { record, verdict }
    }

    fn judge_event(&self, event: &Event, now_us: i64) -> Verdict {
        let refused = |class, detail: &str| Verdict::SetAside(cause(class, detail, identity_of(event)));
        if !is_storable(&event.aggregate_id) {
            return refused(
                "BAD_AGGREGATE_ID",
                "the aggregateId is empty, too long, or has control characters",
            );
        }
        if is_future(event.occurred_at_us, now_us, self.future_max) {
            let ahead_s = (event.occurred_at_us - now_us) / 1_000_000;
            return refused("FUTURE_DATED", &format!("occurredAt lies {ahead_s} s in the future"));
        }
        match count(&fact(event), event.occurred_at_us, |at_us| self.zone.day(at_us)) {
            Ok(deltas) => Verdict::Count(CountedEvent {
                id: event.id,
                event_type: event.event_type.name(),
                aggregate_type: event.event_type.aggregate_type().name(),
                aggregate_id: event.aggregate_id.clone(),
                sequence: event.sequence,
                deltas,
            }),
            Err(error) => refused("NOT_COUNTABLE", &error.to_string()),
        }
    }
}

/// The verdict on a record that storage refused to count each time.
pub fn uncountable(item: &Item, detail: &str, attempts: u32) -> Item {
    let identity = match &item.verdict {
        Verdict::Count(event) => Identity {
            event_id: Some(event.id),
            event_type: Some(event.event_type.to_owned()),
            aggregate_type: Some(event.aggregate_type.to_owned()),
            aggregate_id: Some(event.aggregate_id.clone()),
            sequence: Some(event.sequence),
        },
        Verdict::SetAside(cause) => cause.identity.clone(),
    };
    let cause = Cause { attempts, ..cause("STORE_REFUSED", detail, identity) };
    Item { record: item.record.clone(), verdict: Verdict::SetAside(cause) }
}

fn cause(class: &'static str, detail: &str, identity: Identity) -> Cause {
    let detail = detail.chars().filter(|c| !c.is_control()).take(DETAIL_MAX).collect();
    Cause { class, detail, attempts: 1, identity }
}

fn is_storable(aggregate_id: &str) -> bool {
    (1..=AGGREGATE_ID_MAX).contains(&aggregate_id.len()) && !aggregate_id.chars().any(char::is_control)
}

fn fact(event: &Event) -> Fact {
    match &event.payload {
        Payload::ProductViewed(viewed) => Fact::Viewed { product: viewed.product_id },
        Payload::LikeAdded(like) => Fact::Liked { product: like.product_id },
        Payload::LikeRemoved(like) => Fact::Unliked { product: like.product_id },
        Payload::OrderPaid(order) => Fact::Paid { lines: lines(order) },
        Payload::OrderCanceled(canceled) => {
            Fact::Canceled { lines: lines(&canceled.order), paid_at_us: canceled.paid_at_us() }
        }
        Payload::OrderCreated(_)
        | Payload::OrderExpired(_)
        | Payload::OrderPaymentFailed(_)
        | Payload::PaymentRequested(_)
        | Payload::PaymentSucceeded(_)
        | Payload::PaymentFailed(_)
        | Payload::PaymentRefunded(_)
        | Payload::ProductUpdated(_)
        | Payload::StockDepleted(_)
        | Payload::StockRestored(_)
        | Payload::CouponIssued(_)
        | Payload::CouponUsed(_)
        | Payload::CouponRestored(_)
        | Payload::UserActivity(_) => Fact::Uncounted,
    }
}

fn lines(order: &OrderMoved) -> Vec<Line> {
    let line =
        |item: &OrderItem| Line { product: item.product_id, quantity: item.quantity, price: item.price };
    order.items.iter().map(line).collect()
}

fn identity_of(event: &Event) -> Identity {
    Identity {
        event_id: Some(event.id),
        event_type: Some(event.event_type.name().to_owned()),
        aggregate_type: Some(event.event_type.aggregate_type().name().to_owned()),
        aggregate_id: Some(event.aggregate_id.clone()).filter(|id| is_storable(id)),
        sequence: Some(event.sequence),
    }
}

/// What can be made out of a value that is no known event, so that the audit can tell what is missing of an aggregate.
fn identity(value: &[u8]) -> Identity {
    let Ok(Value::Object(envelope)) = serde_json::from_slice(value) else { return Identity::default() };
    let text = |name: &str, max: usize| {
        let text = envelope.get(name)?.as_str()?;
        (is_storable(text) && text.len() <= max).then(|| text.to_owned())
    };
    Identity {
        event_id: text("eventId", 64).and_then(|id| id.parse().ok()),
        event_type: text("eventType", 64),
        aggregate_type: text("aggregateType", 16),
        aggregate_id: text("aggregateId", AGGREGATE_ID_MAX),
        sequence: envelope.get("sequence").and_then(Value::as_i64),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    const NOW_US: i64 = 1_800_000_000_000_000;

    fn judge(record: Received) -> Item {
        let intake = Intake { zone: BusinessZone::default(), future_max: Duration::from_mins(5) };
        intake.judge(record, NOW_US)
    }

    fn viewed(envelope: &Value) -> Received {
        received("product", envelope.to_string().into())
    }

    fn received(topic: &str, value: Bytes) -> Received {
        let topic = topic.to_owned();
        Received { topic, partition: 0, offset: 0, key: Bytes::new(), headers: vec![], value, kept_at_us: 0 }
    }

    fn envelope() -> Value {
        json!({
            "eventId": "00000000-0000-0000-0000-000000000007", "eventType": "ProductViewed", "version": 1,
            "aggregateType": "PRODUCT_VIEW", "aggregateId": "3", "sequence": 0,
            "occurredAt": "2027-01-15T08:00:00.000000Z", "payload": {"productId": 3},
        })
    }

    fn class(item: &Item) -> &str {
        match &item.verdict {
            Verdict::Count(_) => "counted",
            Verdict::SetAside(cause) => cause.class,
        }
    }

    #[test]
    fn what_cannot_be_counted_is_set_aside_with_what_is_known_of_it() {
        let with = |name: &str, value: Value| {
            let mut changed = envelope();
            changed[name] = value;
            judge(viewed(&changed))
        };
        assert_eq!(class(&judge(viewed(&envelope()))), "counted");
        assert_eq!(class(&with("version", json!(2))), "UNKNOWN_VERSION");
        assert_eq!(class(&with("eventType", json!("ProductSmelled"))), "UNKNOWN_TYPE");
        assert_eq!(class(&with("aggregateId", json!("a\u{0}b"))), "BAD_AGGREGATE_ID");
        assert_eq!(class(&with("occurredAt", json!("2027-01-15T08:05:00.000000Z"))), "counted");
        assert_eq!(class(&with("occurredAt", json!("2027-01-15T08:05:00.000001Z"))), "FUTURE_DATED");
        let unknown = with("version", json!(2));
        let Verdict::SetAside(cause) = &unknown.verdict else { unreachable!("it is set aside") };
        assert_eq!(cause.identity.aggregate_id.as_deref(), Some("3"));
        assert_eq!(cause.identity.event_id, Some(uuid::Uuid::from_u128(7)));
    }

    #[test]
    fn bytes_of_any_kind_are_set_aside() {
        for bad in [&b""[..], b"\xff\xfe\x00", b"[]", b"null", b"{\"eventId\": 3}"] {
            let item = judge(received("product", Bytes::copy_from_slice(bad)));
            assert_ne!(class(&item), "counted", "{bad:?}");
            assert_eq!(item.record.value, bad);
        }
    }
}
