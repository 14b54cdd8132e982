use async_trait::async_trait;
use commerce_http::limit::{Allowance, SharedBuckets, Taken};
use commerce_redis::{Rate, Redis};

/// Rate limits over all nodes.
pub(super) struct RedisBuckets(pub Redis);

#[async_trait]
impl SharedBuckets for RedisBuckets {
    async fn take(&self, limit: &'static str, key: u128, allowance: Allowance) -> Option<Taken> {
        let key = self.0.key("rate", format_args!("{limit}:{key:032x}"));
        let rate = Rate { interval: allowance.interval(), burst: allowance.burst };
        // The breaker tells that Redis is gone; every request would only repeat it.
        let taken = self.0.take(&key, rate).await.ok()?;
        Some(Taken { remaining: taken.remaining, wait: taken.wait })
    }
}
