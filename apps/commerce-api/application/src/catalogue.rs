//! Brands, products and their stock movements.

use std::sync::Arc;

use commerce_api_domain::{BrandId, CommandKind, MovementId, MovementKind, ProductId, StockMovement};
use serde_json::json;

use crate::Caller;
use crate::desk::{DeskReply, KeyedRequest, OrderDesk, SubmitError};
use crate::ports::{
    Brand, CatalogueStore, Clock, IdSource, NewBrand, NewProduct, ProductCache, ProductPatch, ProductQuery,
    ProductUpdate, ProductView, StorageError, UpdateRefused,
};

/// The catalogue.
#[derive(Clone)]
pub struct Catalogue {
    store: Arc<dyn CatalogueStore>,
    desk: OrderDesk,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    cache: Option<Arc<dyn ProductCache>>,
}

impl Catalogue {
    /// With these adapters.
    pub fn new(
        store: Arc<dyn CatalogueStore>,
        desk: OrderDesk,
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, desk, ids, clock, cache: None }
    }

    /// The same, which tells this cache what changes.
    #[must_use]
    pub fn evicting(self, cache: Arc<dyn ProductCache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Products that match.
    pub async fn products(&self, query: &ProductQuery) -> Result<Vec<ProductView>, StorageError> {
        self.store.products(query).await
    }

    /// One product.
    pub async fn product(&self, id: ProductId) -> Result<Option<ProductView>, StorageError> {
        self.store.product(id).await
    }

    /// Brands by id.
    pub async fn brands(&self, after: Option<BrandId>, limit: u64) -> Result<Vec<Brand>, StorageError> {
        self.store.brands(after, limit).await
    }

    /// One brand.
    pub async fn brand(&self, id: BrandId) -> Result<Option<Brand>, StorageError> {
        self.store.brand(id).await
    }

    /// Adds a brand.
    pub async fn add_brand(&self, caller: &Caller, brand: NewBrand) -> Result<Brand, UpdateRefused> {
        let target = format!("brand:{}", brand.name);
        let audit = caller.audit(&*self.ids, &*self.clock, "BRAND_ADDED", target, &json!({}));
        self.store.add_brand(brand, self.clock.now(), audit).await
    }

    /// Adds a product with its initial stock.
    pub async fn add_product(
        &self,
        caller: &Caller,
        product: NewProduct,
    ) -> Result<ProductView, UpdateRefused> {
        let detail = json!({ "price": product.price.won(), "stock": product.stock });
        let target = format!("product:{}", product.code);
        let audit = caller.audit(&*self.ids, &*self.clock, "PRODUCT_ADDED", target, &detail);
        self.store.add_product(product, self.ids.seed(), self.clock.now(), audit).await
    }

    /// Changes catalogue fields of a product that is at `expected_version`.
    pub async fn update_product(
        &self,
        caller: &Caller,
        id: ProductId,
        expected_version: i64,
        patch: ProductPatch,
    ) -> Result<ProductView, UpdateRefused> {
        let detail =
            json!({ "from": expected_version, "price": patch.price.map(commerce_api_domain::Money::won) });
        let audit =
            caller.audit(&*self.ids, &*self.clock, "PRODUCT_UPDATED", format!("product:{id}"), &detail);
        let (ids, at) = (self.ids.seed(), self.clock.now());
        let update = ProductUpdate { id, expected_version, patch, ids, at, audit };
        let Some(cache) = self.cache.clone() else { return self.store.update_product(update).await };
        let store = self.store.clone();
        // A task of its own: storage commits also when the caller has gone, and then the cache has to hear of it.
        let updating = tokio::spawn(async move {
            let updated = store.update_product(update).await;
            if may_have_changed(&updated) {
                cache.product_changed(id, expected_version.saturating_add(1)).await;
            }
            updated
        });
        updating.await.unwrap_or_else(|error| Err(StorageError::Data(error.into()).into()))
    }

    /// Receives or adjusts stock at the order desk.
    pub async fn move_stock(
        &self,
        caller: &Caller,
        keyed: KeyedRequest,
        product: ProductId,
        (kind, quantity): (MovementKind, i64),
        reason: Option<Arc<str>>,
    ) -> Result<DeskReply, SubmitError> {
        let detail = json!({ "kind": kind.name(), "quantity": quantity, "reason": reason.as_deref() });
        let audit =
            caller.audit(&*self.ids, &*self.clock, "STOCK_MOVED", format!("product:{product}"), &detail);
        let kind = CommandKind::MoveStock { product, kind, quantity, reason };
        self.desk.submit(caller.submission(kind, keyed, Some(audit))).await
    }

    /// Movements of a product's stock by hand, latest first; none where there is no such product.
    pub async fn movements(
        &self,
        product: ProductId,
        after: Option<MovementId>,
        limit: u64,
    ) -> Result<Option<Vec<StockMovement>>, StorageError> {
        if self.store.product(product).await?.is_none() {
            return Ok(None);
        }
        self.store.movements(product, after, limit).await.map(Some)
    }
}

/// A failure of storage may have come after the commit.
const fn may_have_changed(updated: &Result<ProductView, UpdateRefused>) -> bool {
    matches!(updated, Ok(_) | Err(UpdateRefused::Storage(_)))
}
