use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use commerce_batch::SqlJobs;
use commerce_boards::{BoardOptions, BoardReader};
use commerce_bus::{EventBus, LogReader};
use commerce_collector_domain::Weights;
use commerce_database::{Database, SqliteOptions};
use commerce_http::server::{listen, serve};
use commerce_http::{Authenticator, EntropySource};
use commerce_runtime::{Clock, fill_random, uuid_v7};
use commerce_telemetry::{Readiness, metrics};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::application::metrics::describe;
use crate::application::ports::{BoardStore as _, StoreError};
use crate::application::rebuild::{MetricsRebuild, RebuildStore as _};
use crate::application::{
    Consumer, ConsumerState, DeadLetterDesk, GROUP, Intake, Jobs, LagWatch, Projector, Rankings, Scheduler,
};
use crate::audit::Facts;
use crate::error::StartError;
use crate::infrastructure::{SqlCollector, migrate};
use crate::interfaces::{self, Facades};
use crate::{Options, operator};

/// The collector's database, open and migrated. Nothing runs yet, so the operator's commands use it as well.
#[derive(Clone, Debug)]
pub struct Collector {
    /// How it runs.
    pub options: Options,
    /// The OLAP database.
    pub database: Database,
}

impl Collector {
    /// Opens the database and brings its schema up to date.
    pub async fn open(options: Options, clock: &dyn Clock) -> Result<Self, StartError> {
        let wrong = |option, allowed| Err(StartError::Option { option, allowed });
        let Weights { view, like, order } = options.projector.weights;
        if [view, like, order].iter().any(|weight| !(0..=Weights::MAX).contains(weight)) {
            return wrong("the weight of a view, like or order", "0 to 1,000,000 tenths");
        }
        if options.consumer.batch_max == 0 || options.jobs.batch.chunk == 0 {
            return wrong("the size of a batch or chunk", "at least 1");
        }
        let database = Self::open_database(&options).await?;
        let migrated = migrate(&database, clock.now_us()).await;
        migrated.map_err(|source| StartError::Migrate { place: database.place(), source })?;
        Ok(Self { options, database })
    }

    async fn open_database(options: &Options) -> Result<Database, StartError> {
        let (opened, place) = if let Some(server) = &options.server {
            (Database::open_mysql(server.clone()).await, server.server())
        } else {
            let path = &options.file;
            let sqlite = SqliteOptions { durable: options.durable, ..SqliteOptions::new(path) };
            (Database::open_sqlite(sqlite).await, path.display().to_string())
        };
        opened.map_err(|source| StartError::Open { place, source })
    }

    /// Reads the boards, of the copies that are shared where there are such.
    fn boards(&self) -> BoardReader {
        let boards = BoardReader::of(self.database.clone(), BoardOptions::default());
        match &self.options.redis {
            Some(redis) => boards.shared_in(redis.clone()),
            None => boards,
        }
    }

    /// Derives the boards of a day anew from what was counted.
    pub async fn rebuild_boards(&self, day: NaiveDate) -> Result<(), StoreError> {
        self.store().rank_day(day, self.options.projector.weights).await
    }

    /// The jobs over this database, which stop at the edge of a chunk when `stop` turns true.
    pub fn jobs(&self, clock: Arc<dyn Clock>, stop: watch::Receiver<bool>) -> Jobs {
        let runs = Arc::new(SqlJobs::new(self.database.clone()));
        Jobs {
            periods: Arc::new(self.store()),
            store: runs.clone(),
            history: runs,
            zone: self.options.zone,
            weights: self.options.projector.weights,
            options: self.options.jobs,
            owner: uuid_v7(clock.now_us()),
            stop,
            clock,
        }
    }

    /// What operators do with dead letters.
    pub fn dead_letters(&self, clock: Arc<dyn Clock>) -> DeadLetterDesk {
        let intake = Intake { zone: self.options.zone, future_max: self.options.consumer.future_max };
        DeadLetterDesk::new(Arc::new(self.store()), clock, intake)
    }

    /// How far counting is behind `bus`.
    pub fn lag(&self, bus: Arc<dyn EventBus>) -> LagWatch {
        LagWatch::new(bus, Arc::new(self.store()))
    }

    /// Metrics rebuilt from `log`.
    pub fn metrics_rebuild(&self, log: Arc<dyn LogReader>, clock: Arc<dyn Clock>) -> MetricsRebuild {
        let intake = Intake { zone: self.options.zone, future_max: self.options.consumer.future_max };
        MetricsRebuild { store: Arc::new(self.store()), log, clock, intake }
    }

    /// Derives the boards of every day that has metrics anew, in order; gives back of how many.
    pub async fn rebuild_all_boards(&self) -> Result<u64, StoreError> {
        let store = self.store();
        let (mut last, mut ranked) = (None, 0);
        loop {
            let days = store.days(last, DAYS).await?;
            for day in &days {
                store.rank_day(*day, self.options.projector.weights).await?;
                ranked += 1;
            }
            match days.last() {
                Some(day) => last = Some(*day),
                None => return Ok(ranked),
            }
        }
    }

