pub mod events;
pub mod faults;
pub mod kafka;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus, Record, TopicSpec};
use commerce_collector::application::{GROUP, LagWatch};
use commerce_collector::infrastructure::{SqlCollector, migrate};
use commerce_collector::{Collector, ConsumerOptions, Options, Running, Status};
use commerce_contracts::topics;
use commerce_database::{BoxFuture, Database, DatabaseError, WriteTransaction};
use commerce_databases::Scratch;
use commerce_http::{AuthUnavailable, Authenticator, Principal};
use commerce_runtime::{ManualClock, SystemClock};
use commerce_servers::ServerKind;
use sea_orm::{ConnectionTrait as _, Statement};
use tempfile::TempDir;
use tokio::time::Instant;

pub use events::{Event, NOW_US};

/// The longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// A log and a directory for the collector's database.
pub struct Bench {
    pub log: EmbeddedLog,
    pub clock: Arc<ManualClock>,
    /// Where the collector's database is, if not in the directory.
    server: Option<Scratch>,
    // Dropped last: the files are in use until then.
    directory: TempDir,
}

impl Bench {
    pub async fn open() -> Self {
        // The same tests are built twice.
        match env!("CARGO_CRATE_NAME") {
            "collector_on_mysql" => Self::on(ServerKind::MySql).await,
            _ => Self::on_sqlite().await,
        }
    }

    /// For what only a file can be asked for: triggers that refuse rows.
    pub async fn on_sqlite() -> Self {
        Self::with(None).await
    }

    /// Where the collector's database is, if it is on a server.
    pub const fn on_server(&self) -> Option<&Scratch> {
        self.server.as_ref()
    }

    /// With the collector's database on a server.
    pub async fn on(kind: ServerKind) -> Self {
        let migrated = |database: Database| async move { migrate(&database, NOW_US).await.map(drop) };
        Self::with(Some(Scratch::migrated(kind, "olap", migrated).await)).await
    }

    async fn with(server: Option<Scratch>) -> Self {
        let directory = TempDir::new().unwrap();
        let options = EmbeddedOptions {
            durable: false,
            heartbeat: Duration::from_millis(100),
            ..EmbeddedOptions::new(directory.path().join("events.sqlite"))
        };
        let log = EmbeddedLog::open(options, Arc::new(SystemClock)).await.unwrap();
        let wanted: Vec<_> =
            topics::ALL.iter().map(|name| TopicSpec { name, partitions: topics::PARTITIONS }).collect();
        log.ensure_topics(&wanted).await.unwrap();
        Self { log, clock: Arc::new(ManualClock::new(NOW_US)), server, directory }
    }

    pub fn options(&self) -> Options {
        let defaults = Options::new(self.directory.path().join(Options::DATABASE_FILE));
        let consumer = ConsumerOptions { linger: Duration::from_millis(20), ..defaults.consumer };
        let mut options = Options { port: 0, durable: false, consumer, ..defaults };
        options.projector.every = Duration::from_millis(20);
        // Only where they are the subject.
        options.jobs.scheduled = false;
        options.jobs.look_every = Duration::from_millis(20);
        options
    }

    pub async fn collector(&self) -> Collector {
        self.collector_with(self.options()).await
    }

    pub async fn collector_with(&self, options: Options) -> Collector {
        match &self.server {
            None => Collector::open(options, &*self.clock).await.unwrap(),
            Some(server) => Collector { options, database: server.open().await },
        }
    }

    pub async fn start(&self) -> Running {
        self.start_on(Arc::new(self.log.clone()), self.options()).await
    }

    pub async fn start_with(&self, change: impl FnOnce(&mut Options)) -> Running {
        let mut options = self.options();
        change(&mut options);
        self.start_on(Arc::new(self.log.clone()), options).await
    }

    pub async fn start_on(&self, bus: Arc<dyn EventBus>, options: Options) -> Running {
        let collector = self.collector_with(options).await;
        Running::start(collector, bus, Arc::new(Tokens), self.clock.clone()).unwrap()
    }

    pub async fn publish(&self, events: &[Event]) {
        self.publish_records(events.iter().map(Event::record).collect()).await;
    }

