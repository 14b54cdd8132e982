use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::desk::{Signal, describe_metrics};
use commerce_api_application::payments::describe_payment_metrics;
use commerce_api_application::ports::PaymentGateway;
use commerce_api_application::reconciliation::describe_nightly_metrics;
use commerce_api_application::schedule::ScheduleOptions;
use commerce_api_application::{ViewCounter, describe_view_metrics, relay};
use commerce_api_infrastructure::gateway::{HttpGateway, describe_gateway_metrics};
use commerce_api_infrastructure::product_cache::describe_cache_metrics;
use commerce_bus::EventBus;
use commerce_database::Database;
use commerce_http::server::{ConnectionLimits, listen, serve_within};
use commerce_telemetry::{Readiness, metrics};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::background::{self, Background};
use super::error::StartError;
use super::health::BusReached;
use super::platform::Platform;
use super::wiring::{self, Desks};
use crate::config::Config;
use crate::interfaces::describe_callback_metrics;

/// The app at work: HTTP, desks and background tasks.
pub struct Running {
    api_addr: SocketAddr,
    readiness: Readiness,
    stop: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    scheduler: JoinHandle<()>,
    dispatcher: Background,
    nightly: Background,
    view_events: Option<Background>,
    relay: Option<Background>,
    warming: Background,
    database: Database,
}

impl Running {
    /// Requests that were accepted are finished for at most this long when the app stops.
    const DRAIN_MAX: Duration = Duration::from_secs(10);
    /// Calls to the gateway that are under way are waited for so long; the next start asks about those that were cut.
    const VISITS_MAX: Duration = Duration::from_secs(10);
    /// Events that were written are published for at most this long; the rest follows after the next start.
    const PUBLISH_MAX: Duration = Duration::from_secs(10);

    /// The warming stops at once.
    const WARMING_MAX: Duration = Duration::from_secs(1);

    /// Binds the port and starts desks, background tasks and HTTP on the current runtime.
    ///
    /// `bus` takes the events; without one they stay in the outbox until there is.
    pub fn start(
        platform: Platform,
        config: &Config,
        bus: Option<Arc<dyn EventBus>>,
    ) -> Result<Self, StartError> {
        let metrics = metrics::install()?;
        describe();
        let addr = SocketAddr::new(config.api.bind, config.api.port);
        let listener = listen(addr, BACKLOG).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { addr },
            _ => StartError::Bind { addr, source },
        })?;
        let api_addr = listener.local_addr().map_err(|source| StartError::Bind { addr, source })?;
        let options = config.gateway_options(api_addr)?;
        let longest_call = options.longest();
        if options.sends_in_the_clear() {
            tracing::warn!(
                "`gateway.url` is http and not on this machine: card numbers can be read on their way"
            );
        }
        let gateway = HttpGateway::new(options)?;
        let breakers = gateway.breakers();
        wiring::show_breakers_of_redis(&platform, &breakers);
        let gateway: Arc<dyn PaymentGateway> = Arc::new(gateway);
        let desks = Desks::start(&platform, config);
        let views = ViewCounter::new(platform.catalogue.clone(), platform.clock.clone());
        let (views, view_events) = match &bus {
            Some(bus) => {
                let (events, task) = background::view_events(&platform, &**bus);
                (views.publishing_to(events), Some(task))
            }
            None => (views, None),
        };
        let views = Arc::new(views);
        let readiness = Readiness::default();
        let requested = Signal::default();
        let asked = (views.clone(), requested.clone());
        let gateway_and_breakers = (gateway.clone(), breakers.clone());
        let facades = wiring::facades(&platform, config, desks.clone(), gateway_and_breakers, asked);
        let warming = background::warming(facades.details.clone());
        let reached = BusReached::default();
        let probes = (readiness.clone(), reached.clone());
        let router = wiring::router(&platform, config, facades, (metrics, breakers), probes)?;
        let connections = ConnectionLimits {
            connections_max: config.limits.connections_max,
            head_timeout: config.head_timeout(),
            answer_timeout: config.answer_timeout(),
        };
        let (stop, stopping) = watch::channel(false);
        let scheduler = wiring::scheduler(&platform, desks.orders.clone(), views);
        let scheduler = tokio::spawn(scheduler.run(ScheduleOptions::default(), stopping.clone()));
        let nightly = background::nightly(&platform, config, &desks, gateway.clone(), requested);
        let relay = bus.map(|bus| background::relay(&platform, config, &desks, (bus, reached)));
        let dispatcher = background::dispatcher(&platform, config, &desks, gateway, longest_call);
        let server = tokio::spawn(serve_within(listener, router, connections, stopping));
        let database = platform.database;
        Ok(Self {
            api_addr,
            readiness,
            stop,
            server,
            scheduler,
            dispatcher,
            nightly,
            view_events,
            relay,
            warming,
            database,
        })
    }

    /// Where the API listens.
    pub const fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Stops: not ready any more, no new connection, what was accepted is finished, then nothing is begun at the gateway,
    /// then what happened is published, then the rest is flushed.
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
        self.warming.stop(Self::WARMING_MAX).await;
        self.nightly.stop(Self::VISITS_MAX).await;
        self.dispatcher.stop(Self::VISITS_MAX).await;
        for publishing in self.view_events.into_iter().chain(self.relay) {
            publishing.stop(Self::PUBLISH_MAX).await;
        }
        self.database.close().await;
    }
}

fn describe() {
    describe_metrics();
    describe_payment_metrics();
    describe_nightly_metrics();
    describe_gateway_metrics();
    relay::describe_metrics();
    describe_view_metrics();
    commerce_bus::describe_metrics();
    describe_callback_metrics();
    describe_cache_metrics();
    commerce_redis::describe_metrics();
}

/// Connections that may wait to be accepted. With the usual 128 a sale's buyers overflow it, and each one that
/// does tries again only after a second.
const BACKLOG: u32 = 4_096;
