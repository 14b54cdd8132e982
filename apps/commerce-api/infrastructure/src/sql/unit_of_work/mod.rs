//! The unit of work on SQL: a fixed number of statements a batch, whatever its size.
//!
//! A statement runs only where it has rows, so the counts are upper bounds; a batch of one kind of command runs as
//! many as its row says, whether it holds one command or 512. BEGIN and COMMIT are not counted.
//!
//! | batch of | reads under lock | writes |
//! |---|---|---|
//! | place, points only | products, users, keys (3) | products, users, orders, lines, payments, events, ledger, outbox, keys (9) |
//! | place of products with a purchase limit | and purchases (+1) | as above |
//! | place with a coupon | and issued, policies (5) | and issued (10) |
//! | place with a card part | as above | and checks, vault (+2); without a points part no users and ledger (-2) |
//! | cancel, paid by points | products, users, keys, orders, payments, checks (6) | products, users, orders, payments, events, ledger, outbox, keys (8) |
//! | cancel, paid by card | as above | and checks, refunds (10) |
//! | cancel of an order with a coupon | and issued, policies (+2) | and issued (+1) |
//! | expire | products, users, orders, payments, checks (5) | products, orders, payments, events, outbox (5); with points users, ledger (+2); unsent: checks (+1); not accepted: vault (+1) |
//! | payment sent, unknown | as expire | orders, payments, events (3) |
//! | payment accepted | as expire | orders, payments, events, vault (4) |
//! | payment captured | as expire | users, orders, payments, events, ledger, checks, outbox (7); not accepted before: vault (+1) |
//! | captured late, or once more | as expire | orders, payments, events, checks, refunds (5) |
//! | a duplicate given back | as expire | orders, payments, events, refunds (4) |
//! | refund settled | as expire | orders, payments, events, checks, refunds, outbox (6) |
//! | any of a payment, by a callback | as expire | and callbacks (+1) |
//! | charge points | users, charges, keys (3) | users, ledger, keys (3) |
//! | move stock | products, users, keys (3) | products, movements, audit, keys (4); outbox where stock ran out or came back (+1) |
//! | issue coupon | users, keys, coupons, pairs (4) | coupons, issued, outbox, keys (4) |
//! | likes | likes, products (2) | likes, outbox (2) |

mod balances;
mod likes;
mod lock;
pub(in crate::sql) mod orders;
#[cfg(test)]
mod plans;
pub(in crate::sql) mod records;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use commerce_api_application::ports::{
    CommitError, DeskChanges, LikeKey, LockRequest, Locked, LockedLikes, NewLikes, OrderParts, Storage,
    StorageError, UnitOfWork,
};
use commerce_api_domain::{IssuedCouponId, OrderId, OrderLine, UserId};
use commerce_database::{Column, Database, Lock, Select, WriteTransaction};
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::decode::{Columns, LINE_COLUMNS};
use super::error::{commit, orm, storage};

/// [`Storage`] on SQL.
#[derive(Debug, Clone)]
pub struct SqlStorage {
    db: Database,
}

impl SqlStorage {
    /// Works on `db`, which has the schema of this code.
    pub const fn new(db: Database) -> Self {
        Self { db }
    }
}

const ORDERS: Select = Select {
    table: "orders",
    columns: &["id", "user_id", "issued_coupon_id"],
    keys: &[Column::uuid("id")],
    order: &[],
};

const LINES: Select = Select {
    table: "order_lines",
    columns: LINE_COLUMNS,
    keys: &[Column::uuid("order_id")],
    order: &["order_id", "product_id"],
};

#[async_trait]
impl Storage for SqlStorage {
    async fn order_parts(
        &self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, OrderParts>, StorageError> {
        if orders.is_empty() {
            return Ok(BTreeMap::new());
        }
        let reader = self.db.reader_named("order_parts");
        let dialect = self.db.dialect();
        let ids = || orders.iter().map(|order| order.0);
        // An order that is seen has its lines: both were committed at once, and the lines are read after it.
        let found = query(&reader, ORDERS.by_uuids(dialect, Lock::None, ids())).await?;
        let mut lines: BTreeMap<OrderId, Vec<OrderLine>> = BTreeMap::new();
        for row in query(&reader, LINES.by_uuids(dialect, Lock::None, ids())).await? {
            let (order, line) = Columns::of(&row).line()?;
            lines.entry(order).or_default().push(line);
        }
        let mut parts = BTreeMap::new();
        for row in found {
            let mut row = Columns::of(&row);
            let id = OrderId(row.take()?);
            let user = UserId(row.take()?);
            let issued_coupon = row.take::<Option<uuid::Uuid>>()?.map(IssuedCouponId);
            let lines = lines.remove(&id).unwrap_or_default().into();
            parts.insert(id, OrderParts { user, issued_coupon, lines });
        }
        Ok(parts)
    }

    async fn begin(&self, name: &'static str) -> Result<Box<dyn UnitOfWork>, StorageError> {
        let tx = self.db.begin_write_waiting(name).await.map_err(storage)?;
        Ok(Box::new(SqlUnitOfWork { tx }))
    }
}

/// [`UnitOfWork`] on one write transaction; dropped without a commit, it is rolled back.
#[derive(Debug)]
pub struct SqlUnitOfWork {
    tx: WriteTransaction,
}

#[async_trait]
impl UnitOfWork for SqlUnitOfWork {
    async fn lock(&mut self, request: &LockRequest) -> Result<Locked, StorageError> {
        lock::lock(&self.tx, request).await
    }

    async fn lock_likes(&mut self, keys: &BTreeSet<LikeKey>) -> Result<LockedLikes, StorageError> {
        likes::lock(&self.tx, keys).await
    }

    async fn write(&mut self, changes: &DeskChanges<'_>) -> Result<(), StorageError> {
        write::write(&self.tx, changes).await
    }

    async fn write_likes(&mut self, changes: &NewLikes<'_>) -> Result<(), StorageError> {
        likes::write(&self.tx, changes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), CommitError> {
        self.tx.commit().await.map_err(commit)
    }
}

async fn query(
    connection: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<QueryResult>, StorageError> {
    connection.query_all_raw(statement).await.map_err(orm)
}
