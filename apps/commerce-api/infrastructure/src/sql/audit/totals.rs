//! Sums that people ask for, and the one rule that holds between sums.

use commerce_api_application::ports::StorageError;
use commerce_api_domain::OrderStatus;
use commerce_database::Template;

use super::report::Report;
use super::snapshot::{Snapshot, live};
use crate::sql::decode::Columns;
use crate::sql::unit_of_work::orders::{REFUND_DONE, REFUND_PENDING};

/// What an order count is called in the report.
const fn orders_in(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::PaymentPending => "orders PAYMENT_PENDING",
        OrderStatus::Paid => "orders PAID",
        OrderStatus::PaymentFailed => "orders PAYMENT_FAILED",
        OrderStatus::CancelPending => "orders CANCEL_PENDING",
        OrderStatus::Canceled => "orders CANCELED",
        OrderStatus::Expired => "orders EXPIRED",
    }
}

fn sum(column: &str, table: &str) -> Template {
    Template::new("SELECT CAST(COALESCE(SUM({column}), 0) AS SIGNED) FROM {table}")
        .identifier("column", column)
        .identifier("table", table)
}

/// `captured` is the sum of the captures in the payments' histories.
pub(super) async fn check(
    snapshot: &Snapshot,
    report: &mut Report,
    captured: i64,
) -> Result<(), StorageError> {
    report.total("pieces in stock", snapshot.value(sum("stock", "products"), []).await?);
    let sold = Template::new(
        "SELECT CAST(COALESCE(SUM(l.quantity), 0) AS SIGNED) FROM order_lines l \
         JOIN orders o ON o.id = l.order_id WHERE o.status IN ({live})",
    );
    report.total("pieces in live orders", snapshot.value(sold.names("live", live()), []).await?);
    report.total("pieces moved in by hand", snapshot.value(sum("quantity", "stock_movements"), []).await?);
    report.total("points balance", snapshot.value(sum("balance", "users"), []).await?);
    report.total("points ledger", snapshot.value(sum("signed_amount", "point_ledger"), []).await?);
    let paid_by_card = orders(snapshot, report).await?;
    let refunds = "SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) FROM refunds WHERE state = ?";
    let refunded: i64 = snapshot.value(refunds, [REFUND_DONE.into()]).await?;
    let pending: i64 = snapshot.value(refunds, [REFUND_PENDING.into()]).await?;
    report.total("captured", captured);
    report.total("refunded", refunded);
    report.total("refund pending", pending);
    if captured - refunded - pending != paid_by_card {
        let detail = format!(
            "captured {captured}, refunded {refunded}, refund pending {pending}; PAID orders have {paid_by_card} by card"
        );
        report.violated(3, "captures".to_owned(), detail);
    }
    Ok(())
}

/// Counts orders by state; gives back the sum of the card parts of PAID ones.
async fn orders(snapshot: &Snapshot, report: &mut Report) -> Result<i64, StorageError> {
    let sql = "SELECT status, COUNT(*), CAST(SUM(total) AS SIGNED), CAST(SUM(card_part) AS SIGNED) FROM orders \
               GROUP BY status";
    let mut by_status = Vec::new();
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let name: String = row.take()?;
        let (orders, total, card): (i64, i64, i64) = (row.take()?, row.take()?, row.take()?);
        if let Some(status) = OrderStatus::parse(&name) {
            by_status.push((status, orders, total, card));
        } else {
            report.violated(3, "orders".to_owned(), format!("{orders} in {name}, no known state"));
        }
    }
    let of = |status| {
        by_status.iter().find(|(is, ..)| *is == status).map_or((0, 0, 0), |(_, n, t, c)| (*n, *t, *c))
    };
    for status in OrderStatus::ALL {
        report.total(orders_in(status), of(status).0);
    }
    let (_, paid, by_card) = of(OrderStatus::Paid);
    report.total("paid", paid);
    Ok(by_card)
}
