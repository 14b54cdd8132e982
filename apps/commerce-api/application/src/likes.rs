//! Likes.

use std::sync::Arc;

use commerce_api_domain::{LikeChange, ProductId, Timestamp, UserId};

use crate::desk::{LikeDesk, LikeReply, SubmitError};
use crate::ports::{IdSource, LikeQueries, LikedProduct, StorageError};

/// Why a like is not set.
#[derive(Debug, thiserror::Error)]
pub enum LikeError {
    /// No such product.
    #[error("the product does not exist")]
    ProductNotFound,
    /// The desk gave no decision.
    #[error(transparent)]
    Desk(#[from] SubmitError),
}

/// Likes.
#[derive(Clone)]
pub struct Likes {
    desk: LikeDesk,
    queries: Arc<dyn LikeQueries>,
    ids: Arc<dyn IdSource>,
}

impl Likes {
    /// With these adapters.
    pub fn new(desk: LikeDesk, queries: Arc<dyn LikeQueries>, ids: Arc<dyn IdSource>) -> Self {
        Self { desk, queries, ids }
    }

    /// Sets whether `user` likes `product`; true where that changed anything.
    pub async fn set(&self, user: UserId, product: ProductId, active: bool) -> Result<bool, LikeError> {
        match self.desk.submit(LikeChange { ids: self.ids.seed(), user, product, active }).await? {
            LikeReply::Set { changed } => Ok(changed),
            LikeReply::ProductNotFound => Err(LikeError::ProductNotFound),
        }
    }

    /// Products that `user` likes, latest first.
    pub async fn liked_by(
        &self,
        user: UserId,
        after: Option<(Timestamp, ProductId)>,
        limit: u64,
    ) -> Result<Vec<LikedProduct>, StorageError> {
        self.queries.likes_of(user, after, limit).await
    }
}
