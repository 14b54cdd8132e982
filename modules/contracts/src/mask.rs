/// Fewest digits that could be a card number.
const DIGITS_MIN: usize = 13;
/// Digits that stay readable.
const SHOWN: usize = 4;

/// The text with every row of 13 digits or more, also one cut into groups by single spaces or hyphens, reduced to its
/// last four. For what others say and we keep: it may repeat a card number.
pub fn mask_card_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(start);
        let (row, after) = from_digit.split_at(row_length(from_digit.as_bytes()));
        masked.push_str(before);
        mask_row(row, &mut masked);
        rest = after;
    }
    masked + rest
}

/// Bytes of the row of digits and single separators that `text` begins with.
fn row_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        let is_between = matches!(byte, b'-' | b' ') && text.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_digit() && !is_between {
            break;
        }
        length += 1;
    }
    length
}

fn mask_row(row: &str, masked: &mut String) {
    let digits = row.bytes().filter(u8::is_ascii_digit).count();
    if digits < DIGITS_MIN {
        masked.push_str(row);
        return;
    }
    let mut left = digits;
    for c in row.chars() {
        if c.is_ascii_digit() {
            masked.push(if left > SHOWN { '*' } else { c });
            left -= 1;
        } else {
            masked.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mask_card_numbers;

    #[test]
    fn a_card_number_keeps_its_last_four_digits() {
        let cases = [
            ("1234-5678-9814-1451", "****-****-****-1451"),
            ("no 1234 5678 9814 1451!", "no **** **** **** 1451!"),
            ("1234567898141451", "************1451"),
            ("카드 1234-5678-9814-1451은 한도초과", "카드 ****-****-****-1451은 한도초과"),
            ("1234567890123", "*********0123"),
            ("a1234-5678-9814-1451b1234567898141451c", "a****-****-****-1451b************1451c"),
        ];
        for (text, masked) in cases {
            assert_eq!(mask_card_numbers(text), masked);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in ["", "-", "7", "20260814:TR:957705", "123456789012", "010-1234-5678", "é1"] {
            assert_eq!(mask_card_numbers(text), text);
        }
        assert_eq!(mask_card_numbers("1--2345678901234x"), "1--*********1234x");
    }
}
