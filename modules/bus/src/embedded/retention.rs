//! Records are kept for a time, whoever read them.

use std::sync::Weak;

use commerce_database::{DatabaseError, Template};
use sea_orm::ConnectionTrait as _;

use super::Inner;
use super::schema::place;

/// Records of one transaction.
const STEP: u64 = 1_000;

/// Partitions whose first record is past its time.
const OLD: &str = "SELECT p.id FROM log_partitions p WHERE (SELECT r.kept_at FROM log_records r \
     WHERE r.place >= p.id * 1099511627776 AND r.place < (p.id + 1) * 1099511627776 \
     ORDER BY r.place LIMIT 1) < ? ORDER BY p.id";

/// The old ones among the first records of a partition.
const PURGE: &str = "DELETE FROM log_records WHERE place IN (SELECT place FROM (\
     SELECT place, kept_at FROM log_records WHERE place >= ? AND place < ? ORDER BY place LIMIT ?) \
     WHERE kept_at < ?)";

/// Purges from time to time, until the log is gone.
pub(super) async fn keep(inner: Weak<Inner>) {
    loop {
        let Some(every) = inner.upgrade().map(|inner| inner.options.purge_every) else { return };
        tokio::time::sleep(every).await;
        let Some(inner) = inner.upgrade() else { return };
        match purge(&inner, inner.clock.now_us()).await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "records of the event log were past their time"),
            Err(DatabaseError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the event log was not purged; it is tried again"),
        }
    }
}

/// Deletes what is older than the retention; gives back how many records.
pub(super) async fn purge(inner: &Inner, now_us: i64) -> Result<u64, DatabaseError> {
    let retention_us = i64::try_from(inner.options.retention.as_micros()).unwrap_or(i64::MAX);
    let before = now_us.saturating_sub(retention_us);
    let old = Template::new(OLD).statement(inner.db.dialect(), [before.into()]);
    let mut purged = 0;
    for row in inner.db.reader_named("log_old").query_all_raw(old).await? {
        let id: i64 = row.try_get_by_index(0)?;
        loop {
            let step = purge_step(inner, id, before).await?;
            purged += step;
            metrics::counter!("commerce_bus_purged_total").increment(step);
            if step < STEP {
                break;
            }
        }
    }
    Ok(purged)
}

async fn purge_step(inner: &Inner, partition_id: i64, before: i64) -> Result<u64, DatabaseError> {
    let step = inner.db.write("log_purge", move |tx| {
        Box::pin(async move {
            let (from, to) = (place(partition_id, 0), place(partition_id + 1, 0));
            let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
            let values = [from.into(), to.into(), limit.into(), before.into()];
            let deleted = tx.execute_raw(Template::new(PURGE).statement(tx.dialect(), values)).await?;
            Ok::<_, DatabaseError>(deleted.rows_affected())
        })
    });
    step.await
}
