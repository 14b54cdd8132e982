use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commerce_database::SqliteOptions;
use commerce_http::server::{listen, serve};
use commerce_telemetry::{
    ActuatorState, BuildInfo, Health, HealthIndicator, HealthRegistry, LoopbackOr, Readiness, actuator,
    metrics,
};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::courier::Courier;
use crate::decider::Decider;
use crate::dice::Purpose;
use crate::error::StartError;
use crate::gateway::Gateway;
use crate::interfaces::{self, App};
use crate::options::Options;
use crate::recorder::Recorder;
use crate::storage::Storage;

/// The payment gateway simulator.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// A simulator at work. Dropped without [`Running::stop`] it breaks off as if it were killed; what it has to do stands
/// in its database.
pub struct Running {
    addr: SocketAddr,
    readiness: Readiness,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    /// Aborted on drop.
    tasks: JoinSet<()>,
    storage: Storage,
}

impl Simulator {
    /// Binds the port, opens the database, goes on with what is pending in it, and serves on the current runtime.
    pub async fn start(mut options: Options) -> Result<Running, StartError> {
        if options.capabilities.signature && options.webhook_secrets.is_empty() {
            return Err(StartError::NoSecret);
        }
        options.faults = options.faults.checked()?;
        let metrics = metrics::install()?;
        crate::metrics::describe();
        let asked = SocketAddr::new(options.bind, options.port);
        let listener = listen(asked, BACKLOG).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { addr: asked },
            _ => StartError::Bind { addr: asked, source },
        })?;
        let addr = listener.local_addr().map_err(|source| StartError::Bind { addr: asked, source })?;
        let storage = open(&options).await?;
        let guard = Arc::new(LoopbackOr::new(options.admin_token.take()));
        let gateway = Arc::new(Gateway::new(options, storage.clone()));
        skip_drawn_keys(&gateway).await?;

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let (recorder, recording) = Recorder::new(gateway.clone());
        let decider = Arc::new(Decider::new(gateway.clone()));
        let courier = Arc::new(Courier::new(gateway.clone())?);
        tasks.spawn(recording);
        tasks.spawn(decider.clone().run());
        tasks.spawn(courier.run(stopping.clone()));

        let readiness = Readiness::default();
        let health =
            HealthRegistry::new(readiness.clone()).with_readiness(Arc::new(DatabaseHealth(storage.clone())));
        let actuator = actuator::router(ActuatorState::new(build_info(), health, metrics, guard.clone()));
        let app = App { gateway, recorder, decider, guard, stopping: stopping.clone() };
        let server = tokio::spawn(serve(listener, interfaces::router(app, actuator), stopping));
        Ok(Running { addr, readiness, stop, server, tasks, storage })
    }
}

impl Running {
    /// Requests that were accepted are finished for at most this long when the simulator stops.
    const DRAIN_MAX: Duration = Duration::from_secs(5);

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops: not ready any more, no new connection, what was accepted is finished. Decisions and callbacks that are
    /// left are taken up by the next start.
    pub async fn stop(mut self) {
        self.readiness.set_draining();
        self.stop.send_replace(true);
        if tokio::time::timeout(Self::DRAIN_MAX, &mut self.server).await.is_err() {
            tracing::warn!("connections of the simulator that did not finish in time were cut");
            self.server.abort();
        }
        self.tasks.shutdown().await;
        self.storage.close().await;
    }
}

async fn open(options: &Options) -> Result<Storage, StartError> {
    let opened = Storage::open(SqliteOptions::new(&options.data_file), options.clock.now_us()).await;
    opened.map_err(|source| StartError::Database { path: options.data_file.clone(), source })
}

/// After a restart the sequence of transaction keys goes on, instead of running into all that were drawn before.
async fn skip_drawn_keys(gateway: &Gateway) -> Result<(), StartError> {
    let path = || gateway.storage.path();
    let drawn =
        gateway.storage.last_id().await.map_err(|source| StartError::Database { path: path(), source })?;
    gateway.script.dice().skip(Purpose::TransactionKey, u64::try_from(drawn).unwrap_or_default());
    Ok(())
}

fn build_info() -> BuildInfo {
    BuildInfo {
        name: "pg-simulator",
        version: env!("CARGO_PKG_VERSION"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        commit: option_env!("COMMERCE_COMMIT"),
    }
}

struct DatabaseHealth(Storage);

#[async_trait]
impl HealthIndicator for DatabaseHealth {
    fn name(&self) -> &'static str {
        "db"
    }

    async fn check(&self) -> Health {
        match self.0.ping().await {
            Ok(()) => Health::up().with("database", "SQLite"),
            Err(error) => {
                tracing::warn!(%error, "the simulator's database does not answer");
                Health::down("the database does not answer")
            }
        }
    }
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;
