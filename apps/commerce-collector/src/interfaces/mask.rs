//! Bytes of strangers, as an operator may see them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

/// The fewest digits of a card number.
const CARD_DIGITS_MIN: usize = 13;
/// Digits that are left to see.
const SHOWN: usize = 4;

/// How the bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Encoding {
    /// As they are: they are UTF-8.
    Text,
    /// In Base64.
    Base64,
}

/// Any bytes. Digits in a row that could be a card number are hidden, but for the last four.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Raw {
    /// How they are written.
    encoding: Encoding,
    /// The bytes.
    content: String,
}

impl Raw {
    /// What may be seen of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut shown = bytes.to_vec();
        mask(&mut shown);
        match String::from_utf8(shown) {
            Ok(content) => Self { encoding: Encoding::Text, content },
            Err(error) => Self { encoding: Encoding::Base64, content: STANDARD.encode(error.as_bytes()) },
        }
    }
}

/// Hides digits of runs that are long enough; single spaces and hyphens do not end a run.
fn mask(bytes: &mut [u8]) {
    let mut run: Vec<usize> = Vec::new();
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            Some(byte) if byte.is_ascii_digit() => run.push(at),
            Some(b' ' | b'-') if run.last().is_some_and(|last| last + 1 == at) => {}
            _ => {
                if run.len() >= CARD_DIGITS_MIN {
                    let hidden = run.len() - SHOWN;
                    run.iter().take(hidden).for_each(|digit| bytes[*digit] = b'*');
                }
                run.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_hidden_in_text_and_in_any_bytes() {
        let raw = Raw::of(b"{\"card\": \"1234-5678-9814-1451\", \"n\": 42}");
        assert_eq!(raw.content, "{\"card\": \"****-****-****-1451\", \"n\": 42}");
        assert_eq!(Raw::of(b"4111111111111").content, "*********1111");
        assert_eq!(Raw::of(b"411111111111").content, "411111111111");
        let raw = Raw::of(b"\xff4111 1111 1111 1111");
        assert_eq!(raw.encoding, Encoding::Base64);
        assert_eq!(STANDARD.decode(&raw.content).unwrap(), b"\xff**** **** **** 1111");
    }
}
