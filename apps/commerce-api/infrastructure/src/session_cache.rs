//! Sessions read in the last few seconds, in process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_api_application::ports::{
    NewSession, SessionOwner, SessionStore, SessionTouch, StorageError, TokenHash,
};
use commerce_api_domain::Timestamp;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// A bounded cache before a session store. A log-out on this node is seen at once; one on another node, or by the
/// operator's command, after at most [`CachedSessions::STALE_MAX`].
pub struct CachedSessions {
    store: Arc<dyn SessionStore>,
    cache: Cache<TokenHash, SessionOwner>,
    /// Sessions that ended here. A `find` that read the store before that must not bring one back.
    ended: Cache<TokenHash, ()>,
}

impl CachedSessions {
    /// How long an ended session may still be served by another node.
    pub const STALE_MAX: Duration = Duration::from_secs(5);
    /// Longer than any `find` takes that read the store before the session ended.
    const ENDED_KEPT: Duration = Self::STALE_MAX.saturating_mul(2);
    const SESSIONS_MAX: u64 = 100_000;

    /// Before `store`.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self::keeping(store, Self::STALE_MAX)
    }

    fn keeping(store: Arc<dyn SessionStore>, stale_max: Duration) -> Self {
        let cache = Cache::builder().max_capacity(Self::SESSIONS_MAX).time_to_live(stale_max).build();
        // By age: the default policy may turn a newcomer away when it is full.
        let ended = Cache::builder()
            .max_capacity(Self::SESSIONS_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Self::ENDED_KEPT)
            .build();
        Self { store, cache, ended }
    }
}

#[async_trait]
impl SessionStore for CachedSessions {
    async fn open(&self, session: NewSession) -> Result<(), StorageError> {
        self.store.open(session).await
    }

    async fn find(&self, hash: TokenHash, now: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
        if self.ended.contains_key(&hash) {
            return Ok(None);
        }
        if let Some(owner) = self.cache.get(&hash) {
            return Ok((now < owner.expires_at).then_some(owner));
        }
        let Some(owner) = self.store.find(hash, now).await? else { return Ok(None) };
        self.cache.insert(hash, owner);
        // After the insert: whoever ends the session from here on takes it out again.
        if self.ended.contains_key(&hash) {
            self.cache.invalidate(&hash);
            return Ok(None);
        }
        Ok(Some(owner))
    }

    async fn touch(&self, touches: &[SessionTouch]) -> Result<(), StorageError> {
        self.store.touch(touches).await?;
        for touch in touches {
            self.cache.invalidate(&touch.hash);
        }
        Ok(())
    }

