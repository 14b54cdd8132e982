//! The shared level of the cache of products. See ADR 0013 for its rules.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commerce_api_application::ports::{IdSource, ProductView};
use commerce_api_domain::ProductId;
use commerce_redis::{Redis, RedisError, Script};

use super::stored_product::StoredProduct;

/// How long a product and a tombstone are kept.
const KEPT: Duration = Duration::from_mins(5);
/// How long whoever found nothing may take to bring something.
const LOAD_MAX: Duration = Duration::from_secs(10);
/// How often changes that could not be told are told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// Products of one call at most.
const CALL_MAX: usize = 200;

/// What is there of each product: its text; or that there is nothing, and a ticket for bringing it. Whoever finds
/// nothing at all leaves a ticket; a tombstone needs none.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local found = {}
for i, key in ipairs(KEYS) do
  local there = redis.call('HMGET', key, 'data', 'ticket', 'version')
  if there[1] then
    found[i] = {1, there[1]}
  elseif there[2] then
    found[i] = {0, there[2]}
  elseif there[3] then
    found[i] = {0, ''}
  else
    redis.call('HSET', key, 'ticket', ARGV[1])
    redis.call('PEXPIRE', key, ARGV[2])
    found[i] = {0, ARGV[1]}
  end
end
return found
",
    )
});

/// Brings products. Refused where there is nothing any more (so nobody knows what was told meanwhile), another ticket,
/// or a higher version.
static BRING: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local taken = 0
for i, key in ipairs(KEYS) do
  local version, ticket, data = ARGV[i * 3 - 1], ARGV[i * 3], ARGV[i * 3 + 1]
  local there = redis.call('HMGET', key, 'version', 'ticket')
  local fits
  if there[1] then
    fits = tonumber(there[1]) <= tonumber(version)
  else
    fits = there[2] == ticket
  end
  if fits then
    redis.call('DEL', key)
    redis.call('HSET', key, 'version', version, 'data', data)
    redis.call('PEXPIRE', key, ARGV[1])
    taken = taken + 1
  end
end
return taken
",
    )
});

/// Leaves a tombstone of a version, unless something that is as new is there.
static BURY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local there = redis.call('HGET', KEYS[1], 'version')
if there and tonumber(there) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
",
    )
});

/// What a look found of a product.
pub enum Found {
    /// It.
    Product(Box<ProductView>),
    /// Nothing; whoever brings it shows this ticket.
    Nothing(String),
}

/// Products in Redis.
pub struct Shelf {
    redis: Redis,
    ids: Arc<dyn IdSource>,
    untold: Mutex<Untold>,
}

/// Changes that Redis has not answered for yet.
#[derive(Default)]
struct Untold {
    /// Their versions: what is older is not taken from Redis.
    versions: HashMap<ProductId, i64>,
    /// A task tells them again.
    telling: bool,
}

impl Shelf {
    /// In `redis`; `ids` make tickets.
    pub fn new(redis: Redis, ids: Arc<dyn IdSource>) -> Self {
        Self { redis, ids, untold: Mutex::default() }
    }

    /// What is there of each of these products; none where Redis does not answer.
    pub async fn look(&self, products: &[ProductId]) -> Option<Vec<Found>> {
        let mut found = Vec::with_capacity(products.len());
        for part in products.chunks(CALL_MAX) {
            let mut script = LOOK.prepare_invoke();
            for product in part {
                script.key(self.key(*product));
            }
            script.arg(self.ids.uuid().simple().to_string()).arg(millis(LOAD_MAX));
            let looked: Result<Vec<(u8, String)>, _> = self.redis.script("look_at_products", &script).await;
            let Ok(looked) = looked else {
                count("unavailable", products.len());
                return None;
            };
            found.extend(part.iter().zip(looked).map(|(product, there)| self.read(*product, there)));
        }
        let hits = found.iter().filter(|found| matches!(found, Found::Product(_))).count();
        count("hit", hits);
        count("miss", found.len() - hits);
        Some(found)
    }

    /// A product that cannot be read, or is older than a change of this node's, is not there: its version decides
    /// whether a new one may take its place.
    fn read(&self, product: ProductId, (kept, text): (u8, String)) -> Found {
        if kept == 0 {
            return Found::Nothing(text);
        }
        let view = StoredProduct::decode(product, &text);
        let told = self.lock().versions.get(&product).copied().unwrap_or(i64::MIN);
        match view.filter(|view| view.version >= told) {
            Some(view) => Found::Product(Box::new(view)),
            None => Found::Nothing(String::new()),
        }
    }

    /// Brings what was read of the database after the look that gave these tickets. A failure costs the next reader a
    /// read.
    pub async fn bring(&self, brought: &[(&ProductView, &str)]) {
        for part in brought.chunks(CALL_MAX) {
            let mut script = BRING.prepare_invoke();
            script.arg(millis(KEPT));
            for (view, ticket) in part {
                let Some(data) = StoredProduct::encode(view) else { continue };
                script.key(self.key(view.id)).arg(view.version).arg(*ticket).arg(data);
            }
            let _: Result<u64, RedisError> = self.redis.script("bring_products", &script).await;
        }
    }

    /// From now on nothing below `version` is given out or taken. Where Redis does not answer, it is told again until it
    /// does, and this node takes nothing older from it meanwhile.
    pub async fn bury(self: &Arc<Self>, product: ProductId, version: i64) {
        {
            let mut untold = self.lock();
            let told = untold.versions.entry(product).or_insert(version);
            *told = version.max(*told);
        }
        if !self.tell(product, version).await && !std::mem::replace(&mut self.lock().telling, true) {
            tokio::spawn(self.clone().tell_untold());
        }
    }

    async fn tell(&self, product: ProductId, version: i64) -> bool {
        let key = self.key(product);
        let mut script = BURY.key(key);
        script.arg(millis(KEPT)).arg(version);
        let told: Result<u64, RedisError> = self.redis.script("bury_product", &script).await;
        if told.is_ok() {
            let mut untold = self.lock();
            if untold.versions.get(&product) == Some(&version) {
                untold.versions.remove(&product);
            }
        }
        told.is_ok()
    }

    async fn tell_untold(self: Arc<Self>) {
        loop {
            let untold: Vec<_> = {
                let mut untold = self.lock();
                untold.telling = !untold.versions.is_empty();
                untold.versions.iter().map(|(product, version)| (*product, *version)).collect()
            };
            if untold.is_empty() {
                return;
            }
            for (product, version) in untold {
                if !self.tell(product, version).await {
                    break;
                }
            }
            tokio::time::sleep(TELL_AGAIN).await;
        }
    }

    fn key(&self, product: ProductId) -> String {
        self.redis.key("product-1", product)
    }

    fn lock(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(result: &'static str, reads: usize) {
    let reads = u64::try_from(reads).unwrap_or(u64::MAX);
    metrics::counter!("commerce_cache_requests_total", "cache" => "product_facts_shared", "result" => result)
        .increment(reads);
}
