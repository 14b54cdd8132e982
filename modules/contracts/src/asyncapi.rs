//! The `AsyncAPI` document of the events: made from the same types, topics and versions that producers and consumers use.

mod payloads;

use serde_json::{Map, Value, json};

use crate::event::EventType;
use crate::topics;

/// Where the document is served.
pub const DOCUMENT_PATH: &str = "/asyncapi.json";

/// The document, `AsyncAPI` 3.0, as a reader of the events needs it.
pub fn document() -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for topic in topics::ALL {
        let id = channel_id(topic);
        let messages: Map<_, _> =
            of_topic(topic).map(|kind| (kind.name().to_owned(), message_ref(kind))).collect();
        channels.insert(
            id.clone(),
            json!({
                "address": topic,
                "description": description(topic),
                "messages": messages,
                "bindings": {"kafka": {"topic": topic, "partitions": topics::PARTITIONS, "bindingVersion": "0.5.0"}},
            }),
        );
        let refs: Vec<_> = of_topic(topic)
            .map(|kind| json!({"$ref": format!("#/channels/{id}/messages/{}", kind.name())}))
            .collect();
        operations.insert(
            format!("receive{}", capitalised(&id)),
            json!({"action": "receive", "channel": {"$ref": format!("#/channels/{id}")}, "messages": refs}),
        );
    }
    let messages: Map<_, _> =
        EventType::ALL.into_iter().map(|kind| (kind.name().to_owned(), message(kind))).collect();
    let schemas: Map<_, _> =
        EventType::ALL.into_iter().map(|kind| (kind.name().to_owned(), envelope(kind))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Commerce events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What happens in the shop. Records of one key (the aggregateId) stay in order; a record may \
                            come more than once: dedupe by eventId. Payloads only grow: ignore fields that you do not \
                            know, and set aside types and versions that you do not know.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas, "messageTraits": {"cloudEvent": cloud_event()}},
    })
}

/// The schema of an event of this type: its envelope and, in it, its payload.
pub fn envelope(kind: EventType) -> Value {
    let versions: Vec<u32> = (1..=kind.version()).collect();
    json!({
        "type": "object",
        "required": [
            "eventId", "eventType", "version", "aggregateType", "aggregateId", "sequence", "occurredAt", "payload"
        ],
        "properties": {
            "eventId": {"type": "string", "format": "uuid", "description": "Consumers dedupe by it."},
            "eventType": {"type": "string", "const": kind.name()},
            "version": {"type": "integer", "enum": versions, "description": "Version of the payload."},
            "aggregateType": {"type": "string", "const": kind.aggregate_type().name()},
            "aggregateId": {"type": "string", "minLength": 1, "maxLength": 64, "description": "The record's key."},
            "sequence": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "description": "1 for the first event of the aggregate, without a gap; 0 where nothing is counted.",
            },
            "occurredAt": {"type": "string", "format": "date-time", "description": "UTC, with microseconds."},
            "payload": payloads::payload(kind),
        },
    })
}

fn of_topic(topic: &str) -> impl Iterator<Item = EventType> {
    EventType::ALL.into_iter().filter(move |kind| kind.topic() == topic)
}

fn message_ref(kind: EventType) -> Value {
    json!({"$ref": format!("#/components/messages/{}", kind.name())})
}

fn message(kind: EventType) -> Value {
    json!({
        "name": kind.name(),
        "title": kind.name(),
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": format!("#/components/schemas/{}", kind.name())},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    })
}

/// Headers of every record.
fn cloud_event() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "headers": {
            "type": "object",
            "required": ["ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_specversion"],
            "properties": {
                "ce_specversion": {"type": "string", "const": "1.0"},
                "ce_id": text("The eventId."),
                "ce_source": text("Who published it."),
                "ce_type": text("The eventType."),
                "ce_time": text("The occurredAt."),
                "ce_subject": text("The aggregateId."),
                "traceparent": text("W3C trace context of the request that led to it, where there was one."),
            },
        },
    })
}

const fn description(topic: &str) -> &'static str {
    match topic.as_bytes() {
        b"order" => "Orders and their payments.",
        b"product" => "Views, catalogue changes, stock running out and coming back.",
        b"product.like" => "Likes.",
        b"coupon" => "Issued coupons.",
        _ => "What users do.",
    }
}

/// `product.like` as `productLike`.
fn channel_id(topic: &str) -> String {
    let mut words = topic.split('.');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |id, word| id + &capitalised(word))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
