//! Sums that people ask for, and the one rule that holds between sums.

use commerce_api_application::ports::StorageError;
use commerce_api_domain::OrderStatus;
use commerce_database::Template;

use super::report::Report;
use super::snapshot::{Snapshot, live};
use super::sums;
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

/// `captured` is the sum of the captures in the payments' histories.
pub(super) async fn check(
    snapshot: &Snapshot,
    report: &mut Report,
    captured: i128,
) -> Result<(), StorageError> {
    report.total("pieces in stock", snapshot.sum("stock", "products", []).await?);
    let sold = "order_lines l JOIN orders o ON o.id = l.order_id WHERE o.status IN ({live})";
    let sold = Template::new(sold).names("live", live());
    report.total("pieces in live orders", snapshot.sum("l.quantity", sold, []).await?);
    report.total("pieces moved in by hand", snapshot.sum("quantity", "stock_movements", []).await?);
    report.total("points balance", snapshot.sum("balance", "users", []).await?);
    report.total("points ledger", snapshot.sum("signed_amount", "point_ledger", []).await?);
    let paid_by_card = orders(snapshot, report).await?;
    let refunds = "refunds WHERE state = ?";
    let refunded = snapshot.sum("amount", refunds, [REFUND_DONE.into()]).await?;
    let pending = snapshot.sum("amount", refunds, [REFUND_PENDING.into()]).await?;
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
async fn orders(snapshot: &Snapshot, report: &mut Report) -> Result<i128, StorageError> {
    let sql = Template::new("SELECT status, COUNT(*), {total}, {card} FROM orders GROUP BY status")
        .fragment("total", sums::parts("total"))
        .fragment("card", sums::parts("card_part"));
    let mut by_status = Vec::new();
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let name: String = row.take()?;
        let orders: i64 = row.take()?;
        let (total, card) = (sums::take(&mut row)?, sums::take(&mut row)?);
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