    pub async fn publish_bytes(&self, topic: &str, key: &str, value: &[u8]) {
        let record = Record {
            topic: topic.to_owned(),
            key: key.to_owned(),
            headers: vec![("ce_id".to_owned(), Bytes::from_static(b"\x00\xff"))],
            value: Bytes::copy_from_slice(value),
        };
        self.publish_records(vec![record]).await;
    }

    pub async fn publish_records(&self, records: Vec<Record>) {
        for result in self.log.producer().publish(records).await {
            result.unwrap();
        }
    }

    /// Waits until everything published is counted or set aside.
    pub async fn counted(&self, database: &Database) {
        let store = Arc::new(SqlCollector::new(database.clone(), GROUP));
        let lag = LagWatch::new(Arc::new(self.log.clone()), store);
        until("everything is counted", async || {
            lag.progress().await.unwrap().iter().all(|partition| partition.lag == 0)
        })
        .await;
    }

    /// What was counted, once the running collector is through and has stopped.
    pub async fn counts_after(&self, running: Running) -> Counts {
        let reader = self.collector().await;
        self.counted(&reader.database).await;
        running.stop().await;
        let counts = Counts::read(&reader.database).await;
        reader.close().await;
        counts
    }
}

/// Waits for a condition.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        // tidy: sleep between two looks at what another task does
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the consumer has halted, and tells why.
pub async fn halted(running: &Running) -> String {
    let mut reason = String::new();
    until("the consumer halts", async || match running.consumer().status() {
        Status::Halted(why) => {
            reason = why;
            true
        }
        _ => false,
    })
    .await;
    reason
}

/// `views, likes, orders, quantity, amount`.
pub type Numbers = [i64; 5];

/// Everything that was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub totals: BTreeMap<i64, Numbers>,
    /// By day (`yyyymmdd`) and product.
    pub daily: BTreeMap<(i64, i64), Numbers>,
    pub handled: i64,
    pub dead_letters: i64,
}

impl Counts {
    pub async fn read(database: &Database) -> Self {
        let mut counts = Self::default();
        let metrics = "SELECT product_id, views, likes, orders, quantity, amount FROM product_metrics";
        for row in rows(database, metrics).await {
            let [product, numbers @ ..]: [i64; 6] = row.try_into().unwrap();
            counts.totals.insert(product, numbers);
        }
        let daily =
            "SELECT date, product_id, views, likes, orders, quantity, amount FROM product_metrics_daily";
        for row in rows(database, daily).await {
            let [day, product, numbers @ ..]: [i64; 7] = row.try_into().unwrap();
            counts.daily.insert((day, product), numbers);
        }
        counts.handled = number(database, "SELECT COUNT(*) FROM event_handled").await;
        counts.dead_letters = number(database, "SELECT COUNT(*) FROM dead_letters").await;
        counts
    }
}

/// Rows of numbers.
pub async fn rows(database: &Database, sql: &str) -> Vec<Vec<i64>> {
    let statement = Statement::from_string(database.dialect().backend(), sql);
    let rows = database.reader().query_all_raw(statement).await.unwrap();
    let numbers = |row: &sea_orm::QueryResult| {
        let columns = 0..row.column_names().len();
        columns.map(|index| row.try_get_by_index(index).unwrap()).collect()
    };
    rows.iter().map(numbers).collect()
}

/// The only number of the only row.
pub async fn number(database: &Database, sql: &str) -> i64 {
    rows(database, sql).await[0][0]
}

/// Runs a statement of a test's own.
pub async fn run(database: &Database, sql: &'static str) {
    database.write::<_, DatabaseError, _>("test", move |tx| execute(tx, sql)).await.unwrap();
}

fn execute<'t>(tx: &'t WriteTransaction, sql: &'static str) -> BoxFuture<'t, Result<(), DatabaseError>> {
    Box::pin(async move {
        tx.execute_unprepared(sql).await?;
        Ok(())
    })
}

/// Two sessions.
pub struct Tokens;

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Option<Principal>, AuthUnavailable> {
        Ok(match token {
            "admin" => Some(Principal { user_id: 1, admin: true }),
            "customer" => Some(Principal { user_id: 2, admin: false }),
            _ => None,
        })
    }
}
