use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "whsec_";

/// Block of the hash: HMAC pads a shorter key with zeros to it, and hashes a longer one first.
const BLOCK_BYTES: usize = 64;

/// The text is no secret of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook secret is `whsec_` and the base64 of {} to {} bytes",
    Secret::BYTES_MIN,
    Secret::BYTES_MAX
)]
pub struct SecretError;

/// A key that sender and receiver share. It is never shown.
#[derive(Clone)]
pub struct Secret {
    keyed: Hmac<Sha256>,
}

impl Secret {
    /// Bytes of a secret at least, when it is given as text.
    pub const BYTES_MIN: usize = 24;
    /// Bytes of a secret at most, when it is given as text.
    pub const BYTES_MAX: usize = 64;

    /// A secret of these bytes.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        if key.len() > BLOCK_BYTES {
            let digest = Sha256::digest(key);
            block[..digest.len()].copy_from_slice(&digest);
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self { keyed: Hmac::new(&block.into()) }
    }

    pub(crate) fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let key = text.strip_prefix(PREFIX).and_then(|key| STANDARD.decode(key).ok()).ok_or(SecretError)?;
        let fits = (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&key.len());
        if fits { Ok(Self::new(&key)) } else { Err(SecretError) }
    }
}
