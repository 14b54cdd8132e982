//! What a key may be.

use figment::value::{Num, Value};

use crate::{Secret, ServerUrl};

/// What a key may be.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// A whole number between two bounds, both allowed, and its unit: `" seconds"`.
    Whole(i64, i64, &'static str),
    /// `true` or `false`.
    Switch,
    /// One of these, and a remark for whoever wrote another.
    Choice(&'static [&'static str], &'static str),
    /// A text that passes the check; and what is expected.
    Text(fn(&str) -> bool, &'static str),
    /// A list of texts, each of which passes the check; in an environment variable they are separated by commas.
    List(fn(&str) -> bool, &'static str),
    /// A URL that passes the check, shown without the password that it may hold.
    Url(fn(&str) -> bool, &'static str),
    /// A text that passes the check, never shown.
    Hidden(fn(&str) -> bool, &'static str),
    /// A list of at least one text, each of which passes the check, never shown; in an environment variable they are
    /// separated by commas.
    HiddenList(fn(&str) -> bool, &'static str),
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key: `api.port`.
    pub key: &'static str,
    /// What it may be.
    pub rule: Rule,
}

/// `key` that may be what `rule` says.
pub const fn setting(key: &'static str, rule: Rule) -> Setting {
    Setting { key, rule }
}

impl Setting {
    /// The section of the key; none of one that stands outside of all.
    pub(crate) fn section(&self) -> Option<&'static str> {
        self.key.split_once('.').map(|(section, _)| section)
    }

    /// The value as TOML, or that it is hidden.
    pub(crate) fn shown(&self, value: &Value) -> String {
        match (&self.rule, value) {
            (Rule::Hidden(..), _) => format!("\"{}\"", Secret::HIDDEN),
            (Rule::HiddenList(..), _) => format!("[\"{}\"]", Secret::HIDDEN),
            (Rule::Url(..), Value::String(_, text)) => format!("{:?}", ServerUrl::masked(text)),
            (_, Value::String(_, text)) => format!("{text:?}"),
            (_, Value::Bool(_, switch)) => switch.to_string(),
            (_, Value::Num(_, number)) => whole(*number)
                .map_or_else(|| number.to_f64().unwrap_or_default().to_string(), |n| n.to_string()),
            (_, Value::Char(_, c)) => format!("{:?}", c.to_string()),
            (_, Value::Empty(..)) => "empty".to_owned(),
            (_, Value::Dict(..)) => "a table".to_owned(),
            (Rule::List(..), Value::Array(_, items)) => {
                let items: Vec<_> = items.iter().map(|item| self.shown(item)).collect();
                format!("[{}]", items.join(", "))
            }
            (_, Value::Array(..)) => "a list".to_owned(),
        }
    }
}

impl Rule {
    /// What is allowed, where `value` is not.
    pub(crate) fn refuses(&self, value: &Value) -> Option<String> {
        let text = value.as_str();
        match self {
            Self::Whole(min, max, unit) => {
                let number = if let Value::Num(_, number) = value { whole(*number) } else { None };
                let fits =
                    number.is_some_and(|number| (i128::from(*min)..=i128::from(*max)).contains(&number));
                (!fits).then(|| format!("a whole number from {min} to {max}{unit}"))
            }
            Self::Switch => value.to_bool().is_none().then(|| "true or false".to_owned()),
            Self::Choice(names, note) => {
                let fits = text.is_some_and(|text| names.contains(&text));
                (!fits).then(|| format!("{}{note}", names.join(" or ")))
            }
            Self::Text(check, expected) | Self::Url(check, expected) | Self::Hidden(check, expected) => {
                (!text.is_some_and(check)).then(|| (*expected).to_owned())
            }
            Self::List(check, expected) => {
                let fits = value
                    .as_array()
                    .is_some_and(|list| list.iter().all(|value| value.as_str().is_some_and(check)));
                (!fits).then(|| format!("a list, each {expected}"))
            }
            Self::HiddenList(check, expected) => {
                let fits = value.as_array().is_some_and(|list| {
                    !list.is_empty() && list.iter().all(|value| value.as_str().is_some_and(check))
                });
                (!fits).then(|| format!("a list of at least one, each {expected}"))
            }
        }
    }

    /// The text as the type that the key wants; where it is not of that type it stays a text and is refused later.
    pub(crate) fn typed(&self, text: &str) -> Value {
        match self {
            Self::Whole(..) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
            Self::Switch => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
            Self::List(..) if text.trim().is_empty() => Value::from(Vec::<&str>::new()),
            Self::List(..) | Self::HiddenList(..) => {
                Value::from(text.split(',').map(str::trim).collect::<Vec<_>>())
            }
            Self::Choice(..) | Self::Text(..) | Self::Url(..) | Self::Hidden(..) => Value::from(text),
        }
    }
}

fn whole(number: Num) -> Option<i128> {
    number.to_i128().or_else(|| i128::try_from(number.to_u128()?).ok())
}

/// Checks of texts that several apps need.
pub mod checks {
    use std::net::IpAddr;

    use crate::secrets;

    /// An IP address.
    pub fn is_address(text: &str) -> bool {
        text.parse::<IpAddr>().is_ok()
    }

    /// Anything at all.
    pub fn is_present(text: &str) -> bool {
        !text.is_empty()
    }

    /// 16 to 256 visible ASCII characters.
    pub fn is_token(text: &str) -> bool {
        (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// 64 hexadecimal digits. A key of one repeated byte is somebody's placeholder.
    pub fn is_key(text: &str) -> bool {
        secrets::key_of_hex(text).is_some_and(|key| key.iter().any(|byte| *byte != key[0]))
    }
}
