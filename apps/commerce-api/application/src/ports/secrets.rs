use async_trait::async_trait;

use super::StorageError;

/// The keyed fingerprint of a request body: equal bodies, equal fingerprints; it tells nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Makes fingerprints under the installation's secret.
pub trait Fingerprinter: Send + Sync + 'static {
    /// The fingerprint of `canonical`, a body in a form where equal meaning is equal bytes.
    fn fingerprint(&self, canonical: &[u8]) -> Fingerprint;
}

/// The hash under which a session token is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Makes and hashes session tokens.
pub trait TokenSource: Send + Sync + 'static {
    /// A new token (32 random bytes, printable) and its hash.
    fn issue(&self) -> (String, TokenHash);

    /// The hash of a token that a caller presents; none where it has not the form of one.
    fn hash(&self, token: &str) -> Option<TokenHash>;
}

/// Hashes and checks passwords; slow on purpose and bounded in how many run at once.
#[async_trait]
pub trait PasswordHasher: Send + Sync + 'static {
    /// The hash to store.
    async fn hash(&self, password: String) -> Result<String, StorageError>;

    /// Whether `password` belongs to `hash`. Without a hash (no such user) it takes as long and says no.
    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, StorageError>;
}
