//! Schemas of payloads. That they say what the types say is held by `tests/asyncapi.rs`.

use serde_json::{Map, Value, json};

use crate::event::EventType;

/// A field: its name, whether it is always there, its schema.
type Field = (&'static str, bool, Value);

/// The schema of the payload of this type.
pub(super) fn payload(kind: EventType) -> Value {
    object(match kind {
        EventType::OrderCreated => vec![
            ("orderId", true, uuid()),
            ("userId", true, id()),
            ("totalPrice", true, won("To pay, after the discount.")),
            ("discount", true, won("Taken off by a coupon.")),
            (
                "paymentMethod",
                true,
                json!({"type": "string", "description": "`POINTS`, `CARD` or `POINTS_AND_CARD`."}),
            ),
            ("items", true, items()),
        ],
        EventType::OrderPaid | EventType::OrderExpired | EventType::OrderPaymentFailed => moved(),
        EventType::OrderCanceled => {
            let mut fields = moved();
            let description = "When it had been paid; null if it never was.";
            let paid_at =
                json!({"type": ["string", "null"], "format": "date-time", "description": description});
            fields.push(("paidAt", true, paid_at));
            fields
        }
        EventType::PaymentRequested
        | EventType::PaymentSucceeded
        | EventType::PaymentFailed
        | EventType::PaymentRefunded => vec![
            ("paymentId", true, uuid()),
            ("orderId", true, uuid()),
            ("amount", true, won("The card part.")),
            ("reason", false, reason()),
        ],
        EventType::LikeAdded | EventType::LikeRemoved => {
            vec![("productId", true, id()), ("userId", true, id())]
        }
        EventType::ProductViewed => vec![("productId", true, id()), ("userId", false, optional_id())],
        EventType::ProductUpdated | EventType::StockDepleted | EventType::StockRestored => {
            let stock = json!({"type": ["integer", "null"], "format": "int64", "description": "Pieces now."});
            vec![("productId", true, id()), ("stock", false, stock)]
        }
        EventType::CouponIssued | EventType::CouponUsed | EventType::CouponRestored => vec![
            ("couponId", true, id()),
            ("issuedCouponId", true, uuid()),
            ("userId", true, id()),
            ("orderId", false, json!({"type": ["string", "null"], "format": "uuid"})),
        ],
        EventType::UserActivity => vec![
            ("userId", true, id()),
            ("activityType", true, json!({"type": "string", "description": "`LOGIN`, `SEARCH`."})),
            ("resourceType", true, json!({"type": "string"})),
            ("resourceId", true, json!({"type": "string"})),
        ],
    })
}

fn moved() -> Vec<Field> {
    vec![
        ("orderId", true, uuid()),
        ("userId", true, id()),
        ("totalPrice", true, won("The total.")),
        ("reason", false, reason()),
        ("items", true, items()),
    ]
}

fn items() -> Value {
    let item = object(vec![
        ("productId", true, id()),
        ("quantity", true, json!({"type": "integer", "format": "int64"})),
        ("price", true, won("Of one piece.")),
    ]);
    json!({"type": "array", "items": item})
}

fn object(fields: Vec<Field>) -> Value {
    let (mut required, mut properties) = (Vec::new(), Map::new());
    for (name, always, schema) in fields {
        if always {
            required.push(name);
        }
        properties.insert(name.to_owned(), schema);
    }
    json!({"type": "object", "required": required, "properties": properties})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn id() -> Value {
    json!({"type": "integer", "format": "int64"})
}

fn optional_id() -> Value {
    json!({"type": ["integer", "null"], "format": "int64"})
}

fn won(description: &str) -> Value {
    json!({"type": "integer", "format": "int64", "description": format!("{description} Won.")})
}

fn reason() -> Value {
    json!({"type": ["string", "null"], "description": "Why, where there is a why."})
}
