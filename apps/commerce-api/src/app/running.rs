use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use commerce_api_application::desk::{LikeDesk, OrderDesk, describe_metrics};
use commerce_api_application::schedule::{ScheduleOptions, Scheduler};
use commerce_api_application::{Admin, Catalogue, Coupons, Idempotency, Likes, Orders, Points, ViewCounter};
use commerce_api_infrastructure::runtime::fill_random;
use commerce_database::Database;
use commerce_http::EntropySource;
use commerce_telemetry::{
    ActuatorState, AnyOf, BuildInfo, HealthRegistry, LoopbackOr, Readiness, actuator, metrics,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::StartError;
use super::guards::AdminSession;
use super::health::DatabaseHealth;
use super::platform::Platform;
use crate::config::Config;
use crate::interfaces::{self, Facades, SessionAuthenticator};

/// The app at work: HTTP, desks and background tasks.
pub struct Running {
    api_addr: SocketAddr,
    readiness: Readiness,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    scheduler: JoinHandle<()>,
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

    /// Binds the port and starts desks, background tasks and HTTP on the current runtime.
    pub fn start(platform: Platform, config: &Config) -> Result<Self, StartError> {
        let metrics = metrics::install()?;
        describe_metrics();
        let addr = SocketAddr::new(config.api.bind, config.api.port);
        let listener = listen(addr).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { addr },
            _ => StartError::Bind { addr, source },
        })?;
        let api_addr = listener.local_addr().map_err(|source| StartError::Bind { addr, source })?;
        let (desk, likes) = desks(&platform, config);
        let views = Arc::new(ViewCounter::new(platform.catalogue.clone(), platform.clock.clone()));
        let readiness = Readiness::default();
        let facades = facades(&platform, config, &desk, likes, views.clone());
        let router = router(&platform, config, facades, metrics, readiness.clone())?;
        let (stop, stopping) = watch::channel(false);
        let scheduler =
            tokio::spawn(scheduler(&platform, desk, views).run(ScheduleOptions::default(), stopping.clone()));
        let server = tokio::spawn(serve(listener, router, stopping));
        let database = platform.database;
        Ok(Self { api_addr, readiness, stop, server, scheduler, database })
    }

    /// Where the API listens.
    pub const fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Stops: not ready any more, no new connection, what was accepted is finished, then the rest is flushed.
    pub async fn stop(self) {
        self.readiness.set_draining();
        self.stop.send_replace(true);
        let abort = self.server.abort_handle();
        if tokio::time::timeout(Self::DRAIN_MAX, self.server).await.is_err() {
            tracing::warn!("connections that did not finish in time were cut");
            abort.abort();
        }
        if let Err(error) = self.scheduler.await {
            tracing::error!(%error, "a background task failed while stopping");
        }
        self.database.close().await;
    }
}

/// Connections that may wait to be accepted. With the usual 128 a sale's buyers overflow it, and each one that
/// does tries again only after a second.
const BACKLOG: u32 = 4_096;

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted shop takes its port at once, although connections of the last one linger.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    // Answers are small: without this each would wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
}

fn desks(platform: &Platform, config: &Config) -> (OrderDesk, LikeDesk) {
    let options = config.desk_options();
    let orders = OrderDesk::start(
        platform.storage.clone(),
        platform.ids.clone(),
        platform.clock.clone(),
        config.rules(),
        options,
        config.keep_answers(),
    );
    (orders, LikeDesk::start(platform.storage.clone(), platform.clock.clone(), options))
}

fn facades(
    platform: &Platform,
    config: &Config,
    desk: &OrderDesk,
    likes: LikeDesk,
    views: Arc<ViewCounter>,
) -> Facades {
    let (ids, clock) = (platform.ids.clone(), platform.clock.clone());
    Facades {
        accounts: platform.accounts.clone(),
        admin: Admin::new(
            platform.users.clone(),
            platform.tokens.clone(),
            ids.clone(),
            clock.clone(),
            config.is_demo(),
        ),
        catalogue: Catalogue::new(platform.catalogue.clone(), desk.clone(), ids.clone(), clock.clone()),
        coupons: Coupons::new(platform.coupons.clone(), desk.clone(), ids.clone(), clock.clone()),
        idempotency: Idempotency::new(platform.fingerprinter.clone()),
        likes: Likes::new(likes, platform.likes.clone(), ids.clone()),
        orders: Orders::new(desk.clone(), platform.orders.clone(), ids.clone(), clock.clone()),
        points: Points::new(platform.users.clone(), desk.clone(), ids, clock, config.customers_may_charge()),
        views,
        docs: config.docs.enabled,
    }
}

fn scheduler(platform: &Platform, desk: OrderDesk, views: Arc<ViewCounter>) -> Scheduler {
    Scheduler {
        desk,
        accounts: platform.accounts.clone(),
        orders: platform.orders.clone(),
        catalogue: platform.catalogue.clone(),
        views,
        maintenance: platform.maintenance.clone(),
        leases: platform.leases.clone(),
        ids: platform.ids.clone(),
        clock: platform.clock.clone(),
    }
}

fn router(
    platform: &Platform,
    config: &Config,
    facades: Facades,
    metrics: commerce_telemetry::MetricsHandle,
    readiness: Readiness,
) -> Result<Router, StartError> {
    let accounts = platform.accounts.clone();
    let authenticator = Arc::new(SessionAuthenticator::new(accounts.clone()));
    let token = config.actuator.scrape_token.as_ref().map(|token| token.expose().to_owned());
    let guard = AnyOf(vec![Arc::new(LoopbackOr::new(token)), Arc::new(AdminSession(accounts))]);
    let health =
        HealthRegistry::new(readiness).with_readiness(Arc::new(DatabaseHealth(platform.database.clone())));
    let info = BuildInfo {
        name: "commerce-api",
        version: env!("CARGO_PKG_VERSION"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        commit: option_env!("COMMERCE_COMMIT"),
    };
    let operator = actuator::router(ActuatorState::new(info, health, metrics, Arc::new(guard)));
    let (router, _) = interfaces::router(facades, Arc::new(OsEntropy), authenticator, operator)
        .map_err(StartError::Routes)?;
    Ok(router)
}
