//! Signatures of callbacks after Standard Webhooks, <https://www.standardwebhooks.com>: HMAC-SHA-256 over
//! `id.timestamp.body`, the body as the very bytes that are sent.

mod secret;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac as _;

pub use secret::{Secret, SecretError};

/// Header with the id of the message: the same in every attempt to deliver it.
pub const ID_HEADER: &str = "webhook-id";
/// Header with the time of the attempt, in seconds since the epoch.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far the time of an attempt may be from the receiver's.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// Longest id that is taken, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// Signatures of one message that are looked at; more are refused, since each one costs a comparison.
const SIGNATURES_MAX: usize = 16;

const VERSION: &str = "v1";

/// The headers of a message as they came; `None` where there was none, or none of text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// Of [`ID_HEADER`].
    pub id: Option<&'a str>,
    /// Of [`TIMESTAMP_HEADER`].
    pub timestamp: Option<&'a str>,
    /// Of [`SIGNATURE_HEADER`].
    pub signature: Option<&'a str>,
}

/// Why a message is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header is not in its form.
    #[error("the header {0} is not in its form")]
    Malformed(&'static str),
    /// The attempt is older than the tolerance: perhaps a replay.
    #[error("the time of the message is {0} s in the past")]
    TooOld(i64),
    /// The attempt is further in the future than the tolerance.
    #[error("the time of the message is {0} s in the future")]
    TooNew(i64),
    /// No signature was made with one of the secrets over these bytes.
    #[error("no signature fits")]
    NoMatch,
}

/// The signature of a message: `v1,` and the MAC in base64. `timestamp_s`: seconds since the epoch.
pub fn sign(secret: &Secret, id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let mac = secret.mac(id, &timestamp_s.to_string(), body).finalize().into_bytes();
    let mut signature = format!("{VERSION},");
    STANDARD.encode_string(mac, &mut signature);
    signature
}

/// Proves that a holder of one of the secrets sent these bytes under this id, within `tolerance` of `now_s` (seconds
/// since the epoch), and gives back the id. Signatures of other versions are passed over. Whether the id came before
/// is for the caller to know.
pub fn verify<'a>(
    secrets: &[Secret],
    headers: Headers<'a>,
    body: &[u8],
    now_s: i64,
    tolerance: Duration,
) -> Result<&'a str, Unverified> {
    let id = headers.id.ok_or(Unverified::Missing(ID_HEADER))?;
    let timestamp = headers.timestamp.ok_or(Unverified::Missing(TIMESTAMP_HEADER))?;
    let signature = headers.signature.ok_or(Unverified::Missing(SIGNATURE_HEADER))?;
    if !is_id(id) {
        return Err(Unverified::Malformed(ID_HEADER));
    }
    let sent_s = parse_timestamp(timestamp).ok_or(Unverified::Malformed(TIMESTAMP_HEADER))?;
    let given = parse_signatures(signature).ok_or(Unverified::Malformed(SIGNATURE_HEADER))?;
    let tolerance_s = i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX);
    let age_s = now_s.saturating_sub(sent_s);
    if age_s > tolerance_s {
        return Err(Unverified::TooOld(age_s));
    }
    if age_s < tolerance_s.saturating_neg() {
        return Err(Unverified::TooNew(age_s.saturating_neg()));
    }
    let fits = secrets.iter().any(|secret| {
        let mac = secret.mac(id, timestamp, body);
        // Compares in constant time.
        given.iter().any(|given| mac.clone().verify_slice(given).is_ok())
    });
    if fits { Ok(id) } else { Err(Unverified::NoMatch) }
}

/// A dot would let what is signed be cut in another place.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= ID_BYTES_MAX
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
}

/// Only the one spelling that [`sign`] uses.
fn parse_timestamp(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|seconds| *seconds >= 0 && seconds.to_string() == text)
}

fn parse_signatures(header: &str) -> Option<Vec<Vec<u8>>> {
    let mut given = Vec::new();
    for (index, one) in header.split(' ').enumerate() {
        let (version, mac) = one.split_once(',')?;
        if index == SIGNATURES_MAX || version.is_empty() || mac.is_empty() {
            return None;
        }
        if version == VERSION {
            given.push(STANDARD.decode(mac).ok()?);
        }
    }
    Some(given)
}

#[cfg(test)]
mod tests;
