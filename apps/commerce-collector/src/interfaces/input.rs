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

/// Id of an execution of a job.
#[derive(Debug, Clone, Copy)]
pub struct ExecutionId(pub i64);

impl<'de> Deserialize<'de> for ExecutionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, 1..=i64::MAX).map(Self)
    }
}

/// Id of a dead letter.
#[derive(Debug, Clone, Copy)]
pub struct LetterId(pub i64);

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole_number(deserializer, 1..=i64::MAX).map(Self)
    }
}

/// Ids of dead letters: 1 to 1,000 of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<i64>")]
pub struct LetterIds(pub Vec<i64>);

/// Too few or too many ids.
#[derive(Debug, thiserror::Error)]
#[error("expected 1 to 1000 ids")]
pub struct WrongIds;

impl TryFrom<Vec<i64>> for LetterIds {
    type Error = WrongIds;

    fn try_from(ids: Vec<i64>) -> Result<Self, WrongIds> {
        if (1..=1_000).contains(&ids.len()) { Ok(Self(ids)) } else { Err(WrongIds) }
    }
}

/// Dead letters of one request: 1 to 10,000, 1,000 where nothing is said.
#[derive(Debug, Clone, Copy)]
pub struct LettersMax(pub usize);

impl Default for LettersMax {
    fn default() -> Self {
        Self(1_000)
    }
}

impl<'de> Deserialize<'de> for LettersMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = whole_number(deserializer, 1..=10_000)?;
        Ok(Self(usize::try_from(number).unwrap_or(1)))
    }
}

/// A name in a filter: letters, digits and `_`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(String);

/// A text that is no name.
#[derive(Debug, thiserror::Error)]
#[error("expected 1 to 64 letters, digits or '_'")]
pub struct WrongWord;

impl TryFrom<String> for Word {
    type Error = WrongWord;

    fn try_from(text: String) -> Result<Self, WrongWord> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain && (1..=64).contains(&text.len()) { Ok(Self(text)) } else { Err(WrongWord) }
    }
}

impl From<Word> for String {
    fn from(Word(text): Word) -> Self {
        text
    }
}

/// A moment as RFC 3339, in microseconds since the epoch.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct Moment(pub i64);

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error("expected a time of RFC 3339 like 2026-11-23T09:00:00+09:00")]
pub struct WrongMoment;

impl TryFrom<String> for Moment {
    type Error = WrongMoment;

    fn try_from(text: String) -> Result<Self, WrongMoment> {
        DateTime::parse_from_rfc3339(&text).map(|at| Self(at.timestamp_micros())).map_err(|_| WrongMoment)
    }
}

/// What an operator notes about what they do: 1 to 200 characters without control characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(pub String);

/// A text that is no reason.
#[derive(Debug, thiserror::Error)]
#[error("expected 1 to 200 characters, none of them a control character")]
pub struct WrongReason;

impl TryFrom<String> for Reason {
    type Error = WrongReason;

    fn try_from(text: String) -> Result<Self, WrongReason> {
        let fits = (1..=200).contains(&text.chars().count()) && !text.trim().is_empty();
        if fits && !text.chars().any(char::is_control) { Ok(Self(text)) } else { Err(WrongReason) }
    }
}

impl PartialSchema for Reason {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(200))
            .description(Some("What an operator notes about what they do."))
            .examples(["Test records of the load test of 3 May"])
            .into()
    }
}

impl ToSchema for Reason {
    fn name() -> Cow<'static, str> {
        "Reason".into()
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
    fn what_filters_are_made_of_is_bounded() {
        assert!(Word::try_from("OrderPaid".to_owned()).is_ok());
        for bad in ["", "a b", "é", "a'", &"x".repeat(65)] {
            assert!(Word::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Reason::try_from("a load test".to_owned()).is_ok());
        for bad in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(Reason::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let moment = Moment::try_from("2027-01-15T17:00:00+09:00".to_owned()).unwrap();
        assert_eq!(time(moment.0), "2027-01-15T08:00:00.000000Z");
        assert!(Moment::try_from("2027-01-15".to_owned()).is_err());
        assert!(LetterIds::try_from(Vec::new()).is_err() && LetterIds::try_from(vec![1; 1_001]).is_err());
    }

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
