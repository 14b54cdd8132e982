use std::borrow::Cow;

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A business day, `yyyyMMdd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(NaiveDate);

/// A text that is no day.
#[derive(Debug, thiserror::Error)]
#[error("expected a day like 20261123")]
pub struct WrongDay;

impl Day {
    /// The day.
    pub const fn date(self) -> NaiveDate {
        self.0
    }
}

impl From<NaiveDate> for Day {
    fn from(day: NaiveDate) -> Self {
        Self(day)
    }
}

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
            .pattern(Some("^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"))
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
