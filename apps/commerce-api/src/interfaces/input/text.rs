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

/// Whether a text may have line breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

fn has_chars(text: &str, min: usize, max: usize, lines: Lines) -> bool {
    let chars = text.chars().count();
    let blank = min > 0 && text.trim().is_empty();
    let may_stand = |c: char| (c == '\n' && lines == Lines::Many) || !is_unseen(c);
    (min..=max).contains(&chars) && !blank && text.chars().all(may_stand)
}

/// Characters that change how a text looks and are not seen themselves: controls (Cc), line and paragraph separators,
/// and format characters (Cf), by which a name can pass for another one. The two joiners stay: scripts and emoji
/// need them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}' | '\u{0890}'..='\u{0891}'
            | '\u{08E2}' | '\u{180E}' | '\u{200B}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0001}' | '\u{E0020}'..='\u{E007F}')
}

macro_rules! text {
    (@rule One, $min:literal, $max:literal) => {
        concat!($min, " to ", $max, " characters on one line, none of them a control or format character")
    };
    (@rule Many, $min:literal, $max:literal) => {
        concat!($min, " to ", $max, " characters, none of them a control or format character but a line break")
    };
    ($(#[doc = $doc:literal])* $name:ident, $min:literal..=$max:literal, $lines:ident, example $example:literal) => {
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
                if has_chars(&text, $min, $max, Lines::$lines) {
                    Ok(Self(text))
                } else {
                    Err(WrongText(text!(@rule $lines, $min, $max)))
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
    Name, 1..=200, One, example "Boseong green tea"
);
text!(
    /// Description of a brand or product.
    Description, 0..=2000, Many, example "First flush, hand picked"
);
text!(
    /// What an operator notes about what they do.
    Reason, 1..=200, Many, example "Delivery of 3 May"
);
text!(
    /// Substring of a name, upper and lower case alike.
    SearchText, 2..=50, One, example "tea"
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

/// The gateway's key of a transaction.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TransactionKey(String);

impl TransactionKey {
    const CHARS_MAX: usize = 128;
}

impl From<TransactionKey> for Arc<str> {
    fn from(key: TransactionKey) -> Self {
        key.0.into()
    }
}

impl TryFrom<String> for TransactionKey {
    type Error = WrongText;

    fn try_from(text: String) -> Result<Self, WrongText> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=Self::CHARS_MAX).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(WrongText("1 to 128 visible ASCII characters"))
        }
    }
}

impl PartialSchema for TransactionKey {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[!-~]{1,128}$"))
            .description(Some("The gateway's key of a transaction."))
            .examples(["20260814:TR:9577c5"])
            .into()
    }
}

impl ToSchema for TransactionKey {
    fn name() -> Cow<'static, str> {
        "TransactionKey".into()
    }
}

/// A card number. It has no `Debug`, and it is serialised for the keyed fingerprint of a request only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CardNumber(String);

impl CardNumber {
    const GROUPS: usize = 4;

    /// The last four digits: all of the number that is kept readable.
    pub fn last_four(&self) -> Arc<str> {
        self.0.rsplit('-').next().unwrap_or_default().into()
    }

    /// The number, for the use case that seals it.
    pub fn sealable(&self) -> commerce_api_application::ports::CardNumber {
        commerce_api_application::ports::CardNumber::new(self.0.clone())
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
    fn a_name_is_one_line_that_looks_like_what_it_is() {
        let bad = [
            "a\nb",
            "a\r\nb",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\tb",
            "\u{202E}eert",
            "a\u{2066}b\u{2069}",
            "a\u{200E}b",
            "a\u{200F}b",
            "te\u{200B}a",
            "te\u{00AD}a",
            "\u{FEFF}tea",
            "tea\u{E0041}",
        ];
        for bad in bad {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        // Persian and family emoji need joiners.
        for good in ["می\u{200C}خواهم", "👩\u{200D}👧", "보성 녹차", "Café – №1"] {
            assert!(Name::try_from(good.to_owned()).is_ok(), "{good:?}");
        }
        for (text, good) in [("a\nb", true), ("a\u{202E}b", false), ("a\rb", false)] {
            assert_eq!(Description::try_from(text.to_owned()).is_ok(), good, "{text:?}");
            assert_eq!(Reason::try_from(text.to_owned()).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_transaction_key_is_visible_ascii() {
        for bad in [String::new(), "a b".to_owned(), "키".to_owned(), "k".repeat(129)] {
            assert!(TransactionKey::try_from(bad).is_err());
        }
        assert!(TransactionKey::try_from("20260814:TR:9577c5".to_owned()).is_ok());
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
