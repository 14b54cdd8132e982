//! Whole numbers of a range.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Reads a whole number of the range; everything else is refused by naming the range. For `#[serde(with)]` and own
/// `Deserialize`s, of bodies as of parameters.
pub fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: RangeInclusive<i64>,
) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(WholeNumber(range))
}

struct WholeNumber(RangeInclusive<i64>);

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        if self.0.contains(&number) {
            Ok(number)
        } else {
            Err(E::invalid_value(Unexpected::Signed(number), &self))
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_held_and_named() {
        let read = |json: &str| whole_number(&mut serde_json::Deserializer::from_str(json), -1..=100);
        assert_eq!((read("-1").unwrap(), read("100").unwrap()), (-1, 100));
        let bad = ["-2", "101", "9223372036854775808", "1e30", "1.0", "\"7\"", "null", "[]", "{}"];
        for json in bad {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("expected a whole number from -1 to 100"), "{json}: {error}");
        }
    }
}
