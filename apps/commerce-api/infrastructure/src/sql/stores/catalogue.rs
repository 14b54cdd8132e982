use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_api_application::ports::{
    AuditEntry, Brand, CatalogueStore, NewBrand, NewProduct, ProductCounts, ProductQuery, ProductUpdate,
    ProductView, StorageError, UpdateRefused,
};
use commerce_api_domain::{BrandId, IdSeed, MovementId, MovementKind, ProductId, StockMovement, Timestamp};
use commerce_database::{Column, Database, Insert, Merge, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};

use super::query::{Failure, all, insert_new, one};
use super::{like_count, product_changes, products, seed};
use crate::sql::decode::Columns;
use crate::sql::unit_of_work::records;

/// [`CatalogueStore`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlCatalogue {
    db: Database,
}

impl SqlCatalogue {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

pub(super) const BRAND: Insert = Insert {
    table: "brands",
    columns: &[
        Column::text("name"),
        Column::text("name_key"),
        Column::text("description"),
        Column::int("created_at"),
    ],
};

const VIEWS: Upsert = Upsert {
    table: "product_views",
    columns: &[Column::int("product_id"), Column::int("views")],
    key: &["product_id"],
    update: &[("views", Merge::Add)],
};

const BRAND_COLUMNS: [&str; 4] = ["id", "name", "description", "created_at"];

fn brand(row: &mut Columns<'_>) -> Result<Brand, StorageError> {
    Ok(Brand {
        id: BrandId(row.take()?),
        name: row.take()?,
        description: row.take()?,
        created_at: row.time()?,
    })
}

fn movement(row: &mut Columns<'_>) -> Result<StockMovement, StorageError> {
    Ok(StockMovement {
        id: MovementId(row.take()?),
        product: ProductId(row.take()?),
        kind: row.named("movement kind", MovementKind::parse)?,
        quantity: row.take()?,
        stock_after: row.take()?,
        reason: row.optional_text()?,
        at: row.time()?,
    })
}

#[async_trait]
impl CatalogueStore for SqlCatalogue {
    async fn products(&self, query: &ProductQuery) -> Result<Vec<ProductView>, StorageError> {
        products::list(&self.db.reader_named("products"), query).await
    }

    async fn product(&self, id: ProductId) -> Result<Option<ProductView>, StorageError> {
        products::by_id(&self.db.reader_named("product"), id).await
    }

    async fn counts(&self, id: ProductId) -> Result<Option<ProductCounts>, StorageError> {
        products::counts(&self.db.reader_named("product_counts"), id).await
    }

    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<ProductView>, StorageError> {
        products::by_ids(&self.db.reader_named("products_by_id"), ids).await
    }

    async fn add_product(
        &self,
        product: NewProduct,
        ids: IdSeed,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<ProductView, UpdateRefused> {
        let added = self.db.write("add_product", move |tx| {
            let (product, audit) = (product.clone(), audit.clone());
            Box::pin(async move { product_changes::add(tx, &product, ids, at, audit).await })
        });
        added.await.map_err(Failure::into_port)
    }

    async fn update_product(&self, update: ProductUpdate) -> Result<ProductView, UpdateRefused> {
        let updated = self.db.write("update_product", move |tx| {
            let update = update.clone();
            Box::pin(async move { product_changes::update(tx, &update).await })
        });
        updated.await.map_err(Failure::into_port)
    }

    async fn movements(
        &self,
        product: ProductId,
        after: Option<MovementId>,
        limit: u64,
    ) -> Result<Vec<StockMovement>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(["id", "product_id", "kind", "quantity", "stock_after", "reason", "at"])
            .from("stock_movements")
            .and_where(Expr::col("product_id").eq(product.0))
            .and_where_option(after.map(|after| Expr::col("id").lt(after.0)))
            .order_by("id", Order::Desc)
            .limit(limit);
        all(&self.db.reader_named("movements"), &statement, movement).await
    }

    async fn brands(&self, after: Option<BrandId>, limit: u64) -> Result<Vec<Brand>, StorageError> {
        let mut statement = Query::select();
        statement
            .columns(BRAND_COLUMNS)
            .from("brands")
            .and_where_option(after.map(|after| Expr::col("id").gt(after.0)))
            .order_by("id", Order::Asc)
            .limit(limit);
        all(&self.db.reader_named("brands"), &statement, brand).await
    }

    async fn brand(&self, id: BrandId) -> Result<Option<Brand>, StorageError> {
        let mut statement = Query::select();
        statement.columns(BRAND_COLUMNS).from("brands").and_where(Expr::col("id").eq(id.0));
        one(&self.db.reader_named("brand"), &statement, brand).await
    }

    async fn add_brand(
        &self,
        brand: NewBrand,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<Brand, UpdateRefused> {
        let added = self.db.write("add_brand", move |tx| {
            let (brand, audit) = (brand.clone(), audit.clone());
            Box::pin(async move { add_brand(tx, brand, at, audit).await })
        });
        added.await.map_err(Failure::into_port)
    }

    async fn seed(
        &self,
        brands: &[NewBrand],
        products: &[(usize, NewProduct)],
        ids: IdSeed,
        at: Timestamp,
    ) -> Result<u64, StorageError> {
        let stock = std::sync::Arc::new((brands.to_vec(), products.to_vec()));
        let seeded = self.db.write("seed", move |tx| {
            let stock = stock.clone();
            Box::pin(async move { seed::run(tx, &stock.0, &stock.1, ids, at).await })
        });
        seeded.await.map_err(Failure::into_port)
    }

    async fn add_views(&self, views: &[(ProductId, i64)]) -> Result<(), StorageError> {
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for (product, views) in views {
            *sums.entry(product.0).or_default() += views;
        }
        if sums.is_empty() {
            return Ok(());
        }
        let mut rows = VIEWS.rows();
        for (product, views) in sums {
            rows.push([product.into(), views.into()]);
        }
        let statement = VIEWS.statement(self.db.dialect(), &rows);
        let added = self.db.write("add_views", move |tx| {
            let statement = statement.clone();
            Box::pin(async move { Ok::<_, Failure<StorageError>>(tx.execute_raw(statement).await?) })
        });
        added.await.map(drop).map_err(Failure::into_port)
    }

    async fn recount_likes(&self, since: Option<Timestamp>) -> Result<u64, StorageError> {
        like_count::recount(&self.db, since).await
    }
}

async fn add_brand(
    tx: &WriteTransaction,
    brand: NewBrand,
    at: Timestamp,
    audit: AuditEntry,
) -> Result<Brand, Failure<UpdateRefused>> {
    let mut row = BRAND.rows();
    let key = brand.name.to_lowercase();
    row.push([(&brand.name).into(), key.into(), (&brand.description).into(), at.as_micros().into()]);
    let id = insert_new(tx, &BRAND, &row, UpdateRefused::Taken("brand name")).await?;
    records::audit(tx, &[audit]).await?;
    Ok(Brand { id: BrandId(id), name: brand.name, description: brand.description, created_at: at })
}
