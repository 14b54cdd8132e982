//! What was once published stays readable, and what cannot be read is told apart.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use commerce_contracts::event::{DecodeError, Event, EventType, Payload, decode};
use commerce_contracts::{
    CouponMoved, Envelope, LikeChanged, OrderCanceled, OrderCreated, OrderItem, OrderMoved, PaymentMoved,
    ProductChanged, ProductViewed, UserActivity,
};
use serde_json::{Value, json};
use uuid::Uuid;

const AT: &str = "2027-01-15T08:00:00.000001Z";
const AT_US: i64 = 1_800_000_000_000_001;

fn id(last: u128) -> Uuid {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + last)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden(event_type: EventType, version: u32) -> Value {
    let path = folder().join(format!("{}.v{version}.json", event_type.name()));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn decoded(topic: &str, value: &Value) -> Result<Event, DecodeError> {
    decode(topic, &serde_json::to_vec(value).unwrap())
}

fn order(reason: Option<&str>) -> OrderMoved {
    OrderMoved {
        order_id: id(1),
        user_id: 9,
        total_price: 23_700,
        reason: reason.map(str::to_owned),
        items: items(),
    }
}

fn items() -> Vec<OrderItem> {
    vec![
        OrderItem { product_id: 3, quantity: 2, price: 12_000 },
        OrderItem { product_id: 5, quantity: 1, price: 700 },
    ]
}

fn payment(reason: Option<&str>) -> PaymentMoved {
    let reason = reason.map(str::to_owned);
    PaymentMoved { payment_id: id(2), order_id: id(1), amount: 23_700, reason }
}

fn coupon(order_id: Option<Uuid>) -> CouponMoved {
    CouponMoved { coupon_id: 4, issued_coupon_id: id(3), user_id: 9, order_id }
}

/// What the golden file of version 1 tells.
fn told(event_type: EventType) -> Payload {
    let like = LikeChanged { product_id: 3, user_id: 9 };
    let stock = |stock| ProductChanged { product_id: 3, stock: Some(stock) };
    match event_type {
        EventType::OrderCreated => Payload::OrderCreated(OrderCreated {
            order_id: id(1),
            user_id: 9,
            total_price: 23_700,
            discount: 1_000,
            payment_method: "POINTS_AND_CARD".into(),
            items: items(),
        }),
        EventType::OrderPaid => Payload::OrderPaid(order(None)),
        EventType::OrderExpired => Payload::OrderExpired(order(None)),
        EventType::OrderPaymentFailed => Payload::OrderPaymentFailed(order(Some("limit exceeded"))),
        EventType::OrderCanceled => {
            Payload::OrderCanceled(OrderCanceled { order: order(None), paid_at: Some(AT.into()) })
        }
        EventType::PaymentRequested => Payload::PaymentRequested(payment(None)),
        EventType::PaymentSucceeded => Payload::PaymentSucceeded(payment(None)),
        EventType::PaymentFailed => Payload::PaymentFailed(payment(Some("invalid card"))),
        EventType::PaymentRefunded => Payload::PaymentRefunded(payment(None)),
        EventType::LikeAdded => Payload::LikeAdded(like),
        EventType::LikeRemoved => Payload::LikeRemoved(like),
        EventType::ProductViewed => Payload::ProductViewed(ProductViewed { product_id: 3, user_id: Some(9) }),
        EventType::ProductUpdated => Payload::ProductUpdated(stock(10)),
        EventType::StockDepleted => Payload::StockDepleted(stock(0)),
        EventType::StockRestored => Payload::StockRestored(stock(7)),
        EventType::CouponIssued => Payload::CouponIssued(coupon(None)),
        EventType::CouponUsed => Payload::CouponUsed(coupon(Some(id(1)))),
        EventType::CouponRestored => Payload::CouponRestored(coupon(Some(id(1)))),
        EventType::UserActivity => Payload::UserActivity(UserActivity {
            user_id: 9,
            activity_type: "SEARCH".into(),
            resource_type: "PRODUCT".into(),
            resource_id: "3".into(),
        }),
    }
}

/// The payload as a producer writes it.
fn written(payload: Payload) -> Value {
    match payload {
        Payload::OrderCreated(payload) => json!(payload),
        Payload::OrderPaid(payload)
        | Payload::OrderExpired(payload)
        | Payload::OrderPaymentFailed(payload) => {
            json!(payload)
        }
        Payload::OrderCanceled(payload) => json!(payload),
        Payload::PaymentRequested(payload)
        | Payload::PaymentSucceeded(payload)
        | Payload::PaymentFailed(payload)
        | Payload::PaymentRefunded(payload) => json!(payload),
        Payload::LikeAdded(payload) | Payload::LikeRemoved(payload) => json!(payload),
        Payload::ProductViewed(payload) => json!(payload),
        Payload::ProductUpdated(payload)
        | Payload::StockDepleted(payload)
        | Payload::StockRestored(payload) => {
            json!(payload)
        }
        Payload::CouponIssued(payload) | Payload::CouponUsed(payload) | Payload::CouponRestored(payload) => {
            json!(payload)
        }
        Payload::UserActivity(payload) => json!(payload),
    }
}

#[test]
fn every_published_version_stays_decodable() {
    let mut files = 0;
    for event_type in EventType::ALL {
        for version in 1..=event_type.version() {
            let event = decoded(event_type.topic(), &golden(event_type, version)).unwrap();
            assert_eq!(event.event_type, event_type);
            assert_eq!((event.id, event.occurred_at_us), (id(14), AT_US));
            assert_eq!(event.payload, told(event_type));
            files += 1;
        }
    }
    assert_eq!(std::fs::read_dir(folder()).unwrap().count(), files, "a golden file of no known version");
}

#[test]
fn what_is_written_now_is_the_golden_file_of_the_newest_version() {
    for event_type in EventType::ALL {
        let golden = golden(event_type, event_type.version());
        let envelope = Envelope {
            event_id: id(14),
            event_type: event_type.name().to_owned(),
            version: event_type.version(),
            aggregate_type: event_type.aggregate_type(),
            aggregate_id: golden["aggregateId"].as_str().unwrap().to_owned(),
            sequence: golden["sequence"].as_i64().unwrap(),
            occurred_at: AT.to_owned(),
            payload: written(told(event_type)),
        };
        assert_eq!(json!(envelope), golden, "{}", event_type.name());
    }
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    for event_type in EventType::ALL {
        let mut value = golden(event_type, 1);
        value["addedLater"] = json!({"a": [1]});
        value["payload"]["addedLater"] = json!("x");
        assert_eq!(decoded(event_type.topic(), &value).unwrap().payload, told(event_type));
    }
}

#[test]
fn what_may_be_absent_may_also_be_null() {
    let mut value = golden(EventType::OrderCanceled, 1);
    value["payload"]["paidAt"] = Value::Null;
    let Payload::OrderCanceled(unpaid) = decoded("order", &value).unwrap().payload else { panic!() };
    assert_eq!(unpaid.paid_at_us(), None);
    let Payload::OrderCanceled(paid) = told(EventType::OrderCanceled) else { panic!() };
    assert_eq!(paid.paid_at_us(), Some(AT_US));

    let mut value = golden(EventType::ProductViewed, 1);
    value["payload"]["userId"] = Value::Null;
    let expected = Payload::ProductViewed(ProductViewed { product_id: 3, user_id: None });
    assert_eq!(decoded("product", &value).unwrap().payload, expected);
}

#[test]
fn bytes_that_are_no_json_are_told_apart_from_json_that_is_no_event() {
    for bytes in [&b""[..], b"\xff\xfe", b"{", b"\0", b"{\"eventId\": 01}"] {
        assert_eq!(decode("order", bytes).unwrap_err().class(), "NOT_JSON", "{bytes:?}");
    }
    for bytes in [&b"{}"[..], b"null", b"[]", b"7", b"\"x\""] {
        assert_eq!(decode("order", bytes).unwrap_err().class(), "NOT_AN_ENVELOPE", "{bytes:?}");
    }
    let wrong = [
        ("eventId", json!("7")),
        ("version", json!(-1)),
        ("version", json!("1")),
        ("sequence", json!(-1)),
        ("sequence", json!(1.5)),
        ("occurredAt", json!("2027-01-15")),
        ("aggregateId", json!(3)),
        ("aggregateType", json!("PRODUCT")),
    ];
    for (field, value) in wrong {
        let mut event = golden(EventType::OrderPaid, 1);
        event[field] = value;
        assert_eq!(decoded("order", &event).unwrap_err().class(), "NOT_AN_ENVELOPE", "{field}");
    }
    for field in ["eventId", "eventType", "version", "aggregateType", "aggregateId", "sequence", "payload"] {
        let mut event = golden(EventType::OrderPaid, 1);
        event.as_object_mut().unwrap().remove(field);
        let error = decoded("order", &event).unwrap_err();
        assert_eq!(error.class(), "NOT_AN_ENVELOPE");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn unknown_types_and_versions_are_errors_and_not_skipped() {
    let mut event = golden(EventType::OrderPaid, 1);
    event["version"] = json!(2);
    let unknown = DecodeError::UnknownVersion { event_type: EventType::OrderPaid, version: 2 };
    assert_eq!(decoded("order", &event), Err(unknown));
    event["version"] = json!(0);
    assert_eq!(decoded("order", &event).unwrap_err().class(), "UNKNOWN_VERSION");
    // A type of tomorrow may come with an aggregate of tomorrow.
    event["eventType"] = json!("OrderShipped");
    event["aggregateType"] = json!("PARCEL");
    let unknown = DecodeError::UnknownType { event_type: "OrderShipped".into() };
    assert_eq!(decoded("order", &event), Err(unknown));
}

#[test]
fn an_event_on_a_topic_of_others_is_refused() {
    let wrong = DecodeError::WrongTopic { event_type: EventType::OrderPaid, topic: "product".into() };
    assert_eq!(decoded("product", &golden(EventType::OrderPaid, 1)), Err(wrong));
}

#[test]
fn a_payload_that_is_not_as_demanded_is_refused_without_being_quoted() {
    let mut event = golden(EventType::OrderPaid, 1);
    event["payload"]["userId"] = json!("4111-1111-1111-1111");
    let error = decoded("order", &event).unwrap_err();
    assert_eq!(error.class(), "BAD_PAYLOAD");
    assert!(error.to_string().contains("OrderPaid") && !error.to_string().contains("4111"), "{error}");

    let mut event = golden(EventType::OrderPaid, 1);
    event["payload"]["items"][0].as_object_mut().unwrap().remove("productId");
    assert!(decoded("order", &event).unwrap_err().to_string().contains("productId"));

    let mut event = golden(EventType::OrderCanceled, 1);
    event["payload"]["paidAt"] = json!("just now");
    assert_eq!(decoded("order", &event).unwrap_err().class(), "BAD_PAYLOAD");
}