    async fn end(&self, hash: TokenHash) -> Result<(), StorageError> {
        self.ended.insert(hash, ());
        self.cache.invalidate(&hash);
        let result = self.store.end(hash).await;
        // A reader in between may have put it back.
        self.cache.invalidate(&hash);
        if result.is_err() {
            // It may live on, and then its owner must be able to ask again.
            self.ended.invalidate(&hash);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use commerce_api_domain::{Role, UserId};
    use futures::poll;
    use tokio::sync::Semaphore;

    use super::*;

    const HASH: TokenHash = TokenHash([1; 32]);
    const NOW: Timestamp = Timestamp::from_micros(0);

    /// One session that never ends by itself. A `find` reads it, then waits for a permit.
    struct Held {
        answer: Semaphore,
        touched: Semaphore,
        refuse: bool,
    }

    #[async_trait]
    impl SessionStore for Held {
        async fn open(&self, _: NewSession) -> Result<(), StorageError> {
            Ok(())
        }

        async fn find(&self, _: TokenHash, _: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
            let expires_at = Timestamp::from_micros(i64::MAX);
            let owner = SessionOwner { user: UserId(1), role: Role::Customer, expires_at, touched_at: NOW };
            self.answer.acquire().await.unwrap().forget();
            Ok(Some(owner))
        }

        async fn touch(&self, touches: &[SessionTouch]) -> Result<(), StorageError> {
            self.touched.add_permits(touches.len());
            Ok(())
        }

        async fn end(&self, _: TokenHash) -> Result<(), StorageError> {
            if self.refuse { Err(StorageError::Unavailable("away".into())) } else { Ok(()) }
        }
    }

    fn sessions(answers: usize, refuse: bool) -> (Arc<Held>, CachedSessions) {
        let (answer, touched) = (Semaphore::new(answers), Semaphore::new(0));
        let store = Arc::new(Held { answer, touched, refuse });
        (store.clone(), CachedSessions::new(store))
    }

    #[tokio::test]
    async fn what_was_read_before_the_end_is_not_served_after_it() {
        let (store, cached) = sessions(0, false);
        let mut find = Box::pin(cached.find(HASH, NOW));
        assert!(poll!(&mut find).is_pending());
        cached.end(HASH).await.unwrap();
        store.answer.add_permits(1);
        assert_eq!(find.await.unwrap(), None);
        store.answer.add_permits(1);
        assert_eq!(cached.find(HASH, NOW).await.unwrap(), None);
        assert_eq!(store.answer.available_permits(), 1, "the store is not asked for what ended");
        assert!(!cached.cache.contains_key(&HASH));
    }

    /// Sessions that are there until they are ended.
    #[derive(Default)]
    struct Shared(std::sync::atomic::AtomicBool);

    #[async_trait]
    impl SessionStore for Shared {
        async fn open(&self, _: NewSession) -> Result<(), StorageError> {
            Ok(())
        }

        async fn find(&self, _: TokenHash, _: Timestamp) -> Result<Option<SessionOwner>, StorageError> {
            let expires_at = Timestamp::from_micros(i64::MAX);
            let owner = SessionOwner { user: UserId(1), role: Role::Customer, expires_at, touched_at: NOW };
            Ok((!self.0.load(std::sync::atomic::Ordering::SeqCst)).then_some(owner))
        }

        async fn touch(&self, _: &[SessionTouch]) -> Result<(), StorageError> {
            Ok(())
        }

        async fn end(&self, _: TokenHash) -> Result<(), StorageError> {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_was_ended_on_another_node_is_over_here_once_the_cache_has_forgotten_it() {
        assert_eq!(CachedSessions::STALE_MAX, Duration::from_secs(5), "as documented");
        let store = Arc::new(Shared::default());
        let stale_max = Duration::from_millis(100);
        let nodes = [(); 2].map(|()| CachedSessions::keeping(store.clone(), stale_max));
        for node in &nodes {
            assert!(node.find(HASH, NOW).await.unwrap().is_some());
        }
        nodes[0].end(HASH).await.unwrap();
        assert!(nodes[0].find(HASH, NOW).await.unwrap().is_none(), "at once where it was ended");
        // Asked again and again, it is not kept alive by being asked for.
        let give_up_at = tokio::time::Instant::now() + Duration::from_secs(30);
        while nodes[1].find(HASH, NOW).await.unwrap().is_some() {
            assert!(tokio::time::Instant::now() < give_up_at, "still served");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_session_that_could_not_be_ended_is_found_again() {
        let (_, cached) = sessions(2, true);
        assert!(cached.find(HASH, NOW).await.unwrap().is_some());
        assert!(cached.end(HASH).await.is_err());
        assert!(cached.find(HASH, NOW).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn touches_are_passed_on_and_read_anew() {
        let (store, cached) = sessions(2, false);
        for _ in 0..3 {
            assert!(cached.find(HASH, NOW).await.unwrap().is_some());
        }
        assert_eq!(store.answer.available_permits(), 1, "read once, then from the cache");
        let touch = SessionTouch { hash: HASH, at: NOW, expires_at: NOW };
        cached.touch(&[touch]).await.unwrap();
        assert_eq!(store.touched.available_permits(), 1);
        assert!(cached.find(HASH, NOW).await.unwrap().is_some());
        assert_eq!(store.answer.available_permits(), 0, "read again after the touch");
    }
}
