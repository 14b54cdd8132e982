use std::sync::Arc;

use commerce_api_domain::UserId;

use crate::desk::{Encode, KeyedRequest};
use crate::ports::{Fingerprinter, IdempotencyScope};

/// Ties a request to its `Idempotency-Key`.
#[derive(Clone)]
pub struct Idempotency {
    fingerprinter: Arc<dyn Fingerprinter>,
}

impl Idempotency {
    /// With the installation's fingerprinter.
    pub fn new(fingerprinter: Arc<dyn Fingerprinter>) -> Self {
        Self { fingerprinter }
    }

    /// A keyed request. `route` is the stable name of the route, `canonical` the request in a form where equal
    /// meaning is equal bytes: path parameters and the body as parsed.
    pub fn request(
        &self,
        user: UserId,
        route: &'static str,
        key: &str,
        canonical: &[u8],
        encode: Encode,
    ) -> KeyedRequest {
        KeyedRequest {
            scope: IdempotencyScope { user, route, key: key.into() },
            fingerprint: self.fingerprinter.fingerprint(canonical),
            encode,
        }
    }
}
