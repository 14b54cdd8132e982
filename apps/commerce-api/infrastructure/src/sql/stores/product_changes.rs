//! Adding and changing products.

use commerce_api_application::desk::outbox_record;
use commerce_api_application::ports::{
    AuditEntry, NewProduct, ProductPatch, ProductUpdate, ProductView, PurchaseLimitChange, StorageError,
    UpdateRefused,
};
use commerce_api_domain::{
    Aggregate, BrandId, DomainEvent, EventId, EventKind, IdSeed, MovementKind, Product, ProductId,
    ProductStatus, Quantity, Timestamp,
};
use commerce_database::{Column, Insert, Lock, RowSet, Select, Update, WriteTransaction, execute_exact};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use uuid::Uuid;

use super::products;
use super::query::{Failure, insert_new, insert_rows};
use crate::sql::decode::{Columns, undecodable};
use crate::sql::unit_of_work::records;

pub(super) const PRODUCT: Insert = Insert {
    table: "products",
    columns: &[
        Column::text("code"),
        Column::text("name"),
        Column::text("name_key"),
        Column::text("description"),
        Column::int("brand_id"),
        Column::int("price"),
        Column::int("stock"),
        Column::int("like_count"),
        Column::int("event_seq"),
        Column::text("status"),
        Column::int("purchase_limit"),
        Column::int("version"),
        Column::int("created_at"),
        Column::int("updated_at"),
    ],
};

pub(super) const MOVEMENT: Insert = Insert {
    table: "stock_movements",
    columns: &[
        Column::uuid("id"),
        Column::int("product_id"),
        Column::text("kind"),
        Column::int("quantity"),
        Column::int("stock_after"),
        Column::int("at"),
    ],
};

const LOCKED: Select = Select {
    table: "products",
    columns: &[
        "name",
        "description",
        "brand_id",
        "price",
        "status",
        "purchase_limit",
        "version",
        "event_seq",
        "stock",
    ],
    keys: &[Column::int("id")],
    order: &[],
};

/// Catalogue fields and the sequence of the product's events; never stock or likes.
const CHANGED: Update = Update {
    table: "products",
    columns: &[
        Column::int("id"),
        Column::text("name"),
        Column::text("name_key"),
        Column::text("description"),
        Column::int("brand_id"),
        Column::int("price"),
        Column::text("status"),
        Column::int("purchase_limit"),
        Column::int("version"),
        Column::int("event_seq"),
        Column::int("updated_at"),
        Column::int("version_before"),
    ],
    keys: &["id"],
    set: &[
        "name",
        "name_key",
        "description",
        "brand_id",
        "price",
        "status",
        "purchase_limit",
        "version",
        "event_seq",
        "updated_at",
    ],
    expect: &[("version", "version_before")],
};

/// Adds the row of a product that is new at `at`.
pub(super) fn push_product(rows: &mut RowSet, product: &NewProduct, brand: BrandId, at: Timestamp) {
    rows.push([
        (&product.code).into(),
        (&product.name).into(),
        product.name.to_lowercase().into(),
        (&product.description).into(),
        brand.0.into(),
        product.price.won().into(),
        product.stock.into(),
        0_i64.into(),
        0_i64.into(),
        product.status.name().into(),
        product.purchase_limit.map(Quantity::get).into(),
        1_i64.into(),
        at.as_micros().into(),
        at.as_micros().into(),
    ]);
}

/// Adds the receipt of a product's initial stock.
pub(super) fn push_receipt(rows: &mut RowSet, id: Uuid, product: i64, stock: i64, at: Timestamp) {
    rows.push([
        id.into(),
        product.into(),
        MovementKind::Receipt.name().into(),
        stock.into(),
        stock.into(),
        at.as_micros().into(),
    ]);
}

/// Refuses a stock that the order desk would not let come about.
pub(super) fn check_stock(product: &NewProduct) -> Result<(), StorageError> {
    let possible = (0..=Product::STOCK_MAX).contains(&product.stock);
    if possible { Ok(()) } else { Err(undecodable("initial stock", product.stock)) }
}

async fn check_brand(tx: &WriteTransaction, brand: BrandId) -> Result<(), Failure<UpdateRefused>> {
    let mut statement = Query::select();
    statement.column("id").from("brands").and_where(Expr::col("id").eq(brand.0));
    match tx.query_one(&statement).await? {
        Some(_) => Ok(()),
        None => Err(Failure::Refused(UpdateRefused::BrandNotFound)),
    }
}

