//! The one task that writes: whatever waits goes into one transaction, and while it commits the next one forms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use commerce_database::{
    Column, Database, DatabaseError, Lock, RowValue, Select, Template, Update, WriteTransaction,
};
use commerce_runtime::Clock;
use sea_orm::ConnectionTrait as _;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::ends::Ends;
use super::options::EmbeddedOptions;
use super::record::{self, as_text};
use super::schema::place;
use crate::{Assignment, BoxError, BusError, Position, partition_of};

/// A record, ready for the file.
#[derive(Debug)]
pub(super) struct Prepared {
    pub topic: String,
    pub key: String,
    /// JSON.
    pub headers: String,
    pub value: Bytes,
    pub size: usize,
}

/// Where each record of a call was put; none where its topic does not exist.
pub(super) type Placed = Vec<Option<Position>>;

/// A member's wish to commit an offset.
#[derive(Debug, Clone)]
pub(super) struct OffsetCommit {
    pub group: Arc<str>,
    pub member: Uuid,
    pub assignment: Assignment,
    pub next: i64,
}

/// What waits to be written.
pub(super) enum Job {
    Publish {
        records: Vec<Prepared>,
        reply: oneshot::Sender<Result<Placed, BusError>>,
    },
    /// Answered with whether the partition was still the member's.
    Commit {
        commit: OffsetCommit,
        reply: oneshot::Sender<Result<bool, BusError>>,
    },
}

impl Job {
    fn weight(&self) -> (usize, usize) {
        match self {
            Self::Publish { records, .. } => (records.len(), records.iter().map(|record| record.size).sum()),
            Self::Commit { .. } => (1, 0),
        }
    }
}

/// The rows of one transaction.
#[derive(Default)]
struct Rows {
    publishes: Vec<Vec<Prepared>>,
    commits: Vec<OffsetCommit>,
}

/// What a transaction did.
#[derive(Default)]
struct Written {
    placed: Vec<Placed>,
    committed: Vec<bool>,
    /// The partitions that grew, and their ends now.
    ends: Vec<(String, i32, i64)>,
}

pub(super) struct Writer {
    pub db: Database,
    pub clock: Arc<dyn Clock>,
    pub ends: Arc<Ends>,
    pub jobs: mpsc::Receiver<Job>,
    pub records_max: usize,
    pub bytes_max: usize,
}

impl Writer {
    pub fn new(
        db: Database,
        clock: Arc<dyn Clock>,
        ends: Arc<Ends>,
        jobs: mpsc::Receiver<Job>,
        options: &EmbeddedOptions,
    ) -> Self {
        let (records_max, bytes_max) = (options.batch_records_max, options.batch_bytes_max);
        Self { db, clock, ends, jobs, records_max, bytes_max }
    }

    /// Runs until every handle is gone and nothing waits.
    pub async fn run(mut self) {
        let mut left_over = None;
        loop {
            let first = match left_over.take() {
                Some(job) => job,
                None => match self.jobs.recv().await {
                    Some(job) => job,
                    None => return,
                },
            };
            let batch = self.fill(first, &mut left_over);
            self.write(batch).await;
        }
    }

    /// Adds what waits to `first` while it fits; what does not fit any more is left over for the next.
    fn fill(&mut self, first: Job, left_over: &mut Option<Job>) -> Vec<Job> {
        let (mut records, mut bytes) = first.weight();
        let mut batch = vec![first];
        while let Ok(job) = self.jobs.try_recv() {
            let (more_records, more_bytes) = job.weight();
            if records + more_records > self.records_max || bytes + more_bytes > self.bytes_max {
                *left_over = Some(job);
                break;
            }
            records += more_records;
            bytes += more_bytes;
            batch.push(job);
        }
        batch
    }

