//! Invariant 6: somebody will visit every payment that is not final or has a refund that is due; and no card number is
//! kept that need not be sent any more.

use std::time::Duration;

use commerce_api_application::ports::StorageError;
use commerce_api_domain::{OrderStatus, PaymentStatus, Timestamp};
use commerce_database::Template;
use uuid::Uuid;

use super::report::{ROWS_MAX, Report};
use super::snapshot::{Snapshot, final_states};
use crate::sql::decode::Columns;
use crate::sql::unit_of_work::orders::REFUND_PENDING;

/// The longest that the dispatcher waits between two visits.
const BACKOFF_MAX: Duration = Duration::from_mins(10);

pub(super) async fn check(
    snapshot: &Snapshot,
    report: &mut Report,
    now: Timestamp,
) -> Result<(), StorageError> {
    let open = Template::new("SELECT COUNT(*) FROM payments WHERE status NOT IN ({done})");
    let open: i64 = snapshot.value(open.names("done", final_states()), []).await?;
    report.checked("open payments", u64::try_from(open).unwrap_or_default());
    let latest = now.plus(BACKOFF_MAX).as_micros();
    unvisited(snapshot, report, latest).await?;
    unvisited_refunds(snapshot, report).await?;
    needless_numbers(snapshot, report).await?;
    overdue(snapshot, report, now).await
}

async fn unvisited_refunds(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT DISTINCT r.payment_id FROM refunds r LEFT JOIN payment_checks c ON c.payment_id = r.payment_id \
         WHERE r.state = ? AND c.payment_id IS NULL ORDER BY r.payment_id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, [REFUND_PENDING.into()]).await? {
        let payment: Uuid = Columns::of(&row).take()?;
        report.violated(6, format!("payment:{payment}"), "a refund is due, without a check".to_owned());
    }
    Ok(())
}

async fn needless_numbers(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let needed = [PaymentStatus::Pending, PaymentStatus::Requesting, PaymentStatus::Unknown];
    let sql = Template::new(
        "SELECT k.payment_id, COALESCE(p.status, 'no payment') FROM card_vault k \
         LEFT JOIN payments p ON p.id = k.payment_id LEFT JOIN orders o ON o.id = p.order_id \
         WHERE p.id IS NULL OR p.status NOT IN ({needed}) OR o.status IS NULL OR o.status NOT IN ({waiting}) \
         ORDER BY k.payment_id LIMIT {max}",
    )
    .names("needed", needed.map(PaymentStatus::name))
    .names("waiting", [OrderStatus::PaymentPending.name()])
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let mut row = Columns::of(&row);
        let (payment, status): (Uuid, String) = (row.take()?, row.take()?);
        report.violated(6, format!("payment:{payment}"), format!("{status}, its card number is still kept"));
    }
    Ok(())
}

async fn unvisited(snapshot: &Snapshot, report: &mut Report, latest: i64) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT p.id, p.status, c.next_check_at FROM payments p LEFT JOIN payment_checks c ON c.payment_id = p.id \
         WHERE p.status NOT IN ({done}) AND (c.payment_id IS NULL OR c.next_check_at > ?) \
         ORDER BY p.id LIMIT {max}",
    )
    .names("done", final_states())
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, [latest.into()]).await? {
        let mut row = Columns::of(&row);
        let (payment, status): (Uuid, String) = (row.take()?, row.take()?);
        let detail = match row.take::<Option<i64>>()? {
            Some(due) => format!("{status}, its check is due only at {due} µs, after {latest} µs"),
            None => format!("{status} without a check"),
        };
        report.violated(6, format!("payment:{payment}"), detail);
    }
    Ok(())
}

async fn overdue(snapshot: &Snapshot, report: &mut Report, now: Timestamp) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT p.id, p.status, c.next_check_at FROM payments p JOIN payment_checks c ON c.payment_id = p.id \
         WHERE p.status NOT IN ({done}) AND c.next_check_at < ? ORDER BY p.id LIMIT {max}",
    )
    .names("done", final_states())
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, [now.as_micros().into()]).await? {
        let mut row = Columns::of(&row);
        let (payment, status, due): (Uuid, String, i64) = (row.take()?, row.take()?, row.take()?);
        let late = now.as_micros().saturating_sub(due);
        report.lags(6, format!("payment:{payment}"), format!("{status}, its check is {late} µs overdue"));
    }
    Ok(())
}
