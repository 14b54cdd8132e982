//! Buckets that refill, one a key, as many as fit; those that all nodes share, where there are such.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::response::Response;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};
use moka::sync::Cache;
use tokio::time::Instant;

use crate::problem::Problem;

/// What is left, as the draft of the IETF names it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What is allowed, likewise.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Keys that are remembered. Beyond it the least used are forgotten, which only gives them a full bucket again.
const KEYS_MAX: u64 = 100_000;

/// How much is allowed: `burst` at once, refilled at `per_minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// What is refilled in one minute; 0 counts as 1.
    pub per_minute: u32,
    /// What a full bucket holds; 0 counts as 1.
    pub burst: u32,
}

impl Allowance {
    /// The same by the second.
    pub const fn per_second(per_second: u32, burst: u32) -> Self {
        Self { per_minute: per_second.saturating_mul(60), burst }
    }

    /// Time until one more is allowed.
    pub fn interval(self) -> Duration {
        Duration::from_mins(1) / self.per_minute.max(1)
    }

    fn burst(self) -> NonZeroU32 {
        NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN)
    }

    /// Time until an empty bucket is full.
    fn refill(self) -> Duration {
        self.interval().saturating_mul(self.burst().get())
    }

    fn quota(self) -> Quota {
        let unbounded = Quota::per_second(NonZeroU32::MAX);
        Quota::with_period(self.interval()).unwrap_or(unbounded).allow_burst(self.burst())
    }
}

/// What came of taking one out of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What is left.
    pub remaining: u32,
    /// How long until there is one, where there was none; nothing was taken then.
    pub wait: Option<Duration>,
}

/// Buckets that all nodes share.
#[async_trait]
pub trait SharedBuckets: Send + Sync + 'static {
    /// Takes one out of the bucket of `key` among those of a limit; none where the buckets cannot be reached: the node
    /// counts for itself then.
    async fn take(&self, limit: &'static str, key: u128, allowance: Allowance) -> Option<Taken>;
}

/// Time since the buckets were made; it never goes back.
#[derive(Clone)]
struct Uptime(Instant);

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The states of the keys in use.
struct Bounded(Cache<u128, Arc<InMemoryState>>);

impl StateStore for Bounded {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.get_with(*key, Arc::default).measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

/// One bucket a key, in this process.
pub struct Buckets {
    name: &'static str,
    allowance: Allowance,
    limiter: RateLimiter<u128, Bounded, Uptime, StateInformationMiddleware>,
}

impl Buckets {
    /// Full buckets; `name` is what callers see.
    pub fn new(name: &'static str, allowance: Allowance) -> Self {
        // Full again, a bucket is as good as forgotten.
        let idle = allowance.refill() + Duration::from_secs(1);
        let states = Cache::builder().max_capacity(KEYS_MAX).time_to_idle(idle).build();
        let limiter = RateLimiter::new(allowance.quota(), Bounded(states), Uptime(Instant::now()));
        Self { name, allowance, limiter }
    }

    /// Takes one out of the bucket of `key`.
    pub fn take(&self, key: u128) -> Taken {
        match self.limiter.check_key(&key) {
            Ok(state) => Taken { remaining: state.remaining_burst_capacity(), wait: None },
            Err(refusal) => {
                let wait = refusal.wait_time_from(self.limiter.clock().now());
                Taken { remaining: 0, wait: Some(wait) }
            }
        }
    }

    /// The same, out of the bucket that all nodes share where there is one that can be reached.
    pub(super) async fn take_shared(&self, shared: Option<&dyn SharedBuckets>, key: u128) -> Verdict {
        let Self { name, allowance, .. } = *self;
        let taken = match shared {
            Some(shared) => shared.take(name, key, allowance).await,
            None => None,
        };
        let Taken { remaining, wait } = taken.unwrap_or_else(|| self.take(key));
        Verdict { name, allowance, remaining, wait }
    }
}

/// What a bucket said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    name: &'static str,
    allowance: Allowance,
    remaining: u32,
    wait: Option<Duration>,
}

