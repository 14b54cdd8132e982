//! Units of work that tell the cache whose stock they moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use commerce_api_domain::{OrderId, ProductId};

use crate::ports::{
    CommitError, DeskChanges, LikeKey, LockRequest, Locked, LockedLikes, NewLikes, OrderParts, ProductCache,
    Storage, StorageError, UnitOfWork,
};

/// A storage whose commits are told to the cache of products, before anybody is answered.
pub struct EvictingStorage {
    storage: Arc<dyn Storage>,
    cache: Arc<dyn ProductCache>,
}

impl EvictingStorage {
    /// In front of `storage`.
    pub fn new(storage: Arc<dyn Storage>, cache: Arc<dyn ProductCache>) -> Self {
        Self { storage, cache }
    }
}

#[async_trait]
impl Storage for EvictingStorage {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        self.storage.order_parts(orders).await
    }

    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        let unit = self.storage.begin(name).await?;
        Ok(Box::new(EvictingUnit { unit, cache: self.cache.clone(), moved: Vec::new() }))
    }
}

struct EvictingUnit {
    unit: Box<dyn UnitOfWork>,
    cache: Arc<dyn ProductCache>,
    moved: Vec<ProductId>,
}

#[async_trait]
impl UnitOfWork for EvictingUnit {
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError> {
        self.unit.lock(request).await
    }

    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError> {
        self.unit.lock_likes(keys).await
    }

    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
        self.moved.extend(&changes.set.dirty_products);
        self.unit.write(changes).await
    }

    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError> {
        self.unit.write_likes(changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        let Self { unit, cache, moved } = *self;
        let committed = unit.commit().await;
        // Also where the answer was lost: it may have committed.
        if !moved.is_empty() {
            cache.stock_changed(&moved).await;
        }
        committed
    }
}
