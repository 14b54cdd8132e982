use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use commerce_api_domain::{Like, ProductId, Timestamp, UserId};

use super::{OutboxRecord, ProductView, StorageError};

/// Names a like row.
pub type LikeKey = (ProductId, UserId);

/// What a batch of likes read under its locks.
#[derive(Debug, Clone, Default)]
pub struct LockedLikes {
    /// Rows there are.
    pub likes: BTreeMap<LikeKey, Like>,
    /// Which of the products exist.
    pub products: BTreeSet<ProductId>,
}

/// What a batch of likes writes.
#[derive(Debug)]
pub struct NewLikes<'a> {
    /// New and changed rows.
    pub likes: &'a [Like],
    /// Events to publish.
    pub outbox: &'a [OutboxRecord],
}

/// A product that a customer likes.
#[derive(Debug, Clone)]
pub struct LikedProduct {
    /// The product as lists show it.
    pub product: ProductView,
    /// Since when.
    pub liked_at: Timestamp,
}

/// Reads of likes.
#[async_trait]
pub trait LikeQueries: Send + Sync + 'static {
    /// Products that `user` likes, latest first, after the position (time, product) of the last one seen.
    async fn likes_of(
        &self,
        user: UserId,
        after: Option<(Timestamp, ProductId)>,
        limit: u64,
    ) -> Result<Vec<LikedProduct>, StorageError>;
}
