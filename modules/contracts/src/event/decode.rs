use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Event, EventType, Payload};
use crate::{OrderCanceled, time};

/// Why the bytes of a record are no event that can be counted. The texts name places and names, never the values of a
/// payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no JSON at all.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not the envelope of an event.
    #[error("not the envelope of an event: {0}")]
    NotAnEnvelope(String),
    /// Nobody told this code of the type; a newer version may know it.
    #[error("unknown event type {event_type}")]
    UnknownType {
        /// What the envelope says.
        event_type: String,
    },
    /// The type is known, this version of it is not.
    #[error("unknown version {version} of {}", event_type.name())]
    UnknownVersion {
        /// The type.
        event_type: EventType,
        /// What the envelope says.
        version: u32,
    },
    /// The payload is not as its type and version demand.
    #[error("the payload is no {}: {cause}", event_type.name())]
    BadPayload {
        /// The type.
        event_type: EventType,
        /// What is wrong, and where.
        cause: String,
    },
    /// The type belongs to another topic.
    #[error("{} belongs to topic {}, not to {topic}", event_type.name(), event_type.topic())]
    WrongTopic {
        /// The type.
        event_type: EventType,
        /// Where it was found.
        topic: String,
    },
}

impl DecodeError {
    /// A name for metrics and dead letters, of a fixed set.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "NOT_JSON",
            Self::NotAnEnvelope(_) => "NOT_AN_ENVELOPE",
            Self::UnknownType { .. } => "UNKNOWN_TYPE",
            Self::UnknownVersion { .. } => "UNKNOWN_VERSION",
            Self::BadPayload { .. } => "BAD_PAYLOAD",
            Self::WrongTopic { .. } => "WRONG_TOPIC",
        }
    }
}

/// The envelope with its payload left as it is. Names are compared later, so that an unknown type is told as such
/// and not as a malformed envelope.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    event_id: Uuid,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    version: u32,
    #[serde(borrow)]
    aggregate_type: Cow<'a, str>,
    aggregate_id: String,
    sequence: i64,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The event in the value of a record of `topic`. Fields that are not known are ignored.
pub fn decode(topic: &str, value: &[u8]) -> Result<Event, DecodeError> {
    let head: Head<'_> = serde_json::from_slice(value).map_err(|error| {
        if error.is_data() {
            DecodeError::NotAnEnvelope(place(&error))
        } else {
            DecodeError::NotJson(place(&error))
        }
    })?;
    let Some(event_type) = EventType::parse(&head.event_type) else {
        return Err(DecodeError::UnknownType { event_type: head.event_type.chars().take(64).collect() });
    };
    if event_type.topic() != topic {
        return Err(DecodeError::WrongTopic { event_type, topic: topic.to_owned() });
    }
    if head.version == 0 || head.version > event_type.version() {
        return Err(DecodeError::UnknownVersion { event_type, version: head.version });
    }
    let aggregate_type = event_type.aggregate_type().name();
    if head.aggregate_type != aggregate_type {
        let message = format!("the aggregateType of {} is {aggregate_type}", event_type.name());
        return Err(DecodeError::NotAnEnvelope(message));
    }
    if head.sequence < 0 {
        return Err(DecodeError::NotAnEnvelope("sequence is below 0".to_owned()));
    }
    let Some(occurred_at_us) = time::micros(&head.occurred_at) else {
        return Err(DecodeError::NotAnEnvelope("occurredAt is no time of RFC 3339".to_owned()));
    };
    Ok(Event {
        id: head.event_id,
        event_type,
        aggregate_id: head.aggregate_id,
        sequence: head.sequence,
        occurred_at_us,
        payload: payload(event_type, head.payload)?,
    })
}

fn payload(event_type: EventType, raw: &RawValue) -> Result<Payload, DecodeError> {
    Ok(match event_type {
        EventType::OrderCreated => Payload::OrderCreated(read(event_type, raw)?),
        EventType::OrderPaid => Payload::OrderPaid(read(event_type, raw)?),
        EventType::OrderExpired => Payload::OrderExpired(read(event_type, raw)?),
        EventType::OrderPaymentFailed => Payload::OrderPaymentFailed(read(event_type, raw)?),
        EventType::OrderCanceled => Payload::OrderCanceled(canceled(raw)?),
        EventType::PaymentRequested => Payload::PaymentRequested(read(event_type, raw)?),
        EventType::PaymentSucceeded => Payload::PaymentSucceeded(read(event_type, raw)?),
        EventType::PaymentFailed => Payload::PaymentFailed(read(event_type, raw)?),
        EventType::PaymentRefunded => Payload::PaymentRefunded(read(event_type, raw)?),
        EventType::LikeAdded => Payload::LikeAdded(read(event_type, raw)?),
        EventType::LikeRemoved => Payload::LikeRemoved(read(event_type, raw)?),
        EventType::ProductViewed => Payload::ProductViewed(read(event_type, raw)?),
        EventType::ProductUpdated => Payload::ProductUpdated(read(event_type, raw)?),
        EventType::StockDepleted => Payload::StockDepleted(read(event_type, raw)?),
        EventType::StockRestored => Payload::StockRestored(read(event_type, raw)?),
        EventType::CouponIssued => Payload::CouponIssued(read(event_type, raw)?),
        EventType::CouponUsed => Payload::CouponUsed(read(event_type, raw)?),
        EventType::CouponRestored => Payload::CouponRestored(read(event_type, raw)?),
        EventType::UserActivity => Payload::UserActivity(read(event_type, raw)?),
    })
}

fn read<P: DeserializeOwned>(event_type: EventType, raw: &RawValue) -> Result<P, DecodeError> {
    serde_json::from_str(raw.get())
        .map_err(|error| DecodeError::BadPayload { event_type, cause: place(&error) })
}

/// What was sold is taken back from the day of `paidAt`, so a time that cannot be read must not pass for none.
fn canceled(raw: &RawValue) -> Result<OrderCanceled, DecodeError> {
    let event_type = EventType::OrderCanceled;
    let canceled: OrderCanceled = read(event_type, raw)?;
    if canceled.paid_at.is_some() && canceled.paid_at_us().is_none() {
        let cause = "paidAt is no time of RFC 3339".to_owned();
        return Err(DecodeError::BadPayload { event_type, cause });
    }
    Ok(canceled)
}

/// What serde says and where, without what it quotes: strings of a payload do not belong in a log.
fn place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &text[..first], &text[last + 1..]),
        _ => text,
    }
}
