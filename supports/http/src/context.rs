//! The trace of the request being answered, as W3C Trace Context defines it.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The W3C header that carries a trace from hop to hop.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of a version 00 `traceparent`.
const TRACEPARENT_LEN: usize = 55;

/// Where the bytes of new trace and span ids come from. Injected, so that a run can be repeated.
pub trait EntropySource: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// What is known of the request being answered, wherever the code runs that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// Trace of the whole operation, from the caller when it sent one; all zero outside a request.
    pub trace_id: [u8; 16],
    /// This hop's own span.
    pub span_id: [u8; 8],
    /// The caller's decision to sample; a trace begun here is sampled.
    pub sampled: bool,
    /// Path of the request, without its query.
    pub path: Arc<str>,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

impl RequestContext {
    /// The context of the running request, or [`RequestContext::detached`] outside of one.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Self::detached())
    }

    /// A context that belongs to no request: no trace, no path.
    pub fn detached() -> Self {
        Self { trace_id: [0; 16], span_id: [0; 8], sampled: false, path: Arc::from("") }
    }

    /// Continues the trace in `headers`, or begins one when they carry none that is valid.
    pub fn from_headers(headers: &HeaderMap, path: &str, entropy: &dyn EntropySource) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let parent = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(parse_traceparent),
            _ => None,
        };
        let mut span_id = [0; 8];
        fill_nonzero(&mut span_id, entropy);
        let (trace_id, sampled) = parent.unwrap_or_else(|| {
            let mut trace_id = [0; 16];
            fill_nonzero(&mut trace_id, entropy);
            (trace_id, true)
        });
        Self { trace_id, span_id, sampled, path: Arc::from(path) }
    }

    /// Runs `future` with this context current; also the way to carry it into a spawned task.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Whether there is a trace.
    pub fn is_traced(&self) -> bool {
        self.trace_id != [0; 16]
    }

    /// The trace id as 32 lowercase hex digits.
    pub fn trace_id_hex(&self) -> String {
        hex(&self.trace_id)
    }

    /// The span id as 16 lowercase hex digits.
    pub fn span_id_hex(&self) -> String {
        hex(&self.span_id)
    }

    /// The `traceparent` to send on, with this hop as the parent.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id_hex(), self.span_id_hex(), u8::from(self.sampled))
    }

    /// [`RequestContext::traceparent`] as a header value.
    pub fn traceparent_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.traceparent()).ok()
    }
}

/// All zero is the one id that the standard forbids.
fn fill_nonzero(bytes: &mut [u8], entropy: &dyn EntropySource) {
    entropy.fill(bytes);
    if bytes.iter().all(|byte| *byte == 0)
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
}

/// Trace id and sampled flag of a `traceparent`; `None` when the standard says to ignore it.
fn parse_traceparent(value: &str) -> Option<([u8; 16], bool)> {
    let head = value.get(..TRACEPARENT_LEN)?;
    let mut fields = head.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let [version] = unhex::<1>(version)?;
    let rest = value.get(TRACEPARENT_LEN..)?;
    // Later versions may add fields at the end; version ff is invalid for ever.
    let length_ok = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
    let trace_id = unhex::<16>(trace)?;
    let parent_id = unhex::<8>(parent)?;
    let [flags] = unhex::<1>(flags)?;
    let valid = version != 0xff && length_ok && trace_id != [0; 16] && parent_id != [0; 8];
    valid.then_some((trace_id, flags & 1 == 1))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Exactly `N` bytes from lowercase hex digits, the only case the standard allows.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if text.len() != N * 2 || !text.as_bytes().iter().all(lower_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn from(values: &[&str]) -> RequestContext {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        RequestContext::from_headers(&headers, "/p", &Counting::default())
    }

    #[test]
    fn a_valid_trace_is_continued_with_a_span_of_our_own() {
        let context = from(&[VALID]);
        assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.sampled);
        assert_ne!(context.span_id_hex(), "00f067aa0ba902b7");
        assert_eq!(
            context.traceparent(),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", context.span_id_hex())
        );
        assert!(!from(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"]).sampled);
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let context = from(&["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"]);
        assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn an_invalid_trace_is_ignored() {
        let long = format!("{VALID}-x");
        let bad = [
            "",
            "00",
            long.as_str(),
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for value in bad {
            let context = from(&[value]);
            assert_ne!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736", "{value}");
            assert!(context.is_traced() && context.sampled, "{value}");
        }
        assert_ne!(from(&[VALID, VALID]).trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn ids_are_never_all_zero() {
        struct Zero;
        impl EntropySource for Zero {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let context = RequestContext::from_headers(&HeaderMap::new(), "/", &Zero);
        assert!(context.is_traced());
        assert_ne!(context.span_id, [0; 8]);
    }

    #[tokio::test]
    async fn scope_sets_the_current_context() {
        let context = from(&[VALID]);
        assert_eq!(context.clone().scope(async { RequestContext::current() }).await, context);
        assert_eq!(RequestContext::current(), RequestContext::detached());
    }
}