async fn read_back(tx: &WriteTransaction, id: ProductId) -> Result<ProductView, Failure<UpdateRefused>> {
    products::by_id(tx, id).await?.ok_or(Failure::Refused(UpdateRefused::NotFound))
}

pub(super) async fn add(
    tx: &WriteTransaction,
    product: &NewProduct,
    ids: IdSeed,
    at: Timestamp,
    audit: AuditEntry,
) -> Result<ProductView, Failure<UpdateRefused>> {
    check_stock(product)?;
    check_brand(tx, product.brand).await?;
    let mut row = PRODUCT.rows();
    push_product(&mut row, product, product.brand, at);
    let id = insert_new(tx, &PRODUCT, &row, UpdateRefused::Taken("product code")).await?;
    let mut receipt = MOVEMENT.rows();
    if product.stock > 0 {
        push_receipt(&mut receipt, ids.nth(0), id, product.stock, at);
    }
    insert_rows(tx, &MOVEMENT, &receipt).await?;
    records::audit(tx, &[audit]).await?;
    read_back(tx, ProductId(id)).await
}

/// A product's row under lock.
struct Current {
    name: String,
    description: String,
    brand: BrandId,
    price: i64,
    status: ProductStatus,
    purchase_limit: Option<Quantity>,
    version: i64,
    event_seq: i64,
    stock: i64,
}

fn current(row: &mut Columns<'_>) -> Result<Current, StorageError> {
    Ok(Current {
        name: row.take()?,
        description: row.take()?,
        brand: BrandId(row.take()?),
        price: row.take()?,
        status: row.named("product status", ProductStatus::parse)?,
        purchase_limit: row.quantity("purchase limit")?,
        version: row.take()?,
        event_seq: row.take()?,
        stock: row.take()?,
    })
}

impl Current {
    /// The row as `patch` makes it: the next version, with the next event.
    fn changed(self, patch: &ProductPatch) -> Self {
        Self {
            name: patch.name.clone().unwrap_or(self.name),
            description: patch.description.clone().unwrap_or(self.description),
            brand: patch.brand.unwrap_or(self.brand),
            price: patch.price.map_or(self.price, commerce_api_domain::Money::won),
            status: patch.status.unwrap_or(self.status),
            purchase_limit: match patch.purchase_limit {
                PurchaseLimitChange::Keep => self.purchase_limit,
                PurchaseLimitChange::Set(limit) => limit,
            },
            version: self.version + 1,
            event_seq: self.event_seq + 1,
            stock: self.stock,
        }
    }
}

pub(super) async fn update(
    tx: &WriteTransaction,
    update: &ProductUpdate,
) -> Result<ProductView, Failure<UpdateRefused>> {
    let locked = LOCKED.by_ints(tx.dialect(), Lock::Update, [update.id.0]);
    let row = tx.query_one_raw(locked).await?.ok_or(Failure::Refused(UpdateRefused::NotFound))?;
    let before = current(&mut Columns::of(&row))?;
    if before.version != update.expected_version {
        return Err(Failure::Refused(UpdateRefused::VersionMismatch { actual: before.version }));
    }
    if let Some(brand) = update.patch.brand.filter(|brand| *brand != before.brand) {
        check_brand(tx, brand).await?;
    }
    let after = before.changed(&update.patch);
    let mut rows = CHANGED.rows();
    rows.push([
        update.id.0.into(),
        (&after.name).into(),
        after.name.to_lowercase().into(),
        (&after.description).into(),
        after.brand.0.into(),
        after.price.into(),
        after.status.name().into(),
        after.purchase_limit.map(Quantity::get).into(),
        after.version.into(),
        after.event_seq.into(),
        update.at.as_micros().into(),
        update.expected_version.into(),
    ]);
    execute_exact(tx, CHANGED.statement(tx.dialect(), &rows), 1).await?;
    let event = DomainEvent {
        id: EventId(update.ids.nth(0)),
        aggregate: Aggregate::Product(update.id),
        sequence: after.event_seq,
        user: None,
        at: update.at,
        kind: EventKind::ProductUpdated { stock: after.stock },
    };
    records::outbox(tx, &[outbox_record(&event, None)]).await?;
    records::audit(tx, std::slice::from_ref(&update.audit)).await?;
    read_back(tx, update.id).await
}
