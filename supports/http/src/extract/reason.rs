//! Reads serde's error texts.
//!
//! serde gives no structured errors: its message is the only place that tells an unknown field from a wrong
//! value. The texts are pinned by tests, so that an update that changes them is seen.

use serde_path_to_error::{Path, Segment};

/// Longest name that a pointer repeats; the caller chose it, so it could fill the answer.
const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    UnknownField,
    Other,
}

/// What is wrong, in a text that repeats no value: a value may be a password or a card number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub kind: Kind,
    /// The field that the message names, where it names one.
    pub field: Option<String>,
    pub detail: String,
}

/// `what` is a field or a parameter.
pub(super) fn read(message: &str, what: &str) -> Reason {
    let message = message.rfind(" at line ").map_or(message, |at| &message[..at]);
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (name, known) = split_expected(rest);
        let detail = known.map_or_else(
            || format!("there is no such {what}"),
            |known| format!("there is no such {what}; expected {known}"),
        );
        return Reason { kind: Kind::UnknownField, field: Some(name), detail };
    }
    for (prefix, detail) in [("missing field `", "is required"), ("duplicate field `", "is given twice")] {
        if let Some(name) = message.strip_prefix(prefix) {
            return other(Some(name.trim_end_matches('`').to_owned()), detail.to_owned());
        }
    }
    let repeats_value = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "]
        .iter()
        .any(|prefix| message.starts_with(prefix));
    if repeats_value && let Some(at) = message.rfind(", expected ") {
        return other(None, format!("expected {}", plain(&message[at + ", expected ".len()..])));
    }
    if message.starts_with("UUID parsing failed") {
        return other(None, "expected a UUID".to_owned());
    }
    other(None, message.to_owned())
}

/// A type as people call it.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more, in its range".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number in its range".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a map" => "an object".to_owned(),
        "a sequence" => "an array".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ if expected.starts_with("a formatted UUID") => "a UUID".to_owned(),
        _ if expected.starts_with("enum ") => "one of the allowed values".to_owned(),
        _ => expected.to_owned(),
    }
}

/// The JSON pointer of a path, with `field` appended unless the path ends with it.
pub(super) fn pointer(path: &Path, field: Option<&str>) -> String {
    let mut names: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(escape(key)),
            // A variant's name is no level of the JSON document of a tagged enum.
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    if let Some(field) = field.map(escape)
        && names.last() != Some(&field)
    {
        names.push(field);
    }
    names.iter().fold(String::new(), |pointer, name| pointer + "/" + name)
}

/// RFC 6901, shortened.
fn escape(name: &str) -> String {
    let short: String = name.chars().take(NAME_CHARS_MAX).collect();
    short.replace('~', "~0").replace('/', "~1")
}

/// The name and what serde says of the fields that exist.
fn split_expected(rest: &str) -> (String, Option<&str>) {
    if let Some(at) = rest.rfind("`, expected ") {
        return (rest[..at].to_owned(), Some(&rest[at + "`, expected ".len()..]));
    }
    let name = rest.strip_suffix("`, there are no fields").unwrap_or(rest);
    (name.to_owned(), None)
}

fn other(field: Option<String>, detail: String) -> Reason {
    Reason { kind: Kind::Other, field, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_repeated() {
        let reason = read(
            "invalid type: string \"4111111111111111, expected x\", expected u32 at line 1 column 9",
            "field",
        );
        assert_eq!(reason.detail, "expected a whole number, 0 or more, in its range");
        assert_eq!(read("unknown variant `pw`, expected `A` or `B`", "field").detail, "expected `A` or `B`");
        assert_eq!(read("invalid type: null, expected struct Secret", "field").detail, "expected an object");
    }

    #[test]
    fn types_are_called_as_people_call_them() {
        let cases = [
            ("invalid type: map, expected a sequence", "expected an array"),
            ("invalid type: sequence, expected a map", "expected an object"),
            ("invalid length 1, expected struct Order with 3 elements", "expected an object"),
            ("invalid type: integer `7`, expected a formatted UUID string", "expected a UUID"),
            ("UUID parsing failed: invalid length: found 1", "expected a UUID"),
        ];
        for (message, detail) in cases {
            assert_eq!(read(message, "field").detail, detail);
        }
    }

    #[test]
    fn the_field_is_named() {
        assert_eq!(read("missing field `lines` at line 1 column 2", "field").field.as_deref(), Some("lines"));
        let unknown = read("unknown field `a`, expected one of `b`, `c` at line 1 column 4", "field");
        assert_eq!((unknown.kind, unknown.field.as_deref()), (Kind::UnknownField, Some("a")));
        assert_eq!(unknown.detail, "there is no such field; expected one of `b`, `c`");
        assert_eq!(read("unknown field `a`, there are no fields", "field").field.as_deref(), Some("a"));
        assert_eq!(read("duplicate field `a`", "field").detail, "is given twice");
    }

    #[test]
    fn pointers_are_escaped_and_short() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(escape(&"x".repeat(1000)).len(), NAME_CHARS_MAX);
    }
}
