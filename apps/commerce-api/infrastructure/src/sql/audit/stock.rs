//! Invariant 1: stock and what live orders hold is what came in.

use commerce_api_application::ports::StorageError;
use commerce_database::Template;

use super::report::{ROWS_MAX, Report};
use super::snapshot::{Snapshot, live};
use super::sums;
use crate::sql::decode::Columns;

pub(super) async fn check(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    report.checked("products", snapshot.count("products").await?);
    let sql = Template::new(
        "SELECT p.id, p.stock, COALESCE(s.pieces, 0), COALESCE(m.pieces, 0) FROM products p \
         LEFT JOIN (SELECT l.product_id, {sold} AS pieces FROM order_lines l \
                    JOIN orders o ON o.id = l.order_id WHERE o.status IN ({live}) GROUP BY l.product_id) s \
           ON s.product_id = p.id \
         LEFT JOIN (SELECT product_id, {moved} AS pieces FROM stock_movements GROUP BY product_id) m \
           ON m.product_id = p.id \
         WHERE p.stock < 0 OR p.stock + COALESCE(s.pieces, 0) <> COALESCE(m.pieces, 0) \
         ORDER BY p.id LIMIT {max}",
    )
    .fragment("sold", sums::whole("l.quantity"))
    .fragment("moved", sums::whole("quantity"))
    .names("live", live())
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let product: i64 = row.take()?;
        let stock: i64 = row.take()?;
        let (sold, moved) = (sums::number(&mut row)?, sums::number(&mut row)?);
        report.violated(
            1,
            format!("product:{product}"),
            format!("stock {stock} and {sold} in live orders, {moved} moved in by hand"),
        );
    }
    orphans(snapshot, report).await
}

/// Pieces of products that do not exist.
async fn orphans(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT x.product_id FROM (SELECT product_id FROM order_lines UNION SELECT product_id FROM stock_movements) x \
         LEFT JOIN products p ON p.id = x.product_id WHERE p.id IS NULL ORDER BY x.product_id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let product: i64 = Columns::of(&row).take()?;
        report.violated(
            1,
            format!("product:{product}"),
            "order lines or stock movements of a product that does not exist".to_owned(),
        );
    }
    Ok(())
}