    /// Ranks every day that has changed since it was, as the projector of a running collector does.
    pub async fn rank_changed_days(&self) -> Result<(), StoreError> {
        let store = self.store();
        loop {
            let days = store.dirty_days(DAYS).await?;
            if days.is_empty() {
                return Ok(());
            }
            for day in days {
                store.rank_day(day, self.options.projector.weights).await?;
            }
        }
    }

    /// Closes the database, for every clone of the handle.
    pub async fn close(self) {
        self.database.close().await;
    }

    /// What it has counted, at one moment, for the audit.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        Facts::read(&self.database).await
    }

    fn store(&self) -> SqlCollector {
        SqlCollector::new(self.database.clone(), GROUP)
    }
}

/// The collector at work: consumer, projector, scheduler and HTTP.
pub struct Running {
    addr: SocketAddr,
    readiness: Readiness,
    state: ConsumerState,
    stop_serving: watch::Sender<bool>,
    stop_counting: watch::Sender<bool>,
    stop_ranking: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    consumer: JoinHandle<()>,
    background: JoinSet<()>,
    database: Database,
}

struct OsEntropy;

impl EntropySource for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        fill_random(bytes);
    }
}

impl Running {
    /// Requests that were accepted are finished for at most this long when the app stops.
    const DRAIN_MAX: Duration = Duration::from_secs(10);

    /// Binds the port and starts the consumer, the projector, the scheduler and HTTP on the current runtime. Topics that are missing
    /// are made.
    pub fn start(
        collector: Collector,
        bus: Arc<dyn EventBus>,
        authenticator: Arc<dyn Authenticator>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let recorder = metrics::install()?;
        describe();
        let options = collector.options.clone();
        let (listener, addr) = listening(SocketAddr::new(options.bind, options.port))?;
        let (readiness, state) = (Readiness::default(), ConsumerState::default());
        let operator = operator::router(
            collector.database.clone(),
            state.clone(),
            authenticator.clone(),
            options.scrape_token.clone(),
            recorder,
            readiness.clone(),
        );
        let store = Arc::new(collector.store());
        let lag = LagWatch::new(bus.clone(), store.clone());
        let boards = collector.boards();
        let (stop_ranking, ranking) = watch::channel(false);
        let jobs = collector.jobs(clock.clone(), ranking.clone());
        let facades = Facades {
            rankings: Rankings::new(boards, clock.clone(), options.zone),
            queries: store.clone(),
            boards: store.clone(),
            weights: options.projector.weights,
            dead_letters: collector.dead_letters(clock.clone()),
            jobs: jobs.clone(),
            lag: lag.clone(),
            consumer: state.clone(),
            docs: options.docs,
        };
        let router = interfaces::router(facades, Arc::new(OsEntropy), authenticator, operator)?;
        let (counted, _) = watch::channel(0);
        let (stop_serving, serving) = watch::channel(false);
        let (stop_counting, counting) = watch::channel(false);
        let owner = uuid_v7(clock.now_us());
        let projector =
            Projector { store: store.clone(), clock: clock.clone(), options: options.projector, owner };
        let mut background = JoinSet::new();
        background.spawn(projector.run(counted.subscribe(), ranking.clone()));
        background.spawn(lag.run(ranking.clone()));
        if options.jobs.scheduled {
            background.spawn(Scheduler { jobs }.run(ranking));
        }
        let (zone, options) = (options.zone, options.consumer);
        let consumer = Consumer { bus, store, clock, zone, options, state: state.clone(), counted };
        let consumer = tokio::spawn(Arc::new(consumer).run(counting));
        let server = tokio::spawn(serve(listener, router, serving));
        let database = collector.database;
        Ok(Self {
            addr,
            readiness,
            state,
            stop_serving,
            stop_counting,
            stop_ranking,
            server,
            consumer,
            background,
            database,
        })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How its consumer is.
    pub const fn consumer(&self) -> &ConsumerState {
        &self.state
    }

    /// Stops: not ready any more, the batches that are being counted are finished and the group is left, the boards are
    /// brought in step, requests that were accepted are answered, and the database is closed.
    pub async fn stop(mut self) {
        self.readiness.set_draining();
        self.stop_counting.send_replace(true);
        if let Err(error) = self.consumer.await {
            tracing::error!(%error, "the consumer failed while stopping");
        }
        self.stop_ranking.send_replace(true);
        while let Some(ended) = self.background.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a background task failed while stopping");
            }
        }
        self.stop_serving.send_replace(true);
        let abort = self.server.abort_handle();
        if tokio::time::timeout(Self::DRAIN_MAX, self.server).await.is_err() {
            tracing::warn!("connections that did not finish in time were cut");
            abort.abort();
        }
        self.database.close().await;
    }
}

/// Binds the port; where it is, if a free one was asked for.
fn listening(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = listen(wanted, BACKLOG).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { addr: wanted },
        _ => StartError::Bind { addr: wanted, source },
    })?;
    let addr = listener.local_addr().map_err(|source| StartError::Bind { addr: wanted, source })?;
    Ok((listener, addr))
}

/// Days of one read.
const DAYS: u64 = 100;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;
