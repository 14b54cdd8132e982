use commerce_database::{Database, DatabaseError, Dialect, NamedReader, ReadOnlyDatabase, SqliteOptions};
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::sync::OnceCell;

use crate::schema::PERIODS;

/// Where the boards are.
#[derive(Debug)]
pub enum Source {
    /// In a database that this process writes.
    Own(Database),
    /// In a file that another app writes, and makes when it starts for the first time.
    File { options: Box<SqliteOptions>, opened: OnceCell<ReadOnlyDatabase> },
    /// On a server where another process writes and makes them.
    Server { database: ReadOnlyDatabase, seen: OnceCell<()> },
}

impl Source {
    pub fn file(options: SqliteOptions) -> Self {
        Self::File { options: Box::new(options), opened: OnceCell::new() }
    }

    pub fn server(database: ReadOnlyDatabase) -> Self {
        Self::Server { database, seen: OnceCell::new() }
    }

    /// Connections to read the boards by; none as long as there is no table.
    pub async fn reader(&self, name: &'static str) -> Result<Option<NamedReader>, DatabaseError> {
        let (options, opened) = match self {
            Self::Own(database) => return Ok(Some(database.reader_named(name))),
            Self::File { options, opened } => (options, opened),
            Self::Server { database, seen } => {
                if !seen.initialized() {
                    if !has_table(database).await? {
                        return Ok(None);
                    }
                    seen.get_or_init(async || ()).await;
                }
                return Ok(Some(database.reader_named(name)));
            }
        };
        if let Some(database) = opened.get() {
            return Ok(Some(database.reader_named(name)));
        }
        let Some(database) = Database::open_sqlite_read_only(options).await? else { return Ok(None) };
        if !has_table(&database).await? {
            return Ok(None);
        }
        Ok(Some(opened.get_or_init(async || database).await.reader_named(name)))
    }
}

/// The later one of the two tables that are read.
async fn has_table(database: &ReadOnlyDatabase) -> Result<bool, DatabaseError> {
    let find = match database.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
        Dialect::MySql => {
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
        }
    };
    let find = Statement::from_sql_and_values(database.dialect().backend(), find, [PERIODS.into()]);
    Ok(database.reader_named("find_boards").query_one_raw(find).await?.is_some())
}
