//! Brands and products in bulk.

use std::collections::{BTreeMap, BTreeSet};

use commerce_api_application::ports::{NewBrand, NewProduct, StorageError};
use commerce_api_domain::{BrandId, IdSeed, Timestamp};
use commerce_database::{Column, Lock, RowValue, Select, Upsert, WriteTransaction};
use sea_orm::ConnectionTrait;

use super::catalogue::BRAND;
use super::product_changes::{MOVEMENT, PRODUCT, check_stock, push_product, push_receipt};
use super::query::{Failure, decoded, insert_rows};
use crate::sql::decode::undecodable;

type Seeded<T> = Result<T, Failure<StorageError>>;

const NEW_BRANDS: Upsert = Upsert { table: BRAND.table, columns: BRAND.columns, key: &["name"], update: &[] };

const BRANDS: Select =
    Select { table: "brands", columns: &["name", "id"], keys: &[Column::text("name")], order: &[] };

const PRODUCTS: Select =
    Select { table: "products", columns: &["code", "id"], keys: &[Column::text("code")], order: &[] };

/// Six statements, whatever the number of rows; a call adds at most 65,536 products, as many as its ids go.
pub(super) async fn run(
    tx: &WriteTransaction,
    brands: &[NewBrand],
    products: &[(usize, NewProduct)],
    ids: IdSeed,
    at: Timestamp,
) -> Seeded<u64> {
    let brand_ids = add_brands(tx, brands, at).await?;
    let by_code: BTreeMap<&str, &(usize, NewProduct)> =
        products.iter().rev().map(|product| (&*product.1.code, product)).collect();
    let there = ids_by(tx, PRODUCTS, by_code.keys().copied()).await?;
    let new: Vec<&(usize, NewProduct)> = by_code
        .into_iter()
        .filter(|(code, _)| !there.contains_key(*code))
        .map(|(_, product)| product)
        .collect();
    let mut rows = PRODUCT.rows();
    for (position, product) in &new {
        check_stock(product)?;
        let brand = brands.get(*position).and_then(|brand| brand_ids.get(&brand.name));
        let brand = brand.ok_or_else(|| undecodable("brand of a seeded product", position))?;
        push_product(&mut rows, product, BrandId(*brand), at);
    }
    insert_rows(tx, &PRODUCT, &rows).await?;
    let product_ids = ids_by(tx, PRODUCTS, new.iter().map(|(_, product)| &*product.code)).await?;
    let mut receipts = MOVEMENT.rows();
    for (index, (_, product)) in new.iter().enumerate().filter(|(_, (_, product))| product.stock > 0) {
        let index = u16::try_from(index).map_err(|_| undecodable("number of seeded products", new.len()))?;
        let id =
            product_ids.get(&product.code).ok_or_else(|| undecodable("seeded product", &product.code))?;
        push_receipt(&mut receipts, ids.nth(index), *id, product.stock, at);
    }
    insert_rows(tx, &MOVEMENT, &receipts).await?;
    Ok(new.len() as u64)
}

async fn add_brands(
    tx: &WriteTransaction,
    brands: &[NewBrand],
    at: Timestamp,
) -> Seeded<BTreeMap<String, i64>> {
    let by_name: BTreeMap<&str, &NewBrand> = brands.iter().rev().map(|brand| (&*brand.name, brand)).collect();
    let mut rows = NEW_BRANDS.rows();
    for (name, brand) in &by_name {
        rows.push([
            (*name).into(),
            name.to_lowercase().into(),
            (&brand.description).into(),
            at.as_micros().into(),
        ]);
    }
    tx.execute_raw(NEW_BRANDS.statement(tx.dialect(), &rows)).await?;
    ids_by(tx, BRANDS, by_name.into_keys()).await
}

/// Ids by the one text that `select` searches by.
async fn ids_by<'a>(
    tx: &WriteTransaction,
    select: Select,
    keys: impl Iterator<Item = &'a str>,
) -> Seeded<BTreeMap<String, i64>> {
    let keys: BTreeSet<&str> = keys.collect();
    let statement =
        select.by_rows(tx.dialect(), Lock::None, keys.into_iter().map(|key| [RowValue::from(key)]));
    let rows = tx.query_all_raw(statement).await?;
    let pairs: Vec<(String, i64)> = decoded(&rows, |row| Ok((row.take()?, row.take()?)))?;
    Ok(pairs.into_iter().collect())
}
