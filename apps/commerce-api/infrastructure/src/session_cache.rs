//! Sessions read in the last few seconds, in process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{NewSession, SessionOwner, SessionStore, StorageError, TokenHash};
use commerce_api_domain::Timestamp;
use moka::sync::Cache;

/// A bounded cache before a session store. A log-out on this node is seen at once; one on another node, or by the
/// operator's command, after at most [`CachedSessions::STALE_MAX`].
pub struct CachedSessions {
    store: Arc<dyn SessionStore>,
    cache: Cache<TokenHash, SessionOwner>,
}

impl CachedSessions {
    /// How long an ended session may still be served by another node.
    pub const STALE_MAX: Duration = Duration::from_secs(5);
    const SESSIONS_MAX: u64 = 100_000;

    /// Before `store`.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        let cache = Cache::builder().max_capacity(Self::SESSIONS_MAX).time_to_live(Self::STALE_MAX).build();
        Self { store, cache }
    }
}

#[async_trait]
impl SessionStore for CachedSessions {
    async fn open(&self, session: NewSession) -> Result<(), StorageError> {
        self.store.open(session).await
    }

    async fn find(&self, hash: TokenHash, now: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
        if let Some(owner) = self.cache.get(&hash) {
            return Ok((now < owner.expires_at).then_some(owner));
        }
        let found = self.store.find(hash, now).await?;
        if let Some(owner) = found {
            self.cache.insert(hash, owner);
        }
        Ok(found)
    }

    async fn touch(
        &self,
        hash: TokenHash,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StorageError> {
        self.store.touch(hash, now, expires_at).await?;
        self.cache.invalidate(&hash);
        Ok(())
    }

    async fn end(&self, hash: TokenHash) -> Result<(), StorageError> {
        // Before and after: a reader in between may have put it back.
        self.cache.invalidate(&hash);
        let result = self.store.end(hash).await;
        self.cache.invalidate(&hash);
        result
    }
}
