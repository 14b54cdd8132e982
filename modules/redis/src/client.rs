use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commerce_resilience::{
    Backoff, BreakerOptions, CircuitBreaker, Environment, TimeLimiter, TimeLimiterOptions, WindowKind,
};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionInfo, FromRedisValue, Pipeline, RedisResult, ScriptInvocation};

use crate::error::{Answers, RedisError, RedisOptionsError};
use crate::link::Link;
use crate::options::RedisOptions;

/// A Redis. Clones are the same one.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    prefix: String,
    primary: Side,
    replica: Option<Side>,
}

/// A server with what stands before it.
struct Side {
    link: Link,
    breaker: CircuitBreaker,
    limiter: TimeLimiter,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects when it is called for the first time; it need not be there yet.
    pub fn open(options: &RedisOptions) -> Result<Self, RedisOptionsError> {
        let primary = Side::new("redis", "url", options.primary()?, options)?;
        let replica = options.replica()?;
        let replica = replica.map(|info| Side::new("redis-replica", "replica_url", info, options));
        let inner = Inner { prefix: options.prefix.clone(), primary, replica: replica.transpose()? };
        Ok(Self(Arc::new(inner)))
    }

    /// The key of `id` among the keys of a kind.
    pub fn key(&self, kind: &str, id: impl fmt::Display) -> String {
        format!("{}:{kind}:{id}", self.0.prefix)
    }

    /// The breakers of the server and of its replica, for the operator.
    pub fn breakers(&self) -> Vec<CircuitBreaker> {
        let sides = std::iter::once(&self.0.primary).chain(&self.0.replica);
        sides.map(|side| side.breaker.clone()).collect()
    }

    /// Runs a command; `call` names it in metrics and errors.
    pub async fn run<T: FromRedisValue>(&self, call: &'static str, cmd: &Cmd) -> Result<T, RedisError> {
        self.0
            .primary
            .call(call, |mut connection| async move { cmd.query_async(&mut connection).await })
            .await
    }

    /// Runs commands in one go.
    pub async fn run_all<T: FromRedisValue>(
        &self,
        call: &'static str,
        commands: &Pipeline,
    ) -> Result<T, RedisError> {
        let run = |mut connection| async move { commands.query_async(&mut connection).await };
        self.0.primary.call(call, run).await
    }

    /// Runs a script, atomically.
    pub async fn script<T: FromRedisValue>(
        &self,
        call: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let run = |mut connection| async move { script.invoke_async(&mut connection).await };
        self.0.primary.call(call, run).await
    }

    /// Runs a script that only reads, and whose answer may be a moment old: on the replica, where there is one that
    /// answers.
    pub async fn read_script<T: FromRedisValue>(
        &self,
        call: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        if let Some(replica) = &self.0.replica {
            let run = |mut connection| async move { script.invoke_async(&mut connection).await };
            if let Ok(answer) = replica.call(call, run).await {
                return Ok(answer);
            }
        }
        self.script(call, script).await
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.run("ping", &redis::cmd("PING")).await
    }
}

impl Side {
    fn new(
        name: &str,
        option: &'static str,
        info: ConnectionInfo,
        options: &RedisOptions,
    ) -> Result<Self, RedisOptionsError> {
        let environment = Environment::default;
        let limit = TimeLimiterOptions { limit: options.timeout };
        Ok(Self {
            limiter: TimeLimiter::new(name, limit, environment())?,
            breaker: CircuitBreaker::new(name, breaker_options(options), environment(), Vec::new())?,
            link: Link::to(info, options.timeout).map_err(|_| RedisOptionsError::Url { option })?,
        })
    }

    async fn call<T, F>(
        &self,
        call: &'static str,
        run: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RedisError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        // Numbers begin with 1.
        let number = AtomicU64::new(0);
        let attempt = || async {
            let connecting = self.link.connection().await;
            let (made, connection) = connecting.map_err(|error| RedisError::of_connecting(&error))?;
            number.store(made, Ordering::Relaxed);
            run(connection).await.map_err(|error| RedisError::of_call(call, &error))
        };
        let limited =
            || self.limiter.run(async { attempt().await.map_err(commerce_resilience::CallError::Inner) });
        let end = self.breaker.run(&Answers, limited).await.map_err(RedisError::of_end);
        if let Err(RedisError::TimedOut(_) | RedisError::Connection(_) | RedisError::NotNow(_)) = &end {
            self.link.give_up(number.load(Ordering::Relaxed));
        }
        let result = end.as_ref().map_or_else(RedisError::label, |_| "ok");
        metrics::counter!("commerce_redis_calls_total", "call" => call, "result" => result).increment(1);
        end
    }
}

/// A few calls that fail open it; one that succeeds after the wait closes it. What is slow fails by its limit of time.
fn breaker_options(options: &RedisOptions) -> BreakerOptions {
    const CALLS: u32 = 10;
    BreakerOptions {
        failure_rate: 50,
        slow_call_rate: 100,
        slow_call: options.timeout.saturating_mul(2),
        window: WindowKind::Count(CALLS),
        calls_min: CALLS / 2,
        open_wait: Backoff::constant(options.open_wait),
        half_open_permits: 1,
        half_open_wait_max: Some(options.timeout.saturating_mul(4).max(Duration::from_secs(1))),
        ..BreakerOptions::default()
    }
}

/// Describes what calls are counted as; called once when metrics are set up.
pub fn describe_metrics() {
    metrics::describe_counter!(
        "commerce_redis_calls_total",
        "Calls to Redis, by call and result: ok, not_asked (breaker), timeout, connection, not_now or refused"
    );
}
