//! Publishing to the event bus.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_api_application::ports::{EventPublisher, PublishError, PublishedEvent, Stream};
use commerce_bus::{BusError, Producer, Record};
use commerce_contracts::event::EventType;
use serde_json::{Map, Value};

/// [`EventPublisher`] on the bus.
#[derive(Clone)]
pub struct BusPublisher {
    producer: Arc<dyn Producer>,
}

impl BusPublisher {
    /// Publishes by `producer`.
    pub const fn new(producer: Arc<dyn Producer>) -> Self {
        Self { producer }
    }
}

/// An earlier event of the same aggregate failed.
#[derive(Debug, thiserror::Error)]
#[error("an earlier event of the aggregate was not published")]
struct EarlierFailed;

/// The headers of an event that cannot be headers of a record.
#[derive(Debug, thiserror::Error)]
enum HeadersError {
    #[error("the headers are no JSON object: {0}")]
    NotAnObject(#[from] serde_json::Error),
    #[error("the header {0} is no text")]
    NotText(String),
}

#[async_trait]
impl EventPublisher for BusPublisher {
    async fn publish(&self, events: Vec<PublishedEvent>) -> Vec<Result<(), PublishError>> {
        let mut outcomes: Vec<Option<PublishError>> = Vec::with_capacity(events.len());
        let (mut records, mut types) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        let mut stopped: BTreeSet<Stream> = BTreeSet::new();
        for event in events {
            if !stopped.is_empty() && stopped.contains(&event.stream()) {
                outcomes.push(Some(PublishError::Unavailable(EarlierFailed.into())));
                continue;
            }
            match headers(&event.headers) {
                Ok((headers, event_type)) => {
                    types.push(event_type);
                    let PublishedEvent { topic, key, payload, .. } = event;
                    records.push(Record { topic, key, headers, value: payload.into() });
                    outcomes.push(None);
                }
                Err(error) => {
                    stopped.insert(event.stream());
                    outcomes.push(Some(PublishError::Refused(error.to_string())));
                }
            }
        }
        let mut published = self.producer.publish(records).await.into_iter().zip(types);
        let mut next = || match published.next() {
            Some((Ok(_), event_type)) => {
                metrics::counter!("commerce_events_published_total", "type" => event_type).increment(1);
                Ok(())
            }
            Some((Err(error), _)) => Err(refusal(error)),
            None => Err(PublishError::Unavailable(BusError::Closed.into())),
        };
        outcomes.into_iter().map(|failed| failed.map_or_else(&mut next, Err)).collect()
    }
}

fn refusal(error: BusError) -> PublishError {
    match error {
        BusError::Refused(reason) => PublishError::Refused(reason),
        error => PublishError::Unavailable(error.into()),
    }
}

type Headers = Vec<(String, Bytes)>;

/// The headers of a JSON object, and the type that they name; `other` for a name that is not ours.
fn headers(json: &str) -> Result<(Headers, &'static str), HeadersError> {
    let object: Map<String, Value> = serde_json::from_str(json)?;
    let mut event_type = "other";
    let mut headers = Headers::with_capacity(object.len());
    for (name, value) in object {
        let Value::String(value) = value else { return Err(HeadersError::NotText(name)) };
        if name == "ce_type" {
            event_type = EventType::parse(&value).map_or("other", EventType::name);
        }
        headers.push((name, value.into()));
    }
    Ok((headers, event_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_of_text() {
        let (pairs, event_type) = headers(r#"{"ce_id": "1", "ce_type": "OrderPaid"}"#).unwrap();
        let expected = [("ce_id", "1"), ("ce_type", "OrderPaid")];
        let expected = expected.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        assert_eq!((pairs, event_type), (expected.to_vec(), "OrderPaid"));
        assert_eq!(headers(r#"{"ce_type": "4111"}"#).unwrap().1, "other");
        assert_eq!(
            headers("[]").unwrap_err().to_string().split(':').next(),
            Some("the headers are no JSON object")
        );
        assert_eq!(headers(r#"{"a": 1}"#).unwrap_err().to_string(), "the header a is no text");
    }
}
