use std::sync::atomic::{AtomicU64, Ordering};

use commerce_api_application::ports::{TokenHash, TokenSource};
use commerce_http::EntropySource;

/// Trace ids that count: the same every run.
#[derive(Default)]
pub struct CountingEntropy(AtomicU64);

impl EntropySource for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let digits = number.to_be_bytes();
        let length = bytes.len();
        bytes.fill(0);
        bytes[length - digits.len()..].copy_from_slice(&digits);
    }
}

/// Tokens that count: the same every run.
#[derive(Default)]
pub struct CountingTokens(AtomicU64);

impl CountingTokens {
    const PREFIX: &str = "token-";
}

fn hash_of(number: u64) -> TokenHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    TokenHash(hash)
}

impl TokenSource for CountingTokens {
    fn issue(&self) -> (String, TokenHash) {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        (format!("{}{number}", Self::PREFIX), hash_of(number))
    }

    fn hash(&self, token: &str) -> Option<TokenHash> {
        token.strip_prefix(Self::PREFIX)?.parse().ok().map(hash_of)
    }
}
