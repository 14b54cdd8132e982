//! Invariant 3: a payment is the fold of its events, and fits its order and its refunds.

use std::collections::BTreeMap;

use commerce_api_application::ports::StorageError;
use commerce_api_domain::{
    OrderStatus, Payment, PaymentEvent, PaymentEventRecord, PaymentId, PaymentStatus, UserId, pair_is_allowed,
};
use commerce_database::Template;
use uuid::Uuid;

use super::report::{ROWS_MAX, Report};
use super::snapshot::Snapshot;
use crate::sql::decode::{Columns, PAYMENT_COLUMNS, PAYMENT_EVENT_COLUMNS};
use crate::sql::unit_of_work::orders::{REFUND_DONE, REFUND_PENDING};

/// Payments that are in memory at once.
const CHUNK: u32 = 2_000;

/// Gives back the sum of the captures.
pub(super) async fn check(snapshot: &Snapshot, report: &mut Report) -> Result<i128, StorageError> {
    let mut sums = Sums::default();
    let mut after = Uuid::nil();
    loop {
        let chunk = chunk(snapshot, after).await?;
        let Some(last) = chunk.last().map(|(id, _)| id.0) else { break };
        let mut events = events(snapshot, after, last).await?;
        let mut refunds = refunds(snapshot, after, last).await?;
        for (id, row) in chunk {
            let events = events.remove(&id).unwrap_or_default();
            sums.payments += 1;
            sums.events += events.len() as u64;
            let refunds = refunds.remove(&id).unwrap_or_default();
            let problems = match (row, events.into_iter().collect::<Decoded<Vec<_>>>()) {
                (Ok(row), Ok(events)) => {
                    sums.captured += captured(&row.payment, &events);
                    row.problems(&events, &refunds)
                }
                (Err(undecodable), _) | (_, Err(undecodable)) => vec![undecodable],
            };
            for detail in problems {
                report.violated(3, format!("payment:{id}"), detail);
            }
        }
        after = last;
    }
    report.checked("payments", sums.payments);
    report.checked("payment events", sums.events);
    orphans(snapshot, report).await?;
    Ok(sums.captured)
}

#[derive(Default)]
struct Sums {
    payments: u64,
    events: u64,
    captured: i128,
}

struct Row {
    payment: Payment,
    order: Option<(UserId, OrderStatus)>,
}

struct Refund {
    gateway_key: String,
    amount: i64,
    state: String,
}

/// A row that does not decode is a finding, not the end of the audit.
type Decoded<T> = Result<T, String>;

fn decoded<T>(decoded: Result<T, StorageError>) -> Decoded<T> {
    decoded.map_err(|error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    })
}

async fn chunk(snapshot: &Snapshot, after: Uuid) -> Result<Vec<(PaymentId, Decoded<Row>)>, StorageError> {
    let columns = PAYMENT_COLUMNS.iter().map(|name| Template::new("p.{name}").identifier("name", name));
    let sql = Template::new(
        "SELECT {columns}, o.user_id, o.status FROM payments p LEFT JOIN orders o ON o.id = p.order_id \
         WHERE p.id > ? ORDER BY p.id LIMIT {chunk}",
    )
    .fragments("columns", ", ", columns)
    .number("chunk", CHUNK);
    let rows = snapshot.rows(sql, [after.into()]).await?;
    rows.iter()
        .map(|row| {
            let id = PaymentId(Columns::of(row).take()?);
            Ok((id, decoded(Row::decode(Columns::of(row)))))
        })
        .collect()
}

async fn events(
    snapshot: &Snapshot,
    after: Uuid,
    last: Uuid,
) -> Result<BTreeMap<PaymentId, Vec<Decoded<PaymentEventRecord>>>, StorageError> {
    let sql = Template::new(
        "SELECT {columns} FROM payment_events WHERE payment_id > ? AND payment_id <= ? ORDER BY payment_id, seq",
    )
    .identifiers("columns", PAYMENT_EVENT_COLUMNS.iter().copied());
    let mut events: BTreeMap<PaymentId, Vec<Decoded<PaymentEventRecord>>> = BTreeMap::new();
    for row in snapshot.rows(sql, [after.into(), last.into()]).await? {
        let payment = PaymentId(Columns::of(&row).take()?);
        events.entry(payment).or_default().push(decoded(Columns::of(&row).payment_event()));
    }
    Ok(events)
}

async fn refunds(
    snapshot: &Snapshot,
    after: Uuid,
    last: Uuid,
) -> Result<BTreeMap<PaymentId, Vec<Refund>>, StorageError> {
    let sql = "SELECT payment_id, gateway_key, amount, state FROM refunds \
               WHERE payment_id > ? AND payment_id <= ? ORDER BY payment_id, gateway_key";
    let mut refunds: BTreeMap<PaymentId, Vec<Refund>> = BTreeMap::new();
    for row in snapshot.rows(sql, [after.into(), last.into()]).await? {
        let mut row = Columns::of(&row);
        let payment = PaymentId(row.take()?);
        let refund = Refund { gateway_key: row.take()?, amount: row.take()?, state: row.take()? };
        refunds.entry(payment).or_default().push(refund);
    }
    Ok(refunds)
}

