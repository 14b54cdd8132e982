//! The handle that everything else is given.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use sea_orm::{DatabaseConnection, SqlxSqliteConnector};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    DatabaseError, Dialect, NamedReader, READER_NAME, ReadTransaction, SqliteOptions, StatementLog,
    WriteTransaction, file,
    options::open_writer,
    writer::{Lease, Request, Writer},
};

/// A database: its readers, and the queue to its one writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: SqliteOptions,
    /// A connection of the kind the writer has, for the backup.
    pub(crate) connect: SqliteConnectOptions,
    /// Counts retries; jitter is derived from it.
    pub(crate) retries: AtomicU64,
    reader: DatabaseConnection,
    /// The pool without the callback that counts, for readers that count under their own name.
    uncounted: DatabaseConnection,
    requests: mpsc::Sender<Request>,
    write_wait_max: Duration,
    log: Arc<StatementLog>,
}

impl Database {
    /// Opens the file, creating it if needed, and starts its writer task on the current runtime. On Unix only its owner
    /// may read the file from then on.
    pub async fn open_sqlite(options: SqliteOptions) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Open { path: options.path.clone(), source: Box::new(source) };
        file::prepare(&options.path).await.map_err(|error| failed(sqlx::Error::Io(error).into()))?;
        let connect = options.writer();
        let connection = open_writer(&connect, options.busy_timeout).await.map_err(failed)?;
        let pool = options.reader_pool().await.map_err(failed)?;
        let (requests, queue) = mpsc::channel(options.write_queue.max(1));
        let writer = Writer::new(queue, &options, connection, pool.clone());
        tokio::spawn(writer.run());

        let log = Arc::new(StatementLog::default());
        let uncounted = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        let mut reader = uncounted.clone();
        let counter = Arc::clone(&log);
        reader.set_metric_callback(move |_| counter.statement(READER_NAME));
        let write_wait_max = options.write_wait_max;
        let retries = AtomicU64::new(0);
        let inner = Inner { options, connect, retries, reader, uncounted, requests, write_wait_max, log };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Connections that cannot write; each statement sees the newest committed state.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// The same, counted under a name.
    pub fn reader_named(&self, name: &'static str) -> NamedReader {
        NamedReader::new(name, Arc::clone(&self.inner.log), self.inner.uncounted.clone())
    }

    /// Takes the write lock in turn and begins a transaction; refused as overloaded where too many wait already.
    /// Beginning another one before this one has ended, in the same task, waits for itself until the limit. Prefer
    /// [`write`](Self::write), which retries.
    pub async fn begin_write(&self, name: &'static str) -> Result<WriteTransaction, DatabaseError> {
        let (request, answer) = request(name);
        self.inner.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                DatabaseError::Overloaded { capacity: self.inner.requests.max_capacity() }
            }
            mpsc::error::TrySendError::Closed(_) => DatabaseError::Closed,
        })?;
        self.in_time(name, leased(answer)).await
    }

    /// The same for the few who write for many: where too many wait it waits for a place among them, before all who come
    /// later, instead of being refused together with all those it writes for.
    pub async fn begin_write_waiting(&self, name: &'static str) -> Result<WriteTransaction, DatabaseError> {
        let waiting = async {
            let (request, answer) = request(name);
            self.inner.requests.send(request).await.map_err(|_| DatabaseError::Closed)?;
            leased(answer).await
        };
        self.in_time(name, waiting).await
    }

    async fn in_time(
        &self,
        name: &'static str,
        lease: impl Future<Output = Result<Lease, DatabaseError>>,
    ) -> Result<WriteTransaction, DatabaseError> {
        match timeout(self.inner.write_wait_max, lease).await {
            Ok(lease) => Ok(WriteTransaction::new(name, Arc::clone(&self.inner.log), lease?)),
            Err(_) => Err(DatabaseError::WriteWait { name }),
        }
    }

    /// One snapshot for any number of reads, held until drop.
    pub async fn begin_read(&self, name: &'static str) -> Result<ReadTransaction, DatabaseError> {
        ReadTransaction::begin(name, Arc::clone(&self.inner.log), &self.inner.uncounted).await
    }

    /// Statement counts, for tests.
    pub fn statements(&self) -> &StatementLog {
        &self.inner.log
    }

    /// Lets the queued transactions finish, checkpoints the log into the file and closes it, for every clone of
    /// this handle: later calls get [`DatabaseError::Closed`]. Waits at most a few seconds for open readers.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.inner.requests.send(Request::Close(done)).await.is_ok() {
            // An error means that the runtime stopped the writer: then the file is closed as well.
            drop(closed.await);
        }
    }
}

type Answer = oneshot::Receiver<Result<Lease, DatabaseError>>;

fn request(name: &'static str) -> (Request, Answer) {
    let (reply, answer) = oneshot::channel();
    (Request::Lease { name, asked_at: Instant::now(), reply }, answer)
}

async fn leased(answer: Answer) -> Result<Lease, DatabaseError> {
    answer.await.unwrap_or(Err(DatabaseError::Closed))
}
