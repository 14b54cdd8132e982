//! Invariant 4: a coupon is USED while exactly one live order names it, and the issued count is the rows.

use commerce_api_application::ports::StorageError;
use commerce_database::Template;
use uuid::Uuid;

use super::report::{ROWS_MAX, Report};
use super::snapshot::{Snapshot, live};
use crate::sql::decode::Columns;

pub(super) async fn check(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    report.checked("coupons", snapshot.count("coupons").await?);
    report.checked("issued coupons", snapshot.count("issued_coupons").await?);
    uses(snapshot, report).await?;
    users(snapshot, report).await?;
    counts(snapshot, report).await
}

/// Live orders by the coupon they name.
fn orders_by_coupon() -> Template {
    Template::new(
        "SELECT issued_coupon_id, COUNT(*) AS orders, MIN(id) AS order_id FROM orders \
         WHERE issued_coupon_id IS NOT NULL AND status IN ({live}) GROUP BY issued_coupon_id",
    )
    .names("live", live())
}

async fn uses(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT i.id, i.status, COALESCE(n.orders, 0) FROM issued_coupons i \
         LEFT JOIN ({orders}) n ON n.issued_coupon_id = i.id \
         WHERE CASE \
           WHEN i.status = 'USED' THEN COALESCE(n.orders, 0) <> 1 OR i.order_id IS NULL OR i.order_id <> n.order_id \
           WHEN i.status = 'USABLE' THEN n.orders IS NOT NULL OR i.order_id IS NOT NULL \
           ELSE 1 = 1 END \
         ORDER BY i.id LIMIT {max}",
    )
    .fragment("orders", orders_by_coupon())
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (issued, status, orders): (Uuid, String, i64) = (row.take()?, row.take()?, row.take()?);
        let detail = format!("{status}, named by {orders} live orders, or by another than it says");
        report.violated(4, format!("issued-coupon:{issued}"), detail);
    }
    Ok(())
}

/// Orders may only use a coupon that exists and belongs to the customer.
async fn users(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT o.id, o.issued_coupon_id FROM orders o LEFT JOIN issued_coupons i ON i.id = o.issued_coupon_id \
         WHERE o.issued_coupon_id IS NOT NULL AND (i.id IS NULL OR i.user_id <> o.user_id) \
         ORDER BY o.id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (order, issued): (Uuid, Uuid) = (row.take()?, row.take()?);
        report.violated(
            4,
            format!("order:{order}"),
            format!("names coupon {issued}, which the customer has not"),
        );
    }
    Ok(())
}

async fn counts(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT c.id, c.issued_count, COALESCE(n.issued, 0) FROM coupons c \
         LEFT JOIN (SELECT coupon_id, COUNT(*) AS issued FROM issued_coupons GROUP BY coupon_id) n \
           ON n.coupon_id = c.id \
         WHERE c.issued_count <> COALESCE(n.issued, 0) OR c.issued_count > c.issue_limit \
         UNION ALL \
         SELECT i.coupon_id, 0, COUNT(*) FROM issued_coupons i LEFT JOIN coupons c ON c.id = i.coupon_id \
         WHERE c.id IS NULL GROUP BY i.coupon_id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (coupon, counted, issued): (i64, i64, i64) = (row.take()?, row.take()?, row.take()?);
        report.violated(
            4,
            format!("coupon:{coupon}"),
            format!("counts {counted} issued, there are {issued}"),
        );
    }
    Ok(())
}
