//! Idempotency keys and entity tags.

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::problem::Problem;

/// The header of an [`IdempotencyKey`].
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const KEY_CHARS_MAX: usize = 255;

/// The caller's `Idempotency-Key`: 1 to 255 visible ASCII characters, required.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the key out.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let value = single(&parts.headers, &IDEMPOTENCY_KEY)
            .map_err(|TooMany| Problem::idempotency_key_invalid("the header is given twice"))?
            .ok_or_else(Problem::idempotency_key_required)?;
        let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(key) if visible && (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(Self(key.to_owned())),
            _ => Err(Problem::idempotency_key_invalid(format!(
                "send 1 to {KEY_CHARS_MAX} visible ASCII characters, without spaces"
            ))),
        }
    }
}

/// The version in `If-Match: "v3"`, required. Whether it is the current one is the use case's to say
/// ([`Problem::precondition_failed`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let value = single(&parts.headers, &IF_MATCH)
            .map_err(|TooMany| invalid_if_match())?
            .ok_or_else(Problem::precondition_required)?;
        value.to_str().ok().and_then(parse_etag).map(Self).ok_or_else(invalid_if_match)
    }
}

/// The `ETag` of a version: `"v3"`.
pub fn etag(version: i64) -> HeaderValue {
    // Quotes, a letter, digits and a sign are valid in every header.
    HeaderValue::from_str(&format!("\"v{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"v0\""))
}

fn parse_etag(text: &str) -> Option<i64> {
    let digits = text.strip_prefix("\"v")?.strip_suffix('"')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn invalid_if_match() -> Problem {
    Problem::new(http::StatusCode::BAD_REQUEST, "INVALID_IF_MATCH", "The If-Match header is not valid")
        .detail("send one ETag as it came, such as \"v3\"")
}

struct TooMany;

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, TooMany> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(TooMany) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn extract<T: FromRequestParts<(), Rejection = Problem>>(
        name: &HeaderName,
        values: &[&[u8]],
    ) -> Result<T, (u16, &'static str)> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        for value in values {
            parts.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        T::from_request_parts(&mut parts, &())
            .await
            .map_err(|problem| (problem.status().as_u16(), problem.code()))
    }

    #[tokio::test]
    async fn idempotency_keys_are_visible_ascii() {
        for key in ["a", "!", "~", "0190163d-8694-739b", &"k".repeat(255)] {
            assert_eq!(
                extract::<IdempotencyKey>(&IDEMPOTENCY_KEY, &[key.as_bytes()]).await.unwrap().as_str(),
                key
            );
        }
        assert_eq!(
            extract::<IdempotencyKey>(&IDEMPOTENCY_KEY, &[]).await,
            Err((400, "IDEMPOTENCY_KEY_REQUIRED"))
        );
        let long = "k".repeat(256);
        let bad: [&[&[u8]]; 6] =
            [&[b""], &[b"a b"], &["키".as_bytes()], &[b"a\tb"], &[long.as_bytes()], &[b"a", b"a"]];
        for values in bad {
            let refused = extract::<IdempotencyKey>(&IDEMPOTENCY_KEY, values).await;
            assert_eq!(refused, Err((400, "IDEMPOTENCY_KEY_INVALID")), "{values:?}");
        }
    }

    #[tokio::test]
    async fn if_match_is_one_tag_of_ours() {
        assert_eq!(extract::<IfMatch>(&IF_MATCH, &[etag(3).as_bytes()]).await, Ok(IfMatch(3)));
        assert_eq!(extract::<IfMatch>(&IF_MATCH, &[]).await, Err((428, "PRECONDITION_REQUIRED")));
        let bad: [&[&[u8]]; 8] = [
            &[b"3"],
            &[b"v3"],
            &[b"*"],
            &[b"W/\"v3\""],
            &[b"\"v\""],
            &[b"\"v+3\""],
            &[b"\"v99999999999999999999\""],
            &[b"\"v3\"", b"\"v4\""],
        ];
        for values in bad {
            assert_eq!(
                extract::<IfMatch>(&IF_MATCH, values).await,
                Err((400, "INVALID_IF_MATCH")),
                "{values:?}"
            );
        }
    }
}
