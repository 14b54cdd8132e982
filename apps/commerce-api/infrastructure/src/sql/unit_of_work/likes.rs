//! Batches of likes write their own rows and the outbox, never the product row.

use std::collections::{BTreeMap, BTreeSet};

use commerce_api_application::ports::{LikeKey, LockedLikes, NewLikes, StorageError};
use commerce_api_domain::{Like, ProductId, UserId};
use commerce_database::{Column, Lock, Merge, Select, Upsert, WriteTransaction};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{query, records};
use crate::sql::decode::Columns;
use crate::sql::error::orm;

pub(super) const LIKES: Select = Select {
    table: "product_likes",
    columns: &["user_id", "product_id", "active", "event_seq", "changed_at"],
    keys: &[Column::int("user_id"), Column::int("product_id")],
    order: &[],
};

pub(super) const PRODUCTS: Select =
    Select { table: "products", columns: &["id"], keys: &[Column::int("id")], order: &[] };

pub(super) const UPSERT: Upsert = Upsert {
    table: "product_likes",
    columns: &[
        Column::int("user_id"),
        Column::int("product_id"),
        Column::bool("active"),
        Column::int("event_seq"),
        Column::int("changed_at"),
    ],
    key: &["user_id", "product_id"],
    update: &[("active", Merge::Set), ("event_seq", Merge::Set), ("changed_at", Merge::Set)],
};

pub(super) async fn lock(
    tx: &WriteTransaction,
    keys: &BTreeSet<LikeKey>,
) -> Result<LockedLikes, StorageError> {
    if keys.is_empty() {
        return Ok(LockedLikes::default());
    }
    let by_user: BTreeSet<(UserId, ProductId)> =
        keys.iter().map(|(product, user)| (*user, *product)).collect();
    let pairs = by_user.iter().map(|(user, product)| [user.0.into(), product.0.into()]);
    let mut likes = BTreeMap::new();
    for row in query(tx, LIKES.by_rows(tx.dialect(), Lock::Update, pairs)).await? {
        let like = decode(&row)?;
        likes.insert((like.product, like.user), like);
    }
    let wanted: BTreeSet<ProductId> = keys.iter().map(|(product, _)| *product).collect();
    let statement = PRODUCTS.by_ints(tx.dialect(), Lock::None, wanted.iter().map(|product| product.0));
    let products = query(tx, statement)
        .await?
        .iter()
        .map(|row| Columns::of(row).take().map(ProductId))
        .collect::<Result<_, StorageError>>()?;
    Ok(LockedLikes { likes, products })
}

fn decode(row: &QueryResult) -> Result<Like, StorageError> {
    let mut row = Columns::of(row);
    Ok(Like {
        user: UserId(row.take()?),
        product: ProductId(row.take()?),
        active: row.take()?,
        event_seq: row.take()?,
        changed_at: row.time()?,
    })
}

pub(super) async fn write(tx: &WriteTransaction, changes: &NewLikes<'_>) -> Result<(), StorageError> {
    if !changes.likes.is_empty() {
        let mut sorted: Vec<&Like> = changes.likes.iter().collect();
        sorted.sort_by_key(|like| (like.user, like.product));
        let mut rows = UPSERT.rows();
        for like in sorted {
            rows.push([
                like.user.0.into(),
                like.product.0.into(),
                like.active.into(),
                like.event_seq.into(),
                like.changed_at.as_micros().into(),
            ]);
        }
        tx.execute_raw(UPSERT.statement(tx.dialect(), &rows)).await.map_err(orm)?;
    }
    records::outbox(tx, changes.outbox).await
}
