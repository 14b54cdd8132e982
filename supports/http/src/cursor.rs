//! Keyset pages: an opaque cursor that names the last row seen, a bounded limit, the envelope.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::extract::whole_number;
use crate::problem::Problem;

/// Characters that a cursor may have; longer ones were not made here.
const CURSOR_CHARS_MAX: usize = 1024;

/// Makes the cursor of `key`. `tag` names the list and its sort, so that no other list takes it.
///
/// # Panics
/// When `key` cannot be JSON. A key is a tuple of scalars: anything else is our bug.
pub fn encode<T: Serialize>(tag: &str, key: &T) -> String {
    #[expect(clippy::expect_used, reason = "a tuple of scalars is always JSON")]
    let json = serde_json::to_vec(&(tag, key)).expect("a cursor's key is JSON");
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads a cursor of [`encode`]; 400 `INVALID_CURSOR` for everything else. A caller can forge one, so the key
/// is to be used as a filter only and must open no row that the list would not show.
pub fn decode<T: DeserializeOwned>(tag: &str, cursor: &str) -> Result<T, Problem> {
    if cursor.len() > CURSOR_CHARS_MAX {
        return Err(Problem::invalid_cursor());
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Problem::invalid_cursor())?;
    let (found, key): (String, T) = serde_json::from_slice(&json).map_err(|_| Problem::invalid_cursor())?;
    if found == tag { Ok(key) } else { Err(Problem::invalid_cursor()) }
}

/// Items of a page: 1 to 100, 20 unless the caller says otherwise.
///
/// As a query parameter: `#[serde(default)] limit: PageLimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = u32, minimum = 1, maximum = 100, default = 20)]
pub struct PageLimit(u32);

impl PageLimit {
    /// The most items a page can have.
    pub const MAX: u32 = 100;
    /// The items of a page when the caller does not say.
    pub const DEFAULT: u32 = 20;

    /// The number of items.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

impl<'de> Deserialize<'de> for PageLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = whole_number(deserializer, 1..=i64::from(Self::MAX))?;
        u32::try_from(items).map(Self).map_err(D::Error::custom)
    }
}

/// A limit outside 1..=100.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected 1 to {}", PageLimit::MAX)]
pub struct LimitOutOfRange;

impl TryFrom<u32> for PageLimit {
    type Error = LimitOutOfRange;

    fn try_from(items: u32) -> Result<Self, LimitOutOfRange> {
        if (1..=Self::MAX).contains(&items) { Ok(Self(items)) } else { Err(LimitOutOfRange) }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Cursor of the next page; null on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page out of up to `limit + 1` rows: the row too many says that there is a next page, and `cursor_of`
    /// the last row shown makes its cursor.
    pub fn from_rows(mut rows: Vec<T>, limit: PageLimit, cursor_of: impl FnOnce(&T) -> String) -> Self {
        let shown = limit.get() as usize;
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let next_cursor = rows.last().filter(|_| has_more).map(cursor_of);
        Self { items: rows, next_cursor }
    }

    /// The same page with other items.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(item).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use utoipa::PartialSchema as _;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever a caller sends is a key of the list or `INVALID_CURSOR`, and nothing else happens.
        #[test]
        fn any_text_is_a_key_of_the_list_or_refused(text in ".{0,1100}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for cursor in [text, URL_SAFE_NO_PAD.encode(&bytes)] {
                for refused in [
                    decode::<(i64, i64)>("orders", &cursor).err(),
                    decode::<(String, i64)>("orders", &cursor).err(),
                    decode::<String>("orders", &cursor).err(),
                ] {
                    prop_assert_eq!(refused.map(|problem| problem.code()), Some("INVALID_CURSOR"));
                }
            }
        }

        /// A cursor with one character changed is refused, or names another row of the same list.
        #[test]
        fn a_cursor_that_was_tampered_with_opens_no_other_list(key: (i64, i64), at: prop::sample::Index, to in "[A-Za-z0-9_=+/. -]") {
            let cursor = encode("orders", &key);
            let at = at.index(cursor.len());
            let tampered = format!("{}{to}{}", &cursor[..at], &cursor[at + 1..]);
            match decode::<(i64, i64)>("orders", &tampered) {
                Ok(found) => prop_assert_eq!(decode::<(i64, i64)>("orders", &encode("orders", &found)).ok(), Some(found)),
                Err(problem) => prop_assert_eq!(problem.code(), "INVALID_CURSOR"),
            }
            prop_assert!(decode::<(i64, i64)>("payments", &tampered).is_err());
        }
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> &'static str {
        result.unwrap_err().code()
    }

    #[test]
    fn a_cursor_comes_back() {
        let key = (1_720_000_000_i64, "상품".to_owned(), 42_i64);
        let cursor = encode("products:NAME", &key);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(decode::<(i64, String, i64)>("products:NAME", &cursor).unwrap(), key);
    }

    #[test]
    fn another_lists_cursor_is_refused() {
        let cursor = encode("products:LATEST", &(1_i64, 2_i64));
        assert_eq!(code(decode::<(i64, i64)>("products:PRICE_ASC", &cursor)), "INVALID_CURSOR");
        assert_eq!(code(decode::<(String, i64)>("products:LATEST", &cursor)), "INVALID_CURSOR");
        assert_eq!(code(decode::<(i64, i64, i64)>("products:LATEST", &cursor)), "INVALID_CURSOR");
    }

    #[test]
    fn nonsense_is_refused() {
        let good = encode("t", &(1_i64,));
        let long = encode("t", &"x".repeat(CURSOR_CHARS_MAX));
        let cut = &good[..good.len() - 1];
        let padded = format!("{good}=");
        for cursor in ["", "%%%", "bnVsbA", "WzFd", long.as_str(), cut, padded.as_str(), "상품"] {
            assert_eq!(code(decode::<(i64,)>("t", cursor)), "INVALID_CURSOR", "{cursor}");
        }
        assert_eq!(code(decode::<String>("t", &long)), "INVALID_CURSOR");
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(PageLimit::default().get(), 20);
        assert_eq!(PageLimit::try_from(1).unwrap().get(), 1);
        assert_eq!(PageLimit::try_from(100).unwrap().get(), 100);
        assert_eq!(PageLimit::try_from(0), Err(LimitOutOfRange));
        assert_eq!(PageLimit::try_from(101), Err(LimitOutOfRange));
    }

    #[test]
    fn the_row_too_many_makes_the_cursor() {
        let limit = PageLimit::try_from(2).unwrap();
        let page = Page::from_rows(vec![5, 4, 3], limit, |row| encode("n", row));
        assert_eq!(page.items, [5, 4]);
        assert_eq!(decode::<i32>("n", page.next_cursor.as_deref().unwrap()).unwrap(), 4);
        let last = Page::from_rows(vec![5, 4], limit, |row| encode("n", row));
        assert_eq!(serde_json::to_string(&last).unwrap(), r#"{"items":[5,4],"nextCursor":null}"#);
    }

    #[test]
    fn the_schema_is_generic() {
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Product {
            name: String,
        }
        assert_eq!(<Page<Product> as ToSchema>::name(), "Page");
        let schema = serde_json::to_value(Page::<Product>::schema()).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["items", "nextCursor"]));
        assert_eq!(schema["properties"]["items"]["items"]["$ref"], "#/components/schemas/Product");
    }
}
