//! The durable log embedded in `SQLite`: the event bus of one machine, for any number of processes on it.
//!
//! Every record is a row of one table whose key is its partition and its offset, so that appending writes at the end of
//! a range and reading is one range of an index. A record is acknowledged when the transaction that holds it is
//! committed. Groups keep their members, assignments and offsets in tables of the same file.

mod append;
mod consumer;
mod ends;
mod file;
mod membership;
mod options;
mod producer;
mod reader;
mod record;
mod retention;
mod schema;
mod share;

pub use file::LogFile;
pub use options::EmbeddedOptions;

use std::path::Path;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use commerce_database::{
    Column, Database, DatabaseError, SqliteOptions, Template, Upsert, WriteTransaction, migrate,
};
use commerce_runtime::Clock;
use sea_orm::{ConnectionTrait as _, QueryResult};
use tokio::sync::{mpsc, watch};

use crate::{BusError, EventBus, GroupConsumer, PartitionLag, Producer, TopicSpec};
use append::{Job, Writer, unavailable};
use consumer::EmbeddedMember;
use ends::Ends;
use membership::Membership;
use producer::EmbeddedProducer;

pub(crate) fn describe_metrics() {
    metrics::describe_histogram!("commerce_bus_append_records", "Records of one append to the event log");
    metrics::describe_counter!(
        "commerce_bus_purged_total",
        "Records of the event log that were past their time"
    );
}

/// The log. Clones share it; it closes with the last of them and of what they gave out, or by [`Self::close`].
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
}

/// How far a partition reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEnd {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record that will be kept.
    pub end: i64,
}

struct Inner {
    db: Database,
    clock: Arc<dyn Clock>,
    options: EmbeddedOptions,
    jobs: mpsc::Sender<Job>,
    ends: Arc<Ends>,
    /// Counts what moved between members in this process, so that all of them look.
    moves: watch::Sender<u64>,
}

impl Inner {
    fn tell_moved(&self) {
        self.moves.send_modify(|moves| *moves += 1);
    }
}

impl EmbeddedLog {
    /// Opens the file, creating it if needed, brings it to the schema of this code, and starts what works in the
    /// background on the current runtime.
    pub async fn open(options: EmbeddedOptions, clock: Arc<dyn Clock>) -> Result<Self, DatabaseError> {
        let sqlite = SqliteOptions { durable: options.durable, ..SqliteOptions::new(&options.path) };
        let db = Database::open_sqlite(sqlite).await?;
        migrate(&db, schema::STEPS, clock.now_us()).await?;
        if options.alone {
            db.write("group_forget", |tx| Box::pin(forget_members(tx))).await?;
        }
        let (jobs, waiting) = mpsc::channel(options.queue_max.max(1));
        let ends = Arc::new(Ends::default());
        tokio::spawn(Writer::new(db.clone(), clock.clone(), ends.clone(), waiting, &options).run());
        let inner = Arc::new(Inner { db, clock, options, jobs, ends, moves: watch::Sender::new(0) });
        inner.look_for_ends().await?;
        tokio::spawn(retention::keep(Arc::downgrade(&inner)));
        if !inner.options.alone {
            tokio::spawn(poll(Arc::downgrade(&inner)));
        }
        Ok(Self { inner })
    }

    /// The database behind it, for backups.
    pub fn database(&self) -> &Database {
        &self.inner.db
    }

    /// Deletes what is older than the retention at `now_us` (microseconds since the epoch), in bounded steps; gives back
    /// how many records. Offsets are not used again. It happens by itself from time to time.
    pub async fn purge(&self, now_us: i64) -> Result<u64, BusError> {
        retention::purge(&self.inner, now_us).await.map_err(unavailable)
    }

    /// How far the partitions of the log at `path` reach, read beside whoever writes it; nothing where there is no log.
    pub async fn ends_of(path: &Path) -> Result<Vec<PartitionEnd>, DatabaseError> {
        let Some(db) = Database::open_sqlite_read_only(&SqliteOptions::new(path)).await? else {
            return Ok(Vec::new());
        };
        let statement = Template::new(ENDS).statement(db.dialect(), []);
        let rows = db.reader_named("log_ends").query_all_raw(statement).await?;
        let end = |row: &QueryResult| {
            Ok(PartitionEnd {
                topic: row.try_get_by_index(0)?,
                partition: row.try_get_by_index(1)?,
                end: row.try_get_by_index(2)?,
            })
        };
        rows.iter().map(end).collect()
    }

    /// Closes the file for every clone and for what they gave out: later calls get [`BusError::Closed`]. What waited to
    /// be written is written first.
    pub async fn close(self) {
        // Nothing, at the end of the queue: it is answered when all before it is done.
        let db = self.inner.db.clone();
        let (reply, answered) = tokio::sync::oneshot::channel();
        let last = Job::Publish { records: Vec::new(), reply };
        if self.inner.jobs.send(last).await.is_ok() {
            drop(answered.await);
        }
        db.close().await;
    }
}

async fn forget(tx: &WriteTransaction) -> Result<(), DatabaseError> {
    tx.execute_raw(Template::new("DELETE FROM group_members").statement(tx.dialect(), [])).await?;
    Ok(())
}

fn forget_members(tx: &WriteTransaction) -> commerce_database::BoxFuture<'_, Result<(), DatabaseError>> {
    Box::pin(forget(tx))
}

