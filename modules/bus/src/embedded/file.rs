//! The log's file as whoever does not write it reads it, outside of any group.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_database::{Database, DatabaseError, ReadOnlyDatabase, SqliteOptions, Template};
use commerce_runtime::Clock;
use sea_orm::ConnectionTrait as _;

use super::append::unavailable;
use super::record::received;
use crate::{BusError, LogReader, Reach, Received};

/// The file of a log that another process writes, or nobody.
pub struct LogFile {
    db: ReadOnlyDatabase,
    retention: Duration,
    clock: Arc<dyn Clock>,
}

impl LogFile {
    /// Opens the log at `path`, which keeps records for `retention`; none where there is no log.
    pub async fn open(
        path: &Path,
        retention: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, DatabaseError> {
        let db = Database::open_sqlite_read_only(&SqliteOptions::new(path)).await?;
        Ok(db.map(|db| Self { db, retention, clock }))
    }
}

const REACHES: &str = "SELECT p.topic, p.partition, p.next_offset, r.place - p.id * 1099511627776, r.kept_at \
     FROM log_partitions p LEFT JOIN log_records r ON r.place = (SELECT MIN(f.place) FROM log_records f \
     WHERE f.place >= p.id * 1099511627776 AND f.place < (p.id + 1) * 1099511627776) \
     ORDER BY p.topic, p.partition";

const READ: &str = "SELECT r.place, r.record_key, r.headers, r.value, r.kept_at FROM log_partitions p \
     JOIN log_records r ON r.place >= p.id * 1099511627776 + ? AND r.place < (p.id + 1) * 1099511627776 \
     WHERE p.topic = ? AND p.partition = ? ORDER BY r.place LIMIT ?";

#[async_trait]
impl LogReader for LogFile {
    async fn reaches(&self, topics: &[&str]) -> Result<Vec<Reach>, BusError> {
        let retention_us = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
        let purged_before = self.clock.now_us().saturating_sub(retention_us);
        let statement = Template::new(REACHES).statement(self.db.dialect(), []);
        let rows = self.db.reader_named("log_reaches").query_all_raw(statement).await.map_err(unavailable)?;
        let mut reaches = Vec::with_capacity(rows.len());
        for row in rows {
            let topic: String = row.try_get_by_index(0).map_err(unavailable)?;
            if !topics.contains(&topic.as_str()) {
                continue;
            }
            let end: i64 = row.try_get_by_index(2).map_err(unavailable)?;
            let earliest: Option<i64> = row.try_get_by_index(3).map_err(unavailable)?;
            let first_kept_at_us: Option<i64> = row.try_get_by_index(4).map_err(unavailable)?;
            let earliest = earliest.unwrap_or(end);
            // What is younger than the retention was never purged; nor was anything after the first that is there.
            let complete_since_us = (earliest > 0)
                .then(|| first_kept_at_us.map_or(purged_before, |first| first.min(purged_before)));
            let partition = row.try_get_by_index(1).map_err(unavailable)?;
            reaches.push(Reach { topic, partition, earliest, end, first_kept_at_us, complete_since_us });
        }
        Ok(reaches)
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        max: usize,
    ) -> Result<Vec<Received>, BusError> {
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let values = [from.into(), topic.into(), partition.into(), limit.into()];
        let statement = Template::new(READ).statement(self.db.dialect(), values);
        let rows = self.db.reader_named("log_read").query_all_raw(statement).await.map_err(unavailable)?;
        rows.iter().map(|row| received(topic, partition, row)).collect()
    }
}
