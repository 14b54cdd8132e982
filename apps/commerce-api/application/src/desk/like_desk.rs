use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_domain::{Like, LikeChange, decide_like};

use super::engine::{BatchFailure, BatchHandler, DeskOptions, Engine, SubmitError};
use super::{Signal, outbox_record};
use crate::ports::{Clock, LikeKey, NewLikes, Storage};

/// What became of a like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeReply {
    /// It is as asked for; `changed` says whether it was not before.
    Set {
        /// Whether the row changed.
        changed: bool,
    },
    /// No such product.
    ProductNotFound,
}

/// The engine of the order desk, in batches of its own: it writes like rows and the outbox, never the product row.
#[derive(Clone)]
pub struct LikeDesk {
    engine: Engine<LikeBatch>,
    events: Signal,
}

impl LikeDesk {
    /// Starts the desk on the current runtime.
    pub fn start(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, options: DeskOptions) -> Self {
        let events = Signal::default();
        let batch = LikeBatch { storage, clock, events: events.clone() };
        Self { engine: Engine::start(batch, options), events }
    }

    /// Raised after a commit that wrote events to the outbox.
    pub const fn events_written(&self) -> &Signal {
        &self.events
    }

    /// Sets a like and waits until it is durable.
    pub async fn submit(&self, change: LikeChange) -> Result<LikeReply, SubmitError> {
        self.engine.submit(change).await
    }
}

struct LikeBatch {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    events: Signal,
}

#[async_trait]
impl BatchHandler for LikeBatch {
    type Item = LikeChange;
    type Reply = LikeReply;
    const NAME: &'static str = "likes";

    fn weight(_: &LikeChange) -> usize {
        1
    }

    fn salt(item: &LikeChange) -> u64 {
        item.ids.salt()
    }

    /// A like sets a state, so running it again after a lost commit answer changes nothing. That holds since a batch writes
    /// only what it changes in the end: of a like and its removal between two reads, nothing is told.
    async fn run(&self, items: &[Arc<LikeChange>], _: bool) -> Result<Vec<LikeReply>, BatchFailure> {
        let keys: BTreeSet<LikeKey> = items.iter().map(|change| (change.product, change.user)).collect();
        let mut unit = self.storage.begin("like_desk").await?;
        let mut locked = unit.lock_likes(&keys).await?;
        let now = self.clock.now();
        let mut last: BTreeMap<LikeKey, &LikeChange> = BTreeMap::new();
        let mut replies = Vec::with_capacity(items.len());
        for change in items {
            if !locked.products.contains(&change.product) {
                replies.push(LikeReply::ProductNotFound);
                continue;
            }
            let key = (change.product, change.user);
            let stored = || locked.likes.get(&key).is_some_and(|like| like.active);
            let was_active = last.insert(key, change).map_or_else(stored, |before| before.active);
            replies.push(LikeReply::Set { changed: was_active != change.active });
        }
        let mut changed: BTreeSet<LikeKey> = BTreeSet::new();
        let mut outbox = Vec::new();
        for (key, change) in last {
            if let Some((like, event)) = decide_like(change, locked.likes.get(&key), now) {
                locked.likes.insert(key, like);
                changed.insert(key);
                outbox.push(outbox_record(&event, None));
            }
        }
        if !changed.is_empty() {
            let likes: Vec<Like> = changed.iter().filter_map(|key| locked.likes.get(key).cloned()).collect();
            unit.write_likes(&NewLikes { likes: &likes, outbox: &outbox }).await?;
            unit.commit().await?;
            self.events.raise();
        }
        Ok(replies)
    }
}
