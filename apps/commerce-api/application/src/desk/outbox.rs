use chrono::{DateTime, SecondsFormat};
use commerce_api_domain::{Aggregate, DomainEvent, EventKind, OrderId, OrderLine, PaymentId, Timestamp};
use commerce_contracts::{
    AggregateType, CouponMoved, Envelope, LikeChanged, OrderCanceled, OrderCreated, OrderItem, OrderMoved,
    PaymentMoved, ProductChanged, topics,
};

use serde_json::json;

use crate::ports::OutboxRecord;

/// Relay shards; an aggregate always belongs to the same one.
const SHARDS: u32 = 16;

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
    let mut headers = json!({
        "ce_id": event.id.0,
        "ce_source": "/commerce-api",
        "ce_type": event_type,
        "ce_time": occurred_at,
        "ce_subject": aggregate_id,
        "ce_specversion": "1.0",
    });
    if let Some(traceparent) = traceparent {
        headers["traceparent"] = json!(traceparent);
    }
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
        headers: headers.to_string(),
        payload: json!(envelope).to_string(),
        at: event.at,
    }
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

type Described = (&'static str, &'static str, serde_json::Value);

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
            (name, topics::PRODUCT, json!(ProductChanged { product_id: product.0, stock }))
        }
        Aggregate::ProductLike(product, _) => {
            let name = if event.kind == EventKind::LikeAdded { "LikeAdded" } else { "LikeRemoved" };
            (name, topics::PRODUCT_LIKE, json!(LikeChanged { product_id: product.0, user_id: user }))
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
            (name, topics::COUPON, json!(payload))
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
            json!(OrderCreated {
                order_id: order.0,
                user_id: user,
                total_price: total.won(),
                discount: discount.won(),
                payment_method: method.name().to_owned(),
                items: order_items(items),
            }),
        ),
        EventKind::OrderPaid { total, items } => {
            ("OrderPaid", json!(moved(order, user, total.won(), None, items)))
        }
        EventKind::OrderExpired { total, items } => {
            ("OrderExpired", json!(moved(order, user, total.won(), None, items)))
        }
        EventKind::OrderPaymentFailed { total, items, reason } => {
            ("OrderPaymentFailed", json!(moved(order, user, total.won(), reason.as_deref(), items)))
        }
        EventKind::OrderCanceled { total, items, paid_at } => {
            let order = moved(order, user, total.won(), None, items);
            ("OrderCanceled", json!(OrderCanceled { order, paid_at: paid_at.map(rfc3339) }))
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
        other => (unexpected(other), serde_json::Value::Null),
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

fn payment_moved(order: OrderId, payment: PaymentId, amount: i64, reason: Option<&str>) -> serde_json::Value {
    json!(PaymentMoved {
        payment_id: payment.0,
        order_id: order.0,
        amount,
        reason: reason.map(str::to_owned),
    })
}
