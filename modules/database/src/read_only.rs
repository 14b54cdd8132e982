//! A database that somebody else writes.

use std::{fmt, io, sync::Arc};

use sea_orm::{DatabaseConnection, SqlxSqliteConnector};

use crate::{
    Database, DatabaseError, Dialect, MySqlOptions, NamedReader, SqliteOptions, StatementLog,
    mysql::{Access, Pool},
};

/// A database that another handle, or another process, writes: connections that cannot, and no writer task. Cheap to
/// clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct ReadOnlyDatabase {
    connections: DatabaseConnection,
    log: Arc<StatementLog>,
    /// Keeps the way to the server open.
    server: Option<Pool>,
}

impl Database {
    /// Opens a file without ever writing to it; none where there is no such file (yet).
    pub async fn open_sqlite_read_only(
        options: &SqliteOptions,
    ) -> Result<Option<ReadOnlyDatabase>, DatabaseError> {
        let failed = |source| DatabaseError::Open { path: options.path.clone(), source: Box::new(source) };
        match tokio::fs::metadata(&options.path).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(sqlx::Error::Io(error).into())),
        }
        let pool = options.read_only_pool().await.map_err(failed)?;
        let connections = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        Ok(Some(ReadOnlyDatabase { connections, log: Arc::default(), server: None }))
    }

    /// A server's database that is only read. Connects when it is first read, so it need not be there yet.
    pub fn open_mysql_read_only(options: MySqlOptions) -> Result<ReadOnlyDatabase, DatabaseError> {
        let pool = Pool::lazy(options, Access::ReadOnly)?;
        let connections = pool.connections();
        Ok(ReadOnlyDatabase { connections, log: Arc::default(), server: Some(pool) })
    }
}

impl ReadOnlyDatabase {
    /// The dialect its statements must be written in.
    pub fn dialect(&self) -> Dialect {
        match self.server {
            None => Dialect::Sqlite,
            Some(_) => Dialect::MySql,
        }
    }

    /// Connections that cannot write, counted under a name; each statement sees the newest committed state.
    pub fn reader_named(&self, name: &'static str) -> NamedReader {
        NamedReader::new(name, Arc::clone(&self.log), self.connections.clone())
    }

    /// Statement counts, for tests.
    pub fn statements(&self) -> &StatementLog {
        &self.log
    }
}

impl fmt::Debug for ReadOnlyDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyDatabase").finish_non_exhaustive()
    }
}
