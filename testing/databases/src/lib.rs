//! A database of its own for each test, on a server that all tests share.
//!
//! Bringing a schema up to date step by step takes a second on a server. So the first test of a process does it once, and
//! the others copy the definitions of the tables that came of it.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use commerce_database::{Database, DatabaseError, Dialect, MySqlOptions};
use commerce_servers::{ServerKind, shared};
use sea_orm::{ConnectionTrait as _, QueryResult, Statement};
use tokio::sync::Mutex;

/// A database that nobody else uses; dropped with this.
#[derive(Debug)]
pub struct Scratch {
    kind: ServerKind,
    name: String,
}

/// What a schema's tables are made of: statements that make them, and fill the record of migrations.
type Definition = Vec<String>;

static DEFINITIONS: OnceLock<Mutex<BTreeMap<(ServerKind, &'static str), Definition>>> = OnceLock::new();

impl Scratch {
    /// An empty database on the shared server of this kind.
    ///
    /// # Panics
    /// Where there is no such server, or it refuses.
    pub async fn empty(kind: ServerKind) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!("t_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        administer(kind, &format!("DROP DATABASE IF EXISTS `{name}`")).await;
        let create = format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
        administer(kind, &create).await;
        Self { kind, name }
    }

    /// A database with the schema that `migrate` makes; `schema` names it.
    ///
    /// # Panics
    /// Where there is no such server, or it refuses.
    pub async fn migrated<F>(
        kind: ServerKind,
        schema: &'static str,
        migrate: impl FnOnce(Database) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), DatabaseError>>,
    {
        let definitions = DEFINITIONS.get_or_init(Mutex::default);
        let known = definitions.lock().await.get(&(kind, schema)).cloned();
        let scratch = Self::empty(kind).await;
        let database = scratch.open().await;
        if let Some(definition) = known {
            let script = definition.join(";\n");
            database
                .write::<_, DatabaseError, _>("copy_schema", move |tx| {
                    let script = script.clone();
                    Box::pin(async move { Ok(tx.execute_unprepared(&script).await.map(drop)?) })
                })
                .await
                .unwrap_or_else(|error| panic!("a schema cannot be copied: {error:?}"));
        } else {
            migrate(database.clone()).await.unwrap_or_else(|error| panic!("{schema}: {error:?}"));
            let definition = definition(&database).await;
            definitions.lock().await.insert((kind, schema), definition);
        }
        database.close().await;
        scratch
    }

    /// Options to connect with: few connections, for many tests share the server.
    ///
    /// # Panics
    /// Never: the URL is made here.
    pub fn options(&self) -> MySqlOptions {
        options(self.kind, &self.name)
    }

    /// Connects.
    ///
    /// # Panics
    /// Where the server refuses.
    pub async fn open(&self) -> Database {
        Database::open_mysql(self.options()).await.unwrap_or_else(|error| panic!("{}: {error:?}", self.name))
    }

    /// The URL by which a process of its own connects.
    pub fn url(&self) -> String {
        url(self.kind, &self.name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (kind, name) = (self.kind, std::mem::take(&mut self.name));
        // Not waited for: connections of a test that failed close when its runtime does, which may be this thread's. Where
        // the server is gone, so is the database.
        let _dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    if let Ok(database) = Database::open_mysql(options(kind, "mysql")).await {
                        let sql = format!("DROP DATABASE IF EXISTS `{name}`");
                        drop(database.reader().execute_unprepared(&sql).await);
                        database.close().await;
                    }
                });
            }
        });
    }
}

fn url(kind: ServerKind, database: &str) -> String {
    format!("mysql://root@{}/{database}", shared(kind).address())
}

fn options(kind: ServerKind, database: &str) -> MySqlOptions {
    let options = MySqlOptions::new(&url(kind, database));
    let mut options = options.unwrap_or_else(|error| panic!("the URL is made here: {error}"));
    (options.pool_min, options.pool_max) = (0, 8);
    options.connect_timeout = std::time::Duration::from_secs(20);
    options
}

async fn administer(kind: ServerKind, sql: &str) {
    let database = Database::open_mysql(options(kind, "mysql")).await;
    let database = database.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    let done = database.reader().execute_unprepared(sql).await;
    done.unwrap_or_else(|error| panic!("{kind}: {sql}: {error:?}"));
    database.close().await;
}

async fn definition(database: &Database) -> Definition {
    let tables = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let mut statements = Vec::new();
    for table in rows(database, tables).await {
        let table: String = text(&table, 0);
        let created = rows(database, &format!("SHOW CREATE TABLE `{table}`")).await;
        statements.push(text(&created[0], 1));
    }
    let records = "SELECT CONCAT('INSERT INTO schema_migrations VALUES (', id, ',', QUOTE(name), ',', QUOTE(checksum), \
                   ',', applied_at_us, ',', done, ')') FROM schema_migrations";
    statements.extend(rows(database, records).await.iter().map(|row| text(row, 0)));
    statements
}

async fn rows(database: &Database, sql: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(Dialect::MySql.backend(), sql);
    let rows = database.reader().query_all_raw(statement).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

fn text(row: &QueryResult, index: usize) -> String {
    row.try_get_by_index(index).unwrap_or_else(|error| panic!("column {index} is no text: {error:?}"))
}
