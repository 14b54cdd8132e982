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
    DatabaseError, Dialect, MySqlOptions, NamedReader, READER_NAME, ReadTransaction, SqliteOptions,
    StatementLog, WriteTransaction,
    connection::Held,
    file,
    mysql::{Access, NamedLock, Pool},
    options::open_writer,
    writer::{Lease, Request, Writer},
};

/// A database: its readers, and its writers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Counts retries; jitter is derived from it.
    pub(crate) retries: AtomicU64,
    engine: Engine,
    reader: DatabaseConnection,
    /// The pool without the callback that counts, for readers that count under their own name.
    uncounted: DatabaseConnection,
    write_wait_max: Duration,
    log: Arc<StatementLog>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(Box<File>),
    MySql(Pool),
}

/// A file, and the queue to its one writer.
#[derive(Debug)]
struct File {
    options: SqliteOptions,
    /// A connection of the kind the writer has, for the backup.
    connect: SqliteConnectOptions,
    requests: mpsc::Sender<Request>,
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

        let write_wait_max = options.write_wait_max;
        let engine = Engine::Sqlite(Box::new(File { options, connect, requests }));
        Ok(Self::new(engine, SqlxSqliteConnector::from_sqlx_sqlite_pool(pool), write_wait_max))
    }

    /// Connects to a server's database, which must be there and may be empty. Tells a server that cannot be reached, which
    /// may be worth waiting for, from one that will not do.
    pub async fn open_mysql(options: MySqlOptions) -> Result<Self, DatabaseError> {
        let write_wait_max = options.write_wait_max;
        let pool = Pool::open(options, Access::ReadWrite).await?;
        let connections = pool.connections();
        Ok(Self::new(Engine::MySql(pool), connections, write_wait_max))
    }

    fn new(engine: Engine, uncounted: DatabaseConnection, write_wait_max: Duration) -> Self {
        let log = Arc::new(StatementLog::default());
        let mut reader = uncounted.clone();
        let counter = Arc::clone(&log);
        reader.set_metric_callback(move |_| counter.statement(READER_NAME));
        let retries = AtomicU64::new(0);
        let inner = Inner { retries, engine, reader, uncounted, write_wait_max, log };
        Self { inner: Arc::new(inner) }
    }

    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        match self.inner.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::MySql(_) => Dialect::MySql,
        }
    }

    /// The file; none on a server.
    pub fn path(&self) -> Option<&Path> {
        match &self.inner.engine {
            Engine::Sqlite(file) => Some(&file.options.path),
            Engine::MySql(_) => None,
        }
    }

    /// Where it is, for people: the file's path, or `user@host:port/database`.
    pub fn place(&self) -> String {
        match &self.inner.engine {
            Engine::Sqlite(file) => file.options.path.display().to_string(),
            Engine::MySql(pool) => pool.options().server(),
        }
    }

    /// How the writer of the file connects; none on a server.
    pub(crate) fn file_connection(&self) -> Option<&SqliteConnectOptions> {
        match &self.inner.engine {
            Engine::Sqlite(file) => Some(&file.connect),
            Engine::MySql(_) => None,
        }
    }

    /// A lock that no other node has at the same time, for work that no transaction can hold; none on a file, whose
    /// transactions are enough.
    pub(crate) async fn lock(&self, purpose: &'static str) -> Result<Option<NamedLock>, DatabaseError> {
        match &self.inner.engine {
            Engine::Sqlite(_) => Ok(None),
            Engine::MySql(pool) => pool.lock(purpose).await.map(Some),
        }
    }

    /// Connections to read by, which on a file cannot write; each statement sees the newest committed state.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// The same, counted under a name.
    pub fn reader_named(&self, name: &'static str) -> NamedReader {
        NamedReader::new(name, Arc::clone(&self.inner.log), self.inner.uncounted.clone())
    }

    /// Begins a transaction. On a file it takes the write lock in turn, and is refused as overloaded where too many wait
    /// already; beginning another one before this one has ended, in the same task, then waits for itself until the limit.
    /// Prefer [`write`](Self::write), which retries.
    pub async fn begin_write(&self, name: &'static str) -> Result<WriteTransaction, DatabaseError> {
        let file = match &self.inner.engine {
            Engine::Sqlite(file) => file,
            Engine::MySql(pool) => return Ok(self.begun(name, Held::MySql(pool.begin().await?))),
        };
        let (request, answer) = request(name);
        file.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                DatabaseError::Overloaded { capacity: file.requests.max_capacity() }
            }
            mpsc::error::TrySendError::Closed(_) => DatabaseError::Closed,
        })?;
        self.in_time(name, leased(answer)).await
    }

    /// The same for the few who write for many: where too many wait it waits for a place among them, before all who come
    /// later, instead of being refused together with all those it writes for.
    pub async fn begin_write_waiting(&self, name: &'static str) -> Result<WriteTransaction, DatabaseError> {
        let file = match &self.inner.engine {
            Engine::Sqlite(file) => file,
            Engine::MySql(pool) => {
                let held = pool.begin_waiting(self.inner.write_wait_max).await?;
                return Ok(self.begun(name, Held::MySql(held)));
            }
        };
        let waiting = async {
            let (request, answer) = request(name);
            file.requests.send(request).await.map_err(|_| DatabaseError::Closed)?;
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
            Ok(lease) => Ok(self.begun(name, Held::Sqlite(lease?))),
            Err(_) => Err(DatabaseError::WriteWait { name }),
        }
    }

    fn begun(&self, name: &'static str, held: Held) -> WriteTransaction {
        WriteTransaction::new(name, Arc::clone(&self.inner.log), held)
    }

    /// One snapshot for any number of reads, held until drop.
    pub async fn begin_read(&self, name: &'static str) -> Result<ReadTransaction, DatabaseError> {
        let log = Arc::clone(&self.inner.log);
        match &self.inner.engine {
            Engine::Sqlite(_) => ReadTransaction::begin_sqlite(name, log, &self.inner.uncounted).await,
            Engine::MySql(pool) => Ok(ReadTransaction::begun_mysql(name, log, pool.begin_read().await?)),
        }
    }

    /// Statement counts, for tests.
    pub fn statements(&self) -> &StatementLog {
        &self.inner.log
    }

    /// Lets the queued transactions finish, checkpoints a file's log into it and closes it, for every clone of
    /// this handle: later calls get [`DatabaseError::Closed`]. Waits at most a few seconds for open readers.
    pub async fn close(self) {
        let file = match &self.inner.engine {
            Engine::Sqlite(file) => file,
            Engine::MySql(pool) => return pool.close().await,
        };
        let (done, closed) = oneshot::channel();
        if file.requests.send(Request::Close(done)).await.is_ok() {
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
