use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// What a text must be.
#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
pub struct WrongText(&'static str);

fn has_chars(text: &str, min: usize, max: usize) -> bool {
    let chars = text.chars().count();
    let blank = min > 0 && text.trim().is_empty();
    (min..=max).contains(&chars) && !blank && !text.chars().any(|c| c.is_control() && c != '\n')
}

macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $min:literal..=$max:literal, example $example:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the text out.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = WrongText;

            fn try_from(text: String) -> Result<Self, WrongText> {
                if has_chars(&text, $min, $max) {
                    Ok(Self(text))
                } else {
                    Err(WrongText(concat!($min, " to ", $max, " characters, none of them a control character")))
                }
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .description(Some(concat!($($doc),*).trim()))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

text!(
    /// Name of a brand, product or coupon.
    Name, 1..=200, example "Boseong green tea"
);
text!(
    /// Description of a brand or product.
    Description, 0..=2000, example "First flush, hand picked"
);
text!(
    /// What an operator notes about what they do.
    Reason, 1..=200, example "Delivery of 3 May"
);
text!(
    /// Substring of a name, upper and lower case alike.
    SearchText, 2..=50, example "tea"
);

impl From<Reason> for Arc<str> {
    fn from(reason: Reason) -> Self {
        reason.0.into()
    }
}

/// The shop's own code of a product or coupon.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Code(String);

impl Code {
    /// Takes the text out.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Code {
    type Error = WrongText;

    fn try_from(text: String) -> Result<Self, WrongText> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=50).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(WrongText("1 to 50 letters, digits, '-' or '_'"))
        }
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Za-z0-9_-]{1,50}$"))
            .description(Some("The shop's own code of a product or coupon, unique."))
            .examples(["TEA-001"])
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        "Code".into()
    }
}

/// A card number. It has no `Debug`, and it is serialised for the keyed fingerprint of a request only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CardNumber(String);

impl CardNumber {
    const GROUPS: usize = 4;

    /// The last four digits: all of the number that goes on.
    pub fn last_four(&self) -> Arc<str> {
        self.0.rsplit('-').next().unwrap_or_default().into()
    }
}

impl TryFrom<String> for CardNumber {
    type Error = WrongText;

    fn try_from(text: String) -> Result<Self, WrongText> {
        let groups = text.split('-');
        let well_formed = groups.clone().count() == Self::GROUPS
            && groups.into_iter().all(|group| group.len() == 4 && group.bytes().all(|b| b.is_ascii_digit()));
        if well_formed { Ok(Self(text)) } else { Err(WrongText("four groups of four digits joined by '-'")) }
    }
}

impl PartialSchema for CardNumber {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{4}(-[0-9]{4}){3}$"))
            .description(Some("A card number; only its last four digits are ever shown again."))
            .examples(["1234-5678-9814-1451"])
            .into()
    }
}

impl ToSchema for CardNumber {
    fn name() -> Cow<'static, str> {
        "CardNumber".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_in_characters() {
        assert!(Name::try_from("상".repeat(200)).is_ok());
        for bad in [String::new(), "  ".to_owned(), "a".repeat(201), "a\0b".to_owned()] {
            assert!(Name::try_from(bad).is_err());
        }
        assert!(Description::try_from(String::new()).is_ok());
        assert!(SearchText::try_from("t".to_owned()).is_err());
        assert!(SearchText::try_from("t".repeat(51)).is_err());
    }

    #[test]
    fn a_bad_card_number_is_not_repeated() {
        for bad in ["1234567898141451", "1234-5678-9814-145", "1234-5678-9814-1451-", "1234-5678-9814-145x"] {
            let error = serde_json::from_value::<CardNumber>(bad.into()).err().unwrap().to_string();
            assert!(!error.contains("1234"), "{error}");
        }
        let good = CardNumber::try_from("1234-5678-9814-1451".to_owned()).ok().unwrap();
        assert_eq!(&*good.last_four(), "1451");
    }
}
