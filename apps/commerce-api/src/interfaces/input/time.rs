use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use commerce_api_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A moment: RFC 3339, answered in UTC with microseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(Timestamp);

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error("expected a time like 2026-05-03T09:00:00Z")]
pub struct WrongTime;

impl Time {
    /// The moment.
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        DateTime::from_timestamp_micros(time.0.as_micros())
            .unwrap_or_default()
            .to_rfc3339_opts(SecondsFormat::Micros, true)
    }
}

impl TryFrom<String> for Time {
    type Error = WrongTime;

    fn try_from(text: String) -> Result<Self, WrongTime> {
        let moment = DateTime::parse_from_rfc3339(&text).map_err(|_| WrongTime)?;
        Ok(Self(Timestamp::from_micros(moment.timestamp_micros())))
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A moment: RFC 3339, answered in UTC with microseconds."))
            .examples(["2026-05-03T09:00:00.000000Z"])
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_microseconds() {
        let time = Time::try_from("2026-05-03T18:00:00.123456789+09:00".to_owned()).unwrap();
        assert_eq!(String::from(time), "2026-05-03T09:00:00.123456Z");
        for bad in ["2026-05-03", "2026-05-03 09:00:00", "tomorrow", "2026-13-03T09:00:00Z", ""] {
            assert!(Time::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
