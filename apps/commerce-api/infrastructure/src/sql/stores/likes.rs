use async_trait::async_trait;
use commerce_api_application::ports::{LikeQueries, LikedProduct, StorageError};
use commerce_api_domain::{ProductId, Timestamp, UserId};
use commerce_database::Database;
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order};

use super::products::{view, views};
use super::query::{all, page};

/// [`LikeQueries`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlLikes {
    db: Database,
}

impl SqlLikes {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl LikeQueries for SqlLikes {
    async fn likes_of(
        &self,
        user: UserId,
        after: Option<(Timestamp, ProductId)>,
        limit: u64,
    ) -> Result<Vec<LikedProduct>, StorageError> {
        let mut statement = views();
        let of_product = Expr::col(("l", "product_id")).equals(("p", "id"));
        statement
            .column(("l", "changed_at"))
            .join_as(JoinType::InnerJoin, "product_likes", "l", of_product)
            .and_where(Expr::col(("l", "user_id")).eq(user.0))
            .and_where(Expr::col(("l", "active")).eq(true));
        let after = after.map(|(at, product)| (at.as_micros().into(), product.0.into()));
        page(&mut statement, (("l", "changed_at"), ("l", "product_id")), &Order::Desc, after);
        statement.limit(limit);
        let liked = |row: &mut crate::sql::decode::Columns<'_>| {
            Ok(LikedProduct { product: view(row)?, liked_at: row.time()? })
        };
        all(&self.db.reader_named("likes_of"), &statement, liked).await
    }
}