fn captured(payment: &Payment, events: &[PaymentEventRecord]) -> i128 {
    let captures = events.iter().filter(|record| {
        matches!(
            record.event,
            PaymentEvent::Captured { .. }
                | PaymentEvent::CapturedLate { .. }
                | PaymentEvent::DuplicateCaptured { .. }
        )
    });
    captures.map(|_| i128::from(payment.card_part.won())).sum()
}

impl Row {
    fn decode(mut row: Columns<'_>) -> Result<Self, StorageError> {
        let payment = row.payment()?;
        let order = match row.take::<Option<i64>>()?.map(UserId) {
            Some(user) => Some((user, row.named("order status", OrderStatus::parse)?)),
            None => None,
        };
        Ok(Self { payment, order })
    }

    fn problems(&self, events: &[PaymentEventRecord], refunds: &[Refund]) -> Vec<String> {
        let fold = fold_problem(&self.payment, events);
        [fold, self.order_problem(), self.refund_problem(refunds)].into_iter().flatten().collect()
    }

    fn order_problem(&self) -> Option<String> {
        let payment = &self.payment;
        match self.order {
            None => Some(format!("of order {}, which does not exist", payment.order)),
            Some((user, _)) if user != payment.user => {
                Some(format!("of user {}, its order of user {user}", payment.user))
            }
            Some((_, order)) if !pair_is_allowed(order, payment.status) => {
                Some(format!("{} with an order in {}", payment.status.name(), order.name()))
            }
            Some(_) => None,
        }
    }

    /// Each capture is refunded whole, once; without a card part there is nothing to refund.
    fn refund_problem(&self, refunds: &[Refund]) -> Option<String> {
        let payment = &self.payment;
        let state = |done: bool| if done { REFUND_DONE } else { REFUND_PENDING };
        let mut expected: Vec<(&str, &str)> =
            payment.duplicates.iter().map(|known| (&*known.key, state(known.refunded))).collect();
        if matches!(payment.status, PaymentStatus::RefundPending | PaymentStatus::Refunded)
            && !payment.card_part.is_zero()
        {
            let done = payment.status == PaymentStatus::Refunded;
            expected.push((payment.gateway_key.as_deref().unwrap_or_default(), state(done)));
        }
        expected.sort_unstable();
        let found: Vec<(&str, &str)> =
            refunds.iter().map(|refund| (&*refund.gateway_key, &*refund.state)).collect();
        let whole = refunds.iter().all(|refund| refund.amount == payment.card_part.won());
        (expected != found || !whole).then(|| {
            let rows: Vec<_> =
                refunds.iter().map(|refund| format!("{} {}", refund.state, refund.amount)).collect();
            format!(
                "{} with a card part of {} and {} duplicates, refunds [{}]",
                payment.status.name(),
                payment.card_part,
                payment.duplicates.len(),
                rows.join(", ")
            )
        })
    }
}

/// How the stored row and the stored history differ from the fold, if they do.
fn fold_problem(payment: &Payment, events: &[PaymentEventRecord]) -> Option<String> {
    let mut folded = match payment.refold([]) {
        Ok(start) => start,
        Err(error) => return Some(error.to_string()),
    };
    for stored in events {
        match folded.apply(stored.event.clone(), stored.at) {
            Ok(record) if record == *stored => {}
            Ok(record) => {
                return Some(format!(
                    "event {} {} says {} attempt {}, the fold says event {} {} attempt {}",
                    stored.seq,
                    stored.event.name(),
                    stored.status.name(),
                    stored.attempt,
                    record.seq,
                    record.status.name(),
                    record.attempt
                ));
            }
            Err(error) => return Some(error.to_string()),
        }
    }
    (events.is_empty() || folded != *payment).then(|| {
        format!(
            "{} after {} events, attempt {}; its {} events fold to {}, attempt {}, or to another key, reason or time",
            payment.status.name(),
            payment.event_seq,
            payment.attempt,
            events.len(),
            folded.status.name(),
            folded.attempt
        )
    })
}

/// Orders without a payment, and events of payments that do not exist.
async fn orphans(snapshot: &Snapshot, report: &mut Report) -> Result<(), StorageError> {
    let sql = Template::new(
        "SELECT o.id FROM orders o LEFT JOIN payments p ON p.order_id = o.id WHERE p.id IS NULL \
         ORDER BY o.id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let order: Uuid = Columns::of(&row).take()?;
        report.violated(3, format!("order:{order}"), "without a payment".to_owned());
    }
    let sql = Template::new(
        "SELECT DISTINCT e.payment_id FROM (SELECT payment_id FROM payment_events UNION SELECT payment_id FROM refunds) e \
         LEFT JOIN payments p ON p.id = e.payment_id WHERE p.id IS NULL ORDER BY e.payment_id LIMIT {max}",
    )
    .number("max", ROWS_MAX);
    for row in snapshot.rows(sql, []).await? {
        let payment: Uuid = Columns::of(&row).take()?;
        report.violated(
            3,
            format!("payment:{payment}"),
            "events or refunds of a payment that does not exist".to_owned(),
        );
    }
    Ok(())
}
