//! A real Redis that goes away, stalls, forgets and comes back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use commerce_redis::{Rate, Redis, RedisError, RedisOptions, Script, cmd};
use commerce_resilience::BreakerState;
use commerce_servers::{Server, ServerKind, Tuning, shared};

/// Short, so that a test of what is down takes no longer than it must.
fn options(server: &Server) -> RedisOptions {
    let (timeout, open_wait) = (Duration::from_millis(200), Duration::from_millis(50));
    RedisOptions { timeout, open_wait, ..RedisOptions::new(server.url()) }
}

async fn own() -> Server {
    Server::own(ServerKind::Redis, Tuning::Fast).await.unwrap()
}

async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let waiting = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_used_once_it_is() {
    let mut server = own().await;
    server.kill().await.unwrap();
    let redis = Redis::open(&options(&server)).unwrap();
    assert!(matches!(redis.ping().await, Err(RedisError::Connection(_))));
    server.restart().await.unwrap();
    until("it answers", async || redis.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_dead_server_is_not_asked_and_one_that_is_back_is_used_again() {
    let mut server = own().await;
    let redis =
        Redis::open(&RedisOptions { open_wait: Duration::from_hours(1), ..options(&server) }).unwrap();
    redis.ping().await.unwrap();
    let again = Redis::open(&options(&server)).unwrap();
    again.ping().await.unwrap();
    server.kill().await.unwrap();
    let [breaker] = &redis.breakers()[..] else { panic!("one breaker") };
    until("refused", async || matches!(redis.ping().await, Err(RedisError::NotAsked(_)))).await;
    assert_eq!(breaker.state(), BreakerState::Open);
    let before = breaker.snapshot().not_permitted_calls;
    for _ in 0..1_000 {
        assert!(matches!(redis.ping().await, Err(RedisError::NotAsked(_))));
    }
    assert_eq!(breaker.snapshot().not_permitted_calls, before + 1_000, "nothing was sent");

    until("refused", async || matches!(again.ping().await, Err(RedisError::NotAsked(_)))).await;
    server.restart().await.unwrap();
    until("asked again", async || again.ping().await.is_ok()).await;
    until("closed", async || {
        again.ping().await.is_ok() && again.breakers()[0].state() == BreakerState::Closed
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stalls_costs_the_limit_and_then_nothing() {
    let mut server = own().await;
    let redis = Redis::open(&options(&server)).unwrap();
    redis.ping().await.unwrap();
    server.pause().unwrap();
    assert!(matches!(redis.ping().await, Err(RedisError::TimedOut(_))));
    until("refused", async || matches!(redis.ping().await, Err(RedisError::NotAsked(_)))).await;
    server.resume().unwrap();
    until("asked again", async || redis.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let server = own().await;
    let redis = Redis::open(&options(&server)).unwrap();
    let script = Script::new("return ARGV[1]");
    for _ in 0..2 {
        let answer: i64 = redis.script("echo", script.arg(7).arg(8)).await.unwrap();
        assert_eq!(answer, 7);
        redis.run::<()>("forget", cmd("SCRIPT").arg("FLUSH")).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_refused_opens_no_breaker() {
    let redis = Redis::open(&options(shared(ServerKind::Redis))).unwrap();
    for _ in 0..50 {
        let refused = redis.run::<()>("nonsense", &cmd("NONSENSE")).await;
        assert!(matches!(refused, Err(RedisError::Refused { call: "nonsense", .. })), "{refused:?}");
    }
    assert_eq!(redis.breakers()[0].state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_password_is_used_and_a_wrong_one_is_told_without_it() {
    let server = own().await;
    let open = Redis::open(&options(&server)).unwrap();
    open.run::<()>("set_password", cmd("CONFIG").arg("SET").arg("requirepass").arg("let-me-in"))
        .await
        .unwrap();
    let with = |password: &str| {
        Redis::open(&RedisOptions { password: Some(password.to_owned()), ..options(&server) }).unwrap()
    };
    with("let-me-in").ping().await.unwrap();
    let refused = with("guessed").ping().await.unwrap_err();
    let told = format!("{refused} {refused:?}");
    assert!(told.contains("user and password") && !told.contains("guessed"), "{told}");
}

#[tokio::test]
async fn a_replica_answers_reads_and_its_server_where_it_is_gone() {
    let (primary, mut replica) = (own().await, own().await);
    let replica_url = Some(replica.url());
    let redis = Redis::open(&RedisOptions { replica_url, ..options(&primary) }).unwrap();
    let alone = Redis::open(&options(&replica)).unwrap();
    let set = |value: &'static str| cmd("SET").arg("here").arg(value).clone();
    alone.run::<()>("set", &set("replica")).await.unwrap();
    redis.run::<()>("set", &set("primary")).await.unwrap();
    let read = Script::new("return redis.call('GET', KEYS[1])");
    let read = async || redis.read_script::<String>("get", &read.key("here")).await.unwrap();
    assert_eq!(read().await, "replica");
    replica.kill().await.unwrap();
    for _ in 0..20 {
        assert_eq!(read().await, "primary");
    }
    assert_eq!(redis.breakers().len(), 2);
}

#[tokio::test]
async fn a_bucket_is_one_for_all_nodes() {
    let server = shared(ServerKind::Redis);
    let nodes = [(); 2].map(|()| Redis::open(&options(server)).unwrap());
    let key = format!("a_bucket_is_one_for_all_nodes:{}", std::process::id());
    let rate = Rate { interval: Duration::from_secs(10), burst: 3 };
    let at = |node: usize, us: u64| nodes[node].take_at(&key, rate, Some(1_800_000_000_000_000 + us));
    for (node, left) in [(0, 2), (1, 1), (0, 0)] {
        let taken = at(node, 0).await.unwrap();
        assert_eq!((taken.remaining, taken.wait), (left, None));
    }
    assert_eq!(at(1, 0).await.unwrap().wait, Some(Duration::from_secs(10)));
    assert_eq!(at(0, 4_000_000).await.unwrap().wait, Some(Duration::from_secs(6)));
    assert_eq!(at(1, 9_999_999).await.unwrap().wait, Some(Duration::from_micros(1)));
    assert_eq!(at(1, 10_000_000).await.unwrap().wait, None);
    // A clock that was set back: nobody waits longer than an empty bucket takes to refill.
    let back = nodes[0].take_at(&key, rate, Some(1_700_000_000_000_000)).await.unwrap();
    assert_eq!(back.wait, Some(Duration::from_secs(10)));
    // By the server's own clock.
    let own = format!("{key}:own");
    let taken = nodes[0].take(&own, Rate { interval: Duration::from_hours(1), burst: 1 }).await.unwrap();
    assert_eq!((taken.remaining, taken.wait), (0, None));
    let wait = nodes[1].take(&own, Rate { interval: Duration::from_hours(1), burst: 1 }).await.unwrap().wait;
    assert!(wait.is_some_and(|wait| wait <= Duration::from_hours(1) && !wait.is_zero()), "{wait:?}");
}
