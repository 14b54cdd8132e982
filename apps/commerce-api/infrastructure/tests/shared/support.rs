use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use commerce_api_domain::Timestamp;
use commerce_redis::{Redis, RedisOptions};
use commerce_servers::{Server, ServerKind, Tuning, shared};

pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A server of one's own, to kill and to stall.
pub async fn own_server() -> Server {
    Server::own(ServerKind::Redis, Tuning::Fast).await.unwrap()
}

/// The shared server under keys that nobody else has.
pub fn redis() -> Redis {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Redis::open(&RedisOptions { prefix, ..RedisOptions::new(shared(ServerKind::Redis).url()) }).unwrap()
}

/// A connection of a node to `server`, with short waits.
pub fn node_of(server: &Server) -> Redis {
    let (timeout, open_wait) = (Duration::from_millis(200), Duration::from_millis(50));
    Redis::open(&RedisOptions { timeout, open_wait, ..RedisOptions::new(server.url()) }).unwrap()
}

/// Waits for something that another task brings about.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let waiting = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
