use async_trait::async_trait;
use commerce_api_domain::{
    BrandId, IdSeed, Money, MovementId, ProductId, ProductStatus, Quantity, StockMovement, Timestamp,
};

use super::{AuditEntry, StorageError};

/// A brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Which.
    pub id: BrandId,
    /// Its name.
    pub name: String,
    /// What it tells of itself.
    pub description: String,
    /// Since when it is in the catalogue.
    pub created_at: Timestamp,
}

/// A brand to add.
#[derive(Debug, Clone)]
pub struct NewBrand {
    /// Its name, unique.
    pub name: String,
    /// What it tells of itself.
    pub description: String,
}

/// A product as the catalogue shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductView {
    /// Which.
    pub id: ProductId,
    /// The shop's own code, unique.
    pub code: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Its brand.
    pub brand: BrandId,
    /// Name of its brand.
    pub brand_name: String,
    /// Price.
    pub price: Money,
    /// Pieces that can be sold.
    pub stock: i64,
    /// Likes as last counted.
    pub like_count: i64,
    /// Views as last counted.
    pub view_count: i64,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// The most pieces that one customer may hold in live orders; none: any number.
    pub purchase_limit: Option<Quantity>,
    /// Version of the catalogue fields; sales and likes never change it.
    pub version: i64,
    /// Since when it is in the catalogue.
    pub created_at: Timestamp,
    /// When its catalogue fields last changed.
    pub updated_at: Timestamp,
}

/// What of a product moves without a change of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductCounts {
    /// Pieces that can be sold.
    pub stock: i64,
    /// Likes as last counted.
    pub like_count: i64,
    /// Views as last counted.
    pub view_count: i64,
}

/// A product to add.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// The shop's own code, unique.
    pub code: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Its brand.
    pub brand: BrandId,
    /// Price.
    pub price: Money,
    /// Initial stock, recorded as a receipt.
    pub stock: i64,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// The most pieces that one customer may hold in live orders; none: any number.
    pub purchase_limit: Option<Quantity>,
}

/// What becomes of a product's purchase limit; orders placed before are not touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PurchaseLimitChange {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this, or there is none any more.
    Set(Option<Quantity>),
}

/// Catalogue fields to change; none leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ProductPatch {
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Its brand.
    pub brand: Option<BrandId>,
    /// Price.
    pub price: Option<Money>,
    /// Whether it is sold.
    pub status: Option<ProductStatus>,
    /// How many one customer may buy.
    pub purchase_limit: PurchaseLimitChange,
}

/// A change of a product.
#[derive(Debug, Clone)]
pub struct ProductUpdate {
    /// Which.
    pub id: ProductId,
    /// The version that the caller saw.
    pub expected_version: i64,
    /// What to change.
    pub patch: ProductPatch,
    /// Ids for the event.
    pub ids: IdSeed,
    /// When.
    pub at: Timestamp,
    /// Who, for the audit log.
    pub audit: AuditEntry,
}

/// Why the catalogue is not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateRefused {
    /// No such product.
    #[error("the product does not exist")]
    NotFound,
    /// No such brand.
    #[error("the brand does not exist")]
    BrandNotFound,
    /// A unique name or code is taken.
    #[error("the {0} is taken")]
    Taken(&'static str),
    /// Somebody changed it since the caller read it.
    #[error("the product is at version {actual}")]
    VersionMismatch {
        /// Version now.
        actual: i64,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How a list of products is sorted; ties by id in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProductSort {
    /// Newest first.
    #[default]
    Latest,
    /// Cheapest first.
    PriceAsc,
    /// Dearest first.
    PriceDesc,
    /// Most liked first.
    LikesDesc,
    /// By lower-case name.
    Name,
}

/// The last product seen of a list: the value it was sorted by, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductPosition {
    /// Of `LATEST` (microseconds), `PRICE_*` (won) and `LIKES_DESC` (likes).
    Number(i64, ProductId),
    /// Of `NAME`.
    Text(String, ProductId),
}

/// Which products to list.
#[derive(Debug, Clone, Default)]
pub struct ProductQuery {
    /// Case-insensitive substring of the product's or the brand's name.
    pub search: Option<String>,
    /// Only this brand.
    pub brand: Option<BrandId>,
    /// Order.
    pub sort: ProductSort,
    /// After the last one seen.
    pub after: Option<ProductPosition>,
    /// At most so many.
    pub limit: u64,
}

/// Brands, products, stock movements.
#[async_trait]
pub trait CatalogueStore: Send + Sync + 'static {
    /// Products that match.
    async fn products(&self, query: &ProductQuery) -> Result<Vec<ProductView>, StorageError>;
    /// One product.
    async fn product(&self, id: ProductId) -> Result<Option<ProductView>, StorageError>;
    /// Stock, likes and views of one product.
    async fn counts(&self, id: ProductId) -> Result<Option<ProductCounts>, StorageError>;
    /// The products of these ids, in no particular order, without those that do not exist.
    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<ProductView>, StorageError>;
    /// Adds a product with its initial stock as a receipt.
    async fn add_product(
        &self,
        product: NewProduct,
        ids: IdSeed,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<ProductView, UpdateRefused>;
    /// Changes catalogue fields and writes `ProductUpdated`.
    async fn update_product(&self, update: ProductUpdate) -> Result<ProductView, UpdateRefused>;
    /// Movements of a product's stock by hand, latest first.
    async fn movements(
        &self,
        product: ProductId,
        after: Option<MovementId>,
        limit: u64,
    ) -> Result<Vec<StockMovement>, StorageError>;
    /// Brands by id.
    async fn brands(&self, after: Option<BrandId>, limit: u64) -> Result<Vec<Brand>, StorageError>;
    /// One brand.
    async fn brand(&self, id: BrandId) -> Result<Option<Brand>, StorageError>;
    /// Adds a brand.
    async fn add_brand(
        &self,
        brand: NewBrand,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<Brand, UpdateRefused>;
    /// Adds brands (by name) and products in bulk, with a fixed number of statements; `products` name their brand
    /// by its position in `brands`. Brands and products that are there already (by name, by code) are left as they
    /// are. Gives back how many products were added.
    async fn seed(
        &self,
        brands: &[NewBrand],
        products: &[(usize, NewProduct)],
        ids: IdSeed,
        at: Timestamp,
    ) -> Result<u64, StorageError>;
    /// Adds to the view counts.
    async fn add_views(&self, views: &[(ProductId, i64)]) -> Result<(), StorageError>;
    /// Counts likes again: of products whose likes changed since then, or of all; gives back how many changed.
    async fn recount_likes(&self, since: Option<Timestamp>) -> Result<u64, StorageError>;
}