    async fn write(&self, batch: Vec<Job>) {
        let (mut rows, mut publishers, mut committers) = (Rows::default(), Vec::new(), Vec::new());
        for job in batch {
            match job {
                Job::Publish { records, reply } => {
                    rows.publishes.push(records);
                    publishers.push(reply);
                }
                Job::Commit { commit, reply } => {
                    rows.commits.push(commit);
                    committers.push(reply);
                }
            }
        }
        let (rows, now_us) = (Arc::new(rows), self.clock.now_us());
        let written = self.db.write("log_append", move |tx| {
            let rows = rows.clone();
            Box::pin(async move { write_rows(tx, &rows, now_us).await })
        });
        match written.await {
            Ok(written) => {
                for (topic, partition, end) in &written.ends {
                    self.ends.advance(topic, *partition, *end);
                }
                // Whoever does not wait any more has gone away; what was written stays.
                for (reply, placed) in publishers.into_iter().zip(written.placed) {
                    drop(reply.send(Ok(placed)));
                }
                for (reply, committed) in committers.into_iter().zip(written.committed) {
                    drop(reply.send(Ok(committed)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the event log did not take a batch");
                let error = Arc::new(error);
                for reply in publishers {
                    drop(reply.send(Err(shared(&error))));
                }
                for reply in committers {
                    drop(reply.send(Err(shared(&error))));
                }
            }
        }
    }
}

fn shared(error: &Arc<DatabaseError>) -> BusError {
    match **error {
        DatabaseError::Closed => BusError::Closed,
        _ => BusError::Unavailable(Box::new(error.clone())),
    }
}

/// The port's error of a database's.
pub(super) fn unavailable(error: impl Into<BoxError>) -> BusError {
    let error: BoxError = error.into();
    match error.downcast_ref() {
        Some(DatabaseError::Closed) => BusError::Closed,
        _ => BusError::Unavailable(error),
    }
}

async fn write_rows(tx: &WriteTransaction, rows: &Rows, now_us: i64) -> Result<Written, DatabaseError> {
    let mut written = Written::default();
    if !rows.publishes.is_empty() {
        append(tx, &rows.publishes, now_us, &mut written).await?;
    }
    if !rows.commits.is_empty() {
        written.committed = commit_offsets(tx, &rows.commits).await?;
    }
    Ok(written)
}

const PARTITIONS: &str =
    "SELECT id, topic, partition, next_offset FROM log_partitions ORDER BY topic, partition";

const GROW: Update = Update {
    table: "log_partitions",
    columns: &[Column::int("id"), Column::int("next_offset")],
    keys: &["id"],
    set: &["next_offset"],
    expect: &[],
};

/// A partition and where its next record goes.
struct Tail {
    id: i64,
    next: i64,
    grew: bool,
}

async fn tails(tx: &WriteTransaction) -> Result<BTreeMap<String, Vec<Tail>>, DatabaseError> {
    let mut tails: BTreeMap<String, Vec<Tail>> = BTreeMap::new();
    for row in tx.query_all_raw(Template::new(PARTITIONS).statement(tx.dialect(), [])).await? {
        let tail = Tail { id: row.try_get_by_index(0)?, next: row.try_get_by_index(3)?, grew: false };
        // By partition, and there is no gap between them.
        tails.entry(row.try_get_by_index(1)?).or_default().push(tail);
    }
    Ok(tails)
}

async fn append(
    tx: &WriteTransaction,
    publishes: &[Vec<Prepared>],
    now_us: i64,
    written: &mut Written,
) -> Result<(), DatabaseError> {
    let mut tails = tails(tx).await?;
    let (mut texts, mut bytes) = (record::TEXTS.rows(), record::BYTES.rows());
    let mut put = |record: &Prepared| {
        let partitions = tails.get_mut(&record.topic)?;
        let partition = partition_of(&record.key, i32::try_from(partitions.len()).ok()?);
        let tail = partitions.get_mut(usize::try_from(partition).ok()?)?;
        let offset = tail.next;
        tail.next += 1;
        tail.grew = true;
        let place = place(tail.id, offset);
        match (as_text(record.key.as_bytes()), as_text(&record.value)) {
            (Some(key), Some(value)) => {
                texts.push([place.into(), key.into(), (&record.headers).into(), value.into(), now_us.into()]);
            }
            _ => bytes.push([
                place.into(),
                record.key.as_bytes().into(),
                record.headers.as_bytes().into(),
                (&*record.value).into(),
                now_us.into(),
            ]),
        }
        Some(Position { partition, offset })
    };
    written.placed = publishes.iter().map(|records| records.iter().map(&mut put).collect()).collect();
    for (insert, rows) in [(record::TEXTS, texts), (record::BYTES, bytes)] {
        if !rows.is_empty() {
            metrics::histogram!("commerce_bus_append_records").record(rows_f64(rows.len()));
            tx.execute_raw(insert.statement(tx.dialect(), &rows)).await?;
        }
    }
    let mut grown = GROW.rows();
    for (topic, partitions) in tails {
        for (partition, tail) in (0..).zip(partitions).filter(|(_, tail)| tail.grew) {
            grown.push([tail.id.into(), tail.next.into()]);
            written.ends.push((topic.clone(), partition, tail.next));
        }
    }
    if !grown.is_empty() {
        tx.execute_raw(GROW.statement(tx.dialect(), &grown)).await?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52 records")]
fn rows_f64(rows: usize) -> f64 {
    rows as f64
}

const OWNERS: Select = Select {
    table: "group_partitions",
    columns: &["group_name", "topic", "partition", "owner", "epoch"],
    keys: &[Column::text("group_name"), Column::text("topic"), Column::int("partition")],
    order: &[],
};

const COMMIT: Update = Update {
    table: "group_partitions",
    columns: &[
        Column::text("group_name"),
        Column::text("topic"),
        Column::int("partition"),
        Column::int("committed"),
    ],
    keys: &["group_name", "topic", "partition"],
    set: &["committed"],
    expect: &[],
};

fn key(commit: &OffsetCommit) -> [RowValue<'_>; 3] {
    let Assignment { topic, partition, .. } = &commit.assignment;
    [(&*commit.group).into(), topic.into(), (*partition).into()]
}

/// Commits the offsets of those who own their partition yet; tells of each whether it did. The transaction is alone, so
/// what is read stays true until the rows are written.
async fn commit_offsets(tx: &WriteTransaction, commits: &[OffsetCommit]) -> Result<Vec<bool>, DatabaseError> {
    type Key<'a> = (&'a str, &'a str, i32);
    let rows = tx.query_all_raw(OWNERS.by_rows(tx.dialect(), Lock::Update, commits.iter().map(key))).await?;
    let mut owned: BTreeSet<(String, String, i32, Uuid, i64)> = BTreeSet::new();
    for row in rows {
        if let Some(owner) = row.try_get_by_index::<Option<Uuid>>(3)? {
            let (group, topic) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            owned.insert((group, topic, row.try_get_by_index(2)?, owner, row.try_get_by_index(4)?));
        }
    }
    let mut newest: BTreeMap<Key<'_>, i64> = BTreeMap::new();
    let committed = commits
        .iter()
        .map(|commit| {
            let Assignment { topic, partition, epoch } = &commit.assignment;
            let by = (commit.group.to_string(), topic.clone(), *partition, commit.member, *epoch);
            let is_owner = owned.contains(&by);
            if is_owner {
                newest.insert((&*commit.group, topic, *partition), commit.next);
            }
            is_owner
        })
        .collect();
    let mut rows = COMMIT.rows();
    for ((group, topic, partition), next) in newest {
        rows.push([group.into(), topic.into(), partition.into(), next.into()]);
    }
    if !rows.is_empty() {
        tx.execute_raw(COMMIT.statement(tx.dialect(), &rows)).await?;
    }
    Ok(committed)
}
