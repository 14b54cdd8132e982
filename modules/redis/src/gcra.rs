//! The generic cell rate algorithm, by a script: one bucket a key, for all nodes.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::{Redis, RedisError};

/// Of a bucket only the time is kept at which it will be full again. The server's clock counts, so that all nodes go by
/// one; a clock that was set back holds nobody for longer than an empty bucket does.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local interval, whole = tonumber(ARGV[1]), ARGV[1] * ARGV[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local next_at = math.min(full_at, now + whole) + interval
local missing = next_at - now
if missing > whole then
  return {-1, missing - whole}
end
redis.call('SET', KEYS[1], string.format('%.0f', next_at), 'PX', math.ceil(missing / 1000) + 1000)
return {math.floor((whole - missing) / interval), 0}
",
    )
});

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time until one more is allowed, in whole microseconds; at least one.
    pub interval: Duration,
    /// What a full bucket holds, at least one.
    pub burst: u32,
}

/// What came of taking one out of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What is left.
    pub remaining: u32,
    /// How long to wait where it was empty; nothing was taken then.
    pub wait: Option<Duration>,
}

impl Redis {
    /// Takes one out of the bucket `key`, of all nodes together.
    pub async fn take(&self, key: &str, rate: Rate) -> Result<Taken, RedisError> {
        self.take_at(key, rate, None).await
    }

    /// The same at a time of the caller's, in microseconds: for tests of what follows of time.
    #[doc(hidden)]
    pub async fn take_at(&self, key: &str, rate: Rate, now_us: Option<u64>) -> Result<Taken, RedisError> {
        let interval_us = u64::try_from(rate.interval.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut script = TAKE.key(key);
        script
            .arg(interval_us)
            .arg(rate.burst.max(1))
            .arg(now_us.map_or_else(String::new, |at| at.to_string()));
        let (left, wait_us): (i64, u64) = self.script("take_rate", &script).await?;
        let wait = (left < 0).then(|| Duration::from_micros(wait_us));
        Ok(Taken { remaining: u32::try_from(left).unwrap_or(0), wait })
    }
}
