//! Our movements of a day.

use std::time::Duration;

use commerce_api_application::ports::{CapturePosition, RefundPosition, StorageError};
use commerce_api_domain::{MoneyMovement, OurMovement, PaymentId, PaymentStatus, Timestamp};
use commerce_database::{Dialect, Template};
use sea_orm::sea_query::{Order, Query};
use sea_orm::{ConnectionTrait, Statement, Value};
use uuid::Uuid;

use crate::sql::decode::Columns;
use crate::sql::error::orm;
use crate::sql::stores::query::{decoded, one};
use crate::sql::unit_of_work::orders::REFUND_DONE;

/// Ids tell about when a row was made; clocks of nodes differ by less than this.
const CLOCKS_APART: Duration = Duration::from_hours(1);

const CAPTURES: &str = "SELECT e.payment_id, e.seq, e.gateway_key, p.card_part, p.status, p.created_at, e.at \
     FROM payment_events e JOIN payments p ON p.id = e.payment_id \
     WHERE e.payment_id >= ? AND e.payment_id < ? AND (e.payment_id > ? OR (e.payment_id = ? AND e.seq > ?)) \
     AND e.event IN ({captured}) AND e.at >= ? AND e.at < ? ORDER BY e.payment_id, e.seq LIMIT {limit}";

const REFUNDS: &str = "SELECT r.settled_at, r.payment_id, r.gateway_key, r.amount, p.status, r.created_at \
     FROM refunds r JOIN payments p ON p.id = r.payment_id \
     WHERE r.settled_at >= ? AND r.settled_at < ? AND r.state = ? \
     AND (r.settled_at > ? OR r.payment_id > ? OR (r.payment_id = ? AND r.gateway_key > ?)) \
     ORDER BY r.settled_at, r.payment_id, r.gateway_key LIMIT {limit}";

/// The lowest id of the millisecond of `at`.
fn first_id(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or_default();
    Uuid::from_u128(u128::from(millis) << 80)
}

fn limited(text: &'static str, limit: u64) -> Template {
    Template::new(text).number("limit", i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Payments are read in the order of their ids, of those that were made since `made_since`: no index of their events by time
/// is kept for this.
pub(super) fn captures(
    dialect: Dialect,
    (from, to): (Timestamp, Timestamp),
    made_since: Timestamp,
    after: Option<CapturePosition>,
    limit: u64,
) -> Statement {
    let (payment, seq) = after.map_or((Uuid::nil(), 0), |(payment, seq)| (payment.0, seq));
    let (first, end) = (first_id(made_since.minus(CLOCKS_APART)), first_id(to.plus(CLOCKS_APART)));
    let values: [Value; 7] = [
        first.max(payment).into(),
        end.into(),
        payment.into(),
        payment.into(),
        seq.into(),
        from.as_micros().into(),
        to.as_micros().into(),
    ];
    limited(CAPTURES, limit)
        .names("captured", ["CAPTURED", "CAPTURED_LATE", "DUPLICATE_CAPTURED"])
        .statement(dialect, values)
}

pub(super) async fn read_captures(
    reader: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<(CapturePosition, OurMovement)>, StorageError> {
    let rows = reader.query_all_raw(statement).await.map_err(orm)?;
    decoded(&rows, |row| {
        let (payment, seq) = (PaymentId(row.take()?), row.take()?);
        let ours = OurMovement {
            payment,
            movement: MoneyMovement::Capture,
            key: row.text()?,
            amount: row.money("card part")?,
            status: row.named("payment status", PaymentStatus::parse)?,
            is_settled: true,
            from: row.time()?,
            at: row.time()?,
        };
        Ok(((payment, seq), ours))
    })
}

pub(super) fn refunds(
    dialect: Dialect,
    (from, to): (Timestamp, Timestamp),
    after: Option<RefundPosition>,
    limit: u64,
) -> Statement {
    let (at, payment, key) = after.map_or_else(
        || (from.as_micros().saturating_sub(1), Uuid::nil(), String::new()),
        |(at, payment, key)| (at.as_micros(), payment.0, key.to_string()),
    );
    let values: [Value; 7] = [
        from.as_micros().max(at).into(),
        to.as_micros().into(),
        REFUND_DONE.into(),
        at.into(),
        payment.into(),
        payment.into(),
        key.into(),
    ];
    limited(REFUNDS, limit).statement(dialect, values)
}

pub(super) async fn read_refunds(
    reader: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<(RefundPosition, OurMovement)>, StorageError> {
    let rows = reader.query_all_raw(statement).await.map_err(orm)?;
    decoded(&rows, |row| {
        let (at, payment, key) = (row.time()?, PaymentId(row.take()?), row.text()?);
        let ours = OurMovement {
            payment,
            movement: MoneyMovement::Refund,
            key: key.clone(),
            amount: row.money("refund")?,
            status: row.named("payment status", PaymentStatus::parse)?,
            is_settled: true,
            from: row.time()?,
            at,
        };
        Ok(((at, payment, key), ours))
    })
}

pub(super) async fn first_payment_at(
    reader: &impl ConnectionTrait,
) -> Result<Option<Timestamp>, StorageError> {
    let mut first = Query::select();
    first.column("created_at").from("payments").order_by("id", Order::Asc).limit(1);
    one(reader, &first, made_at).await
}

fn made_at(row: &mut Columns<'_>) -> Result<Timestamp, StorageError> {
    row.time()
}
