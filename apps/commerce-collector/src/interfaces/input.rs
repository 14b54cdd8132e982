//! Values of requests and responses that have a form of their own.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat};
use commerce_http::whole_number;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Id of a product.
#[derive(Debug, Clone, Copy)]
pub struct ProductId(pub i64);

impl<'de> Deserialize<'de> for ProductId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, 1..=i64::MAX).map(Self)
    }
}

/// Number of a page, from 1.
#[derive(Debug, Clone, Copy)]
pub struct PageNumber(pub u32);

impl PageNumber {
    /// The last page that can be asked for.
    pub const MAX: u32 = 1_000_000;
}

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = whole_number(deserializer, 1..=i64::from(Self::MAX))?;
        Ok(Self(u32::try_from(number).unwrap_or(Self::MAX)))
    }
}

/// A business day, `yyyyMMdd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub NaiveDate);

/// A text that is no day.
#[derive(Debug, thiserror::Error)]
#[error("expected a day like 20261123")]
pub struct WrongDay;

impl TryFrom<String> for Day {
    type Error = WrongDay;

    fn try_from(text: String) -> Result<Self, WrongDay> {
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = text.parse().ok().filter(|_| digits).ok_or(WrongDay)?;
        let year = i32::try_from(number / 10_000).ok().filter(|year| *year > 0).ok_or(WrongDay)?;
        NaiveDate::from_ymd_opt(year, number / 100 % 100, number % 100).map(Self).ok_or(WrongDay)
    }
}

impl From<Day> for String {
    fn from(Day(day): Day) -> Self {
        format!("{:04}{:02}{:02}", day.year(), day.month(), day.day())
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{8}$"))
            .description(Some("A business day, `yyyyMMdd`."))
            .examples(["20261123"])
            .into()
    }
}

impl ToSchema for Day {
    fn name() -> Cow<'static, str> {
        "Day".into()
    }
}

/// A moment as RFC 3339 in UTC with microseconds.
pub fn time(at_us: i64) -> String {
    DateTime::from_timestamp_micros(at_us).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_eight_digits_of_the_calendar() {
        let day = Day::try_from("20280229".to_owned()).unwrap();
        assert_eq!(String::from(day), "20280229");
        for bad in ["", "2028-02-29", "20270229", "2027011", "202701150", "+2027011", "00000101", "２０２７"]
        {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