const ENDS: &str = "SELECT topic, partition, next_offset FROM log_partitions";

impl Inner {
    /// Learns how far the partitions reach.
    async fn look_for_ends(&self) -> Result<(), DatabaseError> {
        let statement = Template::new(ENDS).statement(self.db.dialect(), []);
        for row in self.db.reader_named("log_ends").query_all_raw(statement).await? {
            let topic: String = row.try_get_by_index(0)?;
            self.ends.advance(&topic, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        }
        Ok(())
    }
}

/// Looks for what other processes published, until the log is gone.
async fn poll(inner: Weak<Inner>) {
    loop {
        let Some(every) = inner.upgrade().map(|inner| inner.options.poll) else { return };
        tokio::time::sleep(every).await;
        let Some(inner) = inner.upgrade() else { return };
        match inner.look_for_ends().await {
            Ok(()) => {}
            Err(DatabaseError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the event log could not be looked at; it is tried again"),
        }
    }
}

const TOPIC: Upsert = Upsert {
    table: "log_partitions",
    columns: &[Column::text("topic"), Column::int("partition"), Column::int("next_offset")],
    key: &["topic", "partition"],
    update: &[],
};

const KNOWN: &str = "SELECT DISTINCT topic FROM log_partitions";

async fn ensure(tx: &WriteTransaction, topics: &[TopicSpec]) -> Result<(), DatabaseError> {
    let known = tx.query_all_raw(Template::new(KNOWN).statement(tx.dialect(), [])).await?;
    let known = known.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
    let mut rows = TOPIC.rows();
    for topic in topics.iter().filter(|topic| known.iter().all(|known| known != topic.name)) {
        for partition in 0..topic.partitions.max(1) {
            rows.push([topic.name.into(), partition.into(), 0_i64.into()]);
        }
    }
    if !rows.is_empty() {
        tx.execute_raw(TOPIC.statement(tx.dialect(), &rows)).await?;
    }
    Ok(())
}

const LAG: &str = "SELECT p.topic, p.partition, p.next_offset, \
     COALESCE(g.committed, (SELECT MIN(r.place) - p.id * 1099511627776 FROM log_records r \
     WHERE r.place >= p.id * 1099511627776 AND r.place < (p.id + 1) * 1099511627776), p.next_offset) \
     FROM log_partitions p LEFT JOIN group_partitions g \
     ON g.group_name = ? AND g.topic = p.topic AND g.partition = p.partition ORDER BY p.topic, p.partition";

const EARLIEST: &str = "SELECT COALESCE((SELECT MIN(r.place) - p.id * 1099511627776 FROM log_records r \
     WHERE r.place >= p.id * 1099511627776 AND r.place < (p.id + 1) * 1099511627776), p.next_offset) \
     FROM log_partitions p WHERE p.topic = ? AND p.partition = ?";

#[async_trait]
impl EventBus for EmbeddedLog {
    async fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let topics: Arc<[TopicSpec]> = topics.into();
        let ensured = self.inner.db.write("log_topics", move |tx| {
            let topics = topics.clone();
            Box::pin(async move { ensure(tx, &topics).await })
        });
        ensured.await.map_err(unavailable)?;
        // Members that came before the topic are given its partitions now.
        self.inner.tell_moved();
        Ok(())
    }

    fn producer(&self) -> Arc<dyn Producer> {
        Arc::new(EmbeddedProducer { inner: self.inner.clone() })
    }

    async fn join(&self, group: &str, topics: &[&str]) -> Result<Box<dyn GroupConsumer>, BusError> {
        let membership = Membership {
            db: self.inner.db.clone(),
            group: group.into(),
            id: commerce_runtime::uuid_v7(self.inner.clock.now_us()),
            topics: Arc::new(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            session: self.inner.options.session,
        };
        Ok(Box::new(EmbeddedMember::join(self.inner.clone(), membership).await?))
    }

    async fn lag(&self, group: &str, topics: &[&str]) -> Result<Vec<PartitionLag>, BusError> {
        let statement = Template::new(LAG).statement(self.inner.db.dialect(), [group.into()]);
        let rows =
            self.inner.db.reader_named("log_lag").query_all_raw(statement).await.map_err(unavailable)?;
        let mut lags = Vec::new();
        for row in rows {
            let topic: String = row.try_get_by_index(0).map_err(unavailable)?;
            if !topics.contains(&topic.as_str()) {
                continue;
            }
            let partition = row.try_get_by_index(1).map_err(unavailable)?;
            let end: i64 = row.try_get_by_index(2).map_err(unavailable)?;
            let committed: i64 = row.try_get_by_index(3).map_err(unavailable)?;
            lags.push(PartitionLag { topic, partition, end, committed, lag: (end - committed).max(0) });
        }
        Ok(lags)
    }

    async fn earliest(&self, topic: &str, partition: i32) -> Result<i64, BusError> {
        let statement =
            Template::new(EARLIEST).statement(self.inner.db.dialect(), [topic.into(), partition.into()]);
        let reader = self.inner.db.reader_named("log_earliest");
        match reader.query_one_raw(statement).await.map_err(unavailable)? {
            Some(row) => row.try_get_by_index(0).map_err(unavailable),
            None => Err(BusError::Refused(format!("there is no partition {partition} of topic {topic}"))),
        }
    }
}