impl Verdict {
    /// The answer to a request that was too much; none where it is allowed.
    pub fn refusal(&self) -> Option<Problem> {
        let wait = self.wait?;
        let problem = Problem::rate_limited(self.name, seconds(wait).max(1));
        let [limit, policy] = self.headers();
        Some(problem.header(RATE_LIMIT, limit).header(RATE_LIMIT_POLICY, policy))
    }

    /// Tells the caller of an allowed request what is left.
    pub fn tell(&self, response: &mut Response) {
        let [limit, policy] = self.headers();
        response.headers_mut().append(RATE_LIMIT, limit);
        response.headers_mut().append(RATE_LIMIT_POLICY, policy);
    }

    /// `"name";r=left;t=seconds until full` and `"name";q=burst;w=seconds from empty to full`.
    fn headers(&self) -> [HeaderValue; 2] {
        let Self { name, allowance, remaining, .. } = self;
        let burst = allowance.burst().get();
        let until_full = allowance.interval().saturating_mul(burst.saturating_sub(*remaining));
        let window = seconds(allowance.refill());
        let texts = [
            format!("\"{name}\";r={remaining};t={}", seconds(until_full)),
            format!("\"{name}\";q={burst};w={window}"),
        ];
        // Names are ours, and plain.
        texts.map(|text| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")))
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Allowance = Allowance { per_minute: 6, burst: 2 };

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_empty_after_its_burst_and_refills_evenly() {
        let buckets = Buckets::new("user-write", TWO);
        assert_eq!((buckets.take(1).remaining, buckets.take(1).remaining), (1, 0));
        let wait = buckets.take(1).wait.unwrap();
        assert_eq!(wait, Duration::from_secs(10));
        // A refusal costs nothing.
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(buckets.take(1).wait.is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(buckets.take(1).wait, None);
        assert!(buckets.take(1).wait.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_own() {
        let buckets = Buckets::new("user-write", Allowance { per_minute: 1, burst: 1 });
        assert_eq!(buckets.take(1).wait, None);
        assert_eq!(buckets.take(2).wait, None);
        assert!(buckets.take(1).wait.is_some() && buckets.take(2).wait.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_are_told_what_is_left() {
        let buckets = Buckets::new("user-write", TWO);
        let mut response = Response::default();
        buckets.take_shared(None, 1).await.tell(&mut response);
        assert_eq!(response.headers()[RATE_LIMIT], "\"user-write\";r=1;t=10");
        assert_eq!(response.headers()[RATE_LIMIT_POLICY], "\"user-write\";q=2;w=20");
        assert!(buckets.take_shared(None, 1).await.refusal().is_none());
        assert!(buckets.take_shared(None, 1).await.refusal().is_some());
    }

    /// Buckets elsewhere: always full, or gone.
    struct Elsewhere(bool);

    #[async_trait]
    impl SharedBuckets for Elsewhere {
        async fn take(&self, limit: &'static str, _: u128, allowance: Allowance) -> Option<Taken> {
            assert_eq!((limit, allowance), ("user-write", TWO));
            self.0.then_some(Taken { remaining: 1, wait: None })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shared_buckets_count_and_where_they_are_gone_the_nodes_own_do() {
        let buckets = Buckets::new("user-write", TWO);
        for _ in 0..5 {
            assert!(buckets.take_shared(Some(&Elsewhere(true)), 1).await.refusal().is_none());
        }
        let refused = async || buckets.take_shared(Some(&Elsewhere(false)), 1).await.refusal().is_some();
        assert_eq!([refused().await, refused().await, refused().await], [false, false, true]);
        assert!(buckets.take_shared(Some(&Elsewhere(true)), 1).await.refusal().is_none(), "back");
    }

    #[test]
    fn as_many_keys_as_come_take_bounded_memory() {
        let buckets = Buckets::new("address-read", Allowance { per_minute: 1, burst: 1 });
        let keys = u128::from(KEYS_MAX) + 20_000;
        assert_eq!((0..keys).filter(|key| buckets.take(*key).wait.is_some()).count(), 0);
        let states = &buckets.limiter.into_state_store().0;
        states.run_pending_tasks();
        assert!(states.entry_count() <= KEYS_MAX, "{}", states.entry_count());
    }
}
