use chrono::{DateTime, SecondsFormat};
use commerce_api_domain::{Aggregate, DomainEvent, EventKind, OrderId, OrderLine, PaymentId, Timestamp};
use commerce_contracts::{
    AggregateType, CouponMoved, Envelope, LikeChanged, OrderCanceled, OrderCreated, OrderItem, OrderMoved,
    PaymentMoved, ProductChanged, topics,
};

use serde::Serialize;

use crate::ports::OutboxRecord;
use crate::relay::SHARDS;

/// `timestamp` as RFC 3339 in UTC with microseconds.
pub(crate) fn rfc3339(timestamp: Timestamp) -> String {
    DateTime::from_timestamp_micros(timestamp.as_micros())
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The outbox row of an event; `traceparent` is that of the request which caused it.
pub fn outbox_record(event: &DomainEvent, traceparent: Option<&str>) -> OutboxRecord {
    let (aggregate_type, aggregate_id) = aggregate(event.aggregate);
    let (event_type, topic, payload) = describe(event);
    let occurred_at = rfc3339(event.at);
    let headers = event_headers(event.id.0, event_type, &occurred_at, &aggregate_id, traceparent);
    let envelope = Envelope {
        event_id: event.id.0,
        event_type: event_type.to_owned(),
        version: 1,
        aggregate_type,
        aggregate_id: aggregate_id.clone(),
        sequence: event.sequence,
        occurred_at,
        payload,
    };
    OutboxRecord {
        event_id: event.id.0,
        aggregate_type: aggregate_type.name(),
        shard: shard_of(&aggregate_id),
        aggregate_id,
        sequence: event.sequence,
        topic,
        headers,
        payload: to_json(&envelope),
        at: event.at,
    }
}

/// The headers of an event, as a JSON object.
pub(crate) fn event_headers(
    event_id: uuid::Uuid,
    event_type: &str,
    occurred_at: &str,
    aggregate_id: &str,
    traceparent: Option<&str>,
) -> String {
    to_json(&Headers {
        ce_id: event_id,
        ce_source: "/commerce-api",
        ce_type: event_type,
        ce_time: occurred_at,
        ce_subject: aggregate_id,
        ce_specversion: "1.0",
        traceparent,
    })
}

/// `CloudEvents` attributes of an event, and the trace that it belongs to.
#[derive(Serialize)]
struct Headers<'a> {
    ce_id: uuid::Uuid,
    ce_source: &'a str,
    ce_type: &'a str,
    ce_time: &'a str,
    ce_subject: &'a str,
    ce_specversion: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

/// A payload, written straight to text: two of these are written for every order.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload {
    OrderCreated(OrderCreated),
    OrderMoved(OrderMoved),
    OrderCanceled(OrderCanceled),
    Payment(PaymentMoved),
    Product(ProductChanged),
    Like(LikeChanged),
    Coupon(CouponMoved),
    Unexpected,
}

fn to_json(value: &impl Serialize) -> String {
    // Strings, numbers and options have nothing that could fail to serialise.
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("plain data serialises: {error}"))
}

/// FNV-1a, so that every version of the code and every node agree on the shard of an aggregate.
fn shard_of(aggregate_id: &str) -> i16 {
    let hash = aggregate_id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    i16::try_from(hash % SHARDS).unwrap_or_default()
}

fn aggregate(aggregate: Aggregate) -> (AggregateType, String) {
    match aggregate {
        Aggregate::Order(id) => (AggregateType::Order, id.to_string()),
        Aggregate::Product(id) => (AggregateType::Product, id.to_string()),
        Aggregate::ProductLike(product, user) => (AggregateType::ProductLike, format!("{product}:{user}")),
        Aggregate::Coupon(id) => (AggregateType::Coupon, id.to_string()),
    }
}

type Described = (&'static str, &'static str, Payload);

fn describe(event: &DomainEvent) -> Described {
    let user = event.user.map_or(0, |user| user.0);
    match event.aggregate {
        Aggregate::Order(order) => describe_order(order, user, &event.kind),
        Aggregate::Product(product) => {
            let (name, stock) = match &event.kind {
                EventKind::StockDepleted => ("StockDepleted", Some(0)),
                EventKind::StockRestored { stock } => ("StockRestored", Some(*stock)),
                EventKind::ProductUpdated { stock } => ("ProductUpdated", Some(*stock)),
                other => (unexpected(other), None),
            };
            (name, topics::PRODUCT, Payload::Product(ProductChanged { product_id: product.0, stock }))
        }
        Aggregate::ProductLike(product, _) => {
            let name = if event.kind == EventKind::LikeAdded { "LikeAdded" } else { "LikeRemoved" };
            (name, topics::PRODUCT_LIKE, Payload::Like(LikeChanged { product_id: product.0, user_id: user }))
        }
        Aggregate::Coupon(issued) => {
            let (name, coupon, order) = match &event.kind {
                EventKind::CouponIssued { coupon } => ("CouponIssued", coupon.0, None),
                EventKind::CouponUsed { coupon, order } => ("CouponUsed", coupon.0, Some(order.0)),
                EventKind::CouponRestored { coupon, order } => ("CouponRestored", coupon.0, Some(order.0)),
                other => (unexpected(other), 0, None),
            };
            let payload =
                CouponMoved { coupon_id: coupon, issued_coupon_id: issued.0, user_id: user, order_id: order };
            (name, topics::COUPON, Payload::Coupon(payload))
        }
    }
}

