use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use commerce_api_application::ports::{
    Charge, ChargeError, GatewayAbilities, GatewayError, GatewayTransaction, PaymentGateway, TokenHash,
    TokenSource, TransactionSummary,
};
use commerce_api_domain::{Money, PaymentId};
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

/// A gateway that nobody calls: here only its callbacks are of interest.
pub struct SilentGateway {
    pub signed: bool,
}

fn silence() -> GatewayError {
    GatewayError::Unavailable("nobody answers".to_owned())
}

#[async_trait]
impl PaymentGateway for SilentGateway {
    fn abilities(&self) -> GatewayAbilities {
        GatewayAbilities { signature: self.signed, ..GatewayAbilities::ALL }
    }

    async fn charge(&self, _: &Charge) -> Result<TransactionSummary, ChargeError> {
        Err(ChargeError::NotSent("nobody listens".to_owned()))
    }

    async fn find(&self, _: &str) -> Result<Option<GatewayTransaction>, GatewayError> {
        Err(silence())
    }

    async fn find_by_reference(&self, _: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        Err(silence())
    }

    async fn refund(&self, _: &str, _: Money, _: &str) -> Result<(), GatewayError> {
        Err(silence())
    }

    async fn void(&self, _: PaymentId) -> Result<Vec<TransactionSummary>, GatewayError> {
        Err(silence())
    }
}
