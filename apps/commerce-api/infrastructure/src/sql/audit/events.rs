//! What invariant 5 needs of this side: the other one is the collector's.

use std::collections::BTreeMap;

use commerce_api_application::ports::{EventFacts, OrderEvents, Sold, StorageError};
use commerce_api_domain::{OrderId, OrderStatus, ProductId, Timestamp};
use commerce_database::Template;
use uuid::Uuid;

use super::snapshot::Snapshot;
use super::sums;
use crate::sql::decode::Columns;

/// A quarter of an hour, in microseconds.
const QUARTER: i64 = 15 * 60 * 1_000_000;

pub(super) async fn facts(
    snapshot: &Snapshot,
    changed_since: Timestamp,
    paid_since: Timestamp,
) -> Result<EventFacts, StorageError> {
    Ok(EventFacts {
        orders: orders(snapshot, changed_since).await?,
        sold: sold(snapshot, paid_since).await?,
        likes: likes(snapshot).await?,
        waiting: snapshot.count("outbox").await?,
    })
}

async fn orders(snapshot: &Snapshot, changed_since: Timestamp) -> Result<Vec<OrderEvents>, StorageError> {
    let sql = "SELECT aggregate_id, sequence FROM outbox WHERE aggregate_type = 'ORDER' ORDER BY sequence";
    let mut waiting: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        waiting.entry(row.take()?).or_default().push(row.take()?);
    }
    let sql = "SELECT id, created_at, event_seq FROM orders WHERE updated_at >= ? ORDER BY id";
    let rows = snapshot.rows(sql, [changed_since.as_micros().into()]).await?;
    let order = |row| {
        let mut row = Columns::of(row);
        let order: Uuid = row.take()?;
        let waiting = waiting.remove(&order.to_string()).unwrap_or_default();
        Ok(OrderEvents { order: OrderId(order), placed_at: row.time()?, count: row.take()?, waiting })
    };
    rows.iter().map(order).collect()
}

/// A cancelled order was taken back from the day it had been paid on, so only what is paid now counts.
async fn sold(snapshot: &Snapshot, paid_since: Timestamp) -> Result<Vec<Sold>, StorageError> {
    let sql = Template::new(
        "SELECT l.product_id, o.paid_at - o.paid_at % {quarter} AS paid_in, COUNT(*), CAST(SUM(l.quantity) AS SIGNED), {amount} \
         FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.status IN ({paid}) AND o.paid_at >= ? \
         GROUP BY l.product_id, paid_in ORDER BY l.product_id, paid_in",
    )
    .number("quarter", QUARTER)
    .fragment("amount", sums::parts("(l.quantity * l.unit_price)"))
    .names("paid", [OrderStatus::Paid.name()]);
    let rows = snapshot.rows(sql, [paid_since.as_micros().into()]).await?;
    let sold = |row| {
        let mut row = Columns::of(row);
        Ok(Sold {
            product: ProductId(row.take()?),
            from: row.time()?,
            orders: row.take()?,
            quantity: row.take()?,
            amount: sums::take(&mut row)?,
        })
    };
    rows.iter().map(sold).collect()
}

async fn likes(snapshot: &Snapshot) -> Result<Vec<(ProductId, i64)>, StorageError> {
    let sql =
        "SELECT product_id, COUNT(*) FROM product_likes WHERE active GROUP BY product_id ORDER BY product_id";
    let rows = snapshot.rows(sql, []).await?;
    let likes = |row| {
        let mut row = Columns::of(row);
        Ok((ProductId(row.take()?), row.take()?))
    };
    rows.iter().map(likes).collect()
}