/// An event under the wrong aggregate is our own bug; it is published under a name that no consumer knows, so that it
/// ends in the dead letters and is seen.
fn unexpected(kind: &EventKind) -> &'static str {
    tracing::error!(?kind, "event under the wrong aggregate");
    debug_assert!(false, "event under the wrong aggregate: {kind:?}");
    "Unexpected"
}

fn describe_order(order: OrderId, user: i64, kind: &EventKind) -> Described {
    let (name, payload) = match kind {
        EventKind::OrderCreated { total, discount, method, items } => (
            "OrderCreated",
            Payload::OrderCreated(OrderCreated {
                order_id: order.0,
                user_id: user,
                total_price: total.won(),
                discount: discount.won(),
                payment_method: method.name().to_owned(),
                items: order_items(items),
            }),
        ),
        EventKind::OrderPaid { total, items } => {
            ("OrderPaid", Payload::OrderMoved(moved(order, user, total.won(), None, items)))
        }
        EventKind::OrderExpired { total, items } => {
            ("OrderExpired", Payload::OrderMoved(moved(order, user, total.won(), None, items)))
        }
        EventKind::OrderPaymentFailed { total, items, reason } => (
            "OrderPaymentFailed",
            Payload::OrderMoved(moved(order, user, total.won(), reason.as_deref(), items)),
        ),
        EventKind::OrderCanceled { total, items, paid_at } => {
            let order = moved(order, user, total.won(), None, items);
            ("OrderCanceled", Payload::OrderCanceled(OrderCanceled { order, paid_at: paid_at.map(rfc3339) }))
        }
        EventKind::PaymentRequested { payment, amount } => {
            ("PaymentRequested", payment_moved(order, *payment, amount.won(), None))
        }
        EventKind::PaymentSucceeded { payment, amount } => {
            ("PaymentSucceeded", payment_moved(order, *payment, amount.won(), None))
        }
        EventKind::PaymentFailed { payment, amount, reason } => {
            ("PaymentFailed", payment_moved(order, *payment, amount.won(), reason.as_deref()))
        }
        EventKind::PaymentRefunded { payment, amount } => {
            ("PaymentRefunded", payment_moved(order, *payment, amount.won(), None))
        }
        other => (unexpected(other), Payload::Unexpected),
    };
    (name, topics::ORDER, payload)
}

fn order_items(lines: &[OrderLine]) -> Vec<OrderItem> {
    let item = |line: &OrderLine| OrderItem {
        product_id: line.product.0,
        quantity: line.quantity.get(),
        price: line.unit_price.won(),
    };
    lines.iter().map(item).collect()
}

fn moved(
    order: OrderId,
    user: i64,
    total_price: i64,
    reason: Option<&str>,
    items: &[OrderLine],
) -> OrderMoved {
    OrderMoved {
        order_id: order.0,
        user_id: user,
        total_price,
        reason: reason.map(str::to_owned),
        items: order_items(items),
    }
}

fn payment_moved(order: OrderId, payment: PaymentId, amount: i64, reason: Option<&str>) -> Payload {
    Payload::Payment(PaymentMoved {
        payment_id: payment.0,
        order_id: order.0,
        amount,
        reason: reason.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use commerce_api_domain::{EventId, ProductId, UserId};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_is_an_envelope_with_cloud_event_headers() {
        let event = DomainEvent {
            id: EventId(Uuid::from_u128(7)),
            aggregate: Aggregate::ProductLike(ProductId(3), UserId(4)),
            sequence: 2,
            user: Some(UserId(4)),
            at: Timestamp::from_micros(1_800_000_000_000_001),
            kind: EventKind::LikeRemoved,
        };
        let record = outbox_record(&event, Some("00-aa-bb-01"));
        let id = "00000000-0000-0000-0000-000000000007";
        let time = "2027-01-15T08:00:00.000001Z";
        let payload: Value = serde_json::from_str(&record.payload).unwrap();
        assert_eq!(
            payload,
            json!({
                "eventId": id, "eventType": "LikeRemoved", "version": 1, "aggregateType": "PRODUCT_LIKE",
                "aggregateId": "3:4", "sequence": 2, "occurredAt": time, "payload": { "productId": 3, "userId": 4 },
            })
        );
        let headers: Value = serde_json::from_str(&record.headers).unwrap();
        assert_eq!(
            headers,
            json!({
                "ce_id": id, "ce_source": "/commerce-api", "ce_type": "LikeRemoved", "ce_time": time,
                "ce_subject": "3:4", "ce_specversion": "1.0", "traceparent": "00-aa-bb-01",
            })
        );
        assert_eq!((record.topic, record.aggregate_type), ("product.like", "PRODUCT_LIKE"));
        assert!((0..16).contains(&record.shard));
    }
}
