//! What works beside the requests: the payment dispatcher, the relay and the events of views.

use std::sync::Arc;
use std::time::Duration;

use commerce_api_application::desk::Signal;
use commerce_api_application::payments::{DispatchOptions, PaymentDispatcher};
use commerce_api_application::ports::{PaymentGateway, RelayOptions};
use commerce_api_application::reconciliation::Nightly;
use commerce_api_application::relay::Relay;
use commerce_api_application::{ProductDetails, ViewEventOptions, ViewEvents};
use commerce_api_infrastructure::bus::BusPublisher;
use commerce_bus::EventBus;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::event_log::EventLog;
use super::health::BusReached;
use super::platform::Platform;
use super::wiring::{self, Desks};
use crate::config::{Config, Profile};

/// A task that is told to stop and then waited for.
pub(super) struct Background {
    name: &'static str,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Background {
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        run: impl FnOnce(watch::Receiver<bool>) -> F,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        Self { name, stop, task: tokio::spawn(run(stopping)) }
    }

    /// Lets it finish what it is at for at most `max`, then cuts it off: it goes on at the next start.
    pub(super) async fn stop(self, max: Duration) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        match tokio::time::timeout(max, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(task = self.name, %error, "a background task failed"),
            Err(_) => {
                tracing::warn!(task = self.name, "a background task did not stop in time and was cut off");
                abort.abort();
            }
        }
    }
}

/// Brings every payment by card to an end.
pub(super) fn dispatcher(
    platform: &Platform,
    config: &Config,
    desks: &Desks,
    gateway: Arc<dyn PaymentGateway>,
    longest_call: Duration,
) -> Background {
    let dispatcher = PaymentDispatcher::new(
        desks.orders.clone(),
        platform.checks.clone(),
        gateway,
        platform.cipher.clone(),
        &*platform.ids,
        platform.clock.clone(),
        // A data directory belongs to this process: whoever had claimed a payment in it before is gone.
        DispatchOptions {
            alone: config.profile == Profile::Embedded,
            ..config.dispatch_options(longest_call)
        },
    );
    Background::spawn("payment dispatcher", async move |stop| dispatcher.run(stop).await)
}

/// Reconciles the day before, and recounts everything, once a night.
pub(super) fn nightly(
    platform: &Platform,
    config: &Config,
    desks: &Desks,
    gateway: Arc<dyn PaymentGateway>,
    requested: Signal,
) -> Background {
    let reconciler = wiring::reconciler(platform, gateway, desks.orders.payments_due().clone());
    let (audit, leases) = (platform.audit.clone(), platform.leases.clone());
    let nightly = Nightly::new(reconciler, audit, leases, requested, config.nightly_options());
    Background::spawn("nightly work", async move |stop| nightly.run(stop).await)
}

/// Publishes the outbox.
pub(super) fn relay(
    platform: &Platform,
    config: &Config,
    desks: &Desks,
    (bus, reached): (Arc<dyn EventBus>, BusReached),
) -> Background {
    let relay = Relay::new(
        platform.outbox.clone(),
        Arc::new(BusPublisher::new(bus.producer())),
        platform.leases.clone(),
        platform.clock.clone(),
        &*platform.ids,
        // A data directory belongs to this process: whoever held a lease in it before is gone.
        RelayOptions { alone: config.profile == Profile::Embedded, ..config.relay_options() },
    );
    let wake = vec![desks.orders.events_written().listen(), desks.likes.events_written().listen()];
    Background::spawn("relay", async move |mut stop| {
        tokio::select! {
            () = make_topics(&*bus) => reached.tell(),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        relay.run(wake, stop).await;
    })
}

/// Fills the cache with what will be asked for first. Nothing waits for it: without it, the first readers fill it.
pub(super) fn warming(details: ProductDetails) -> Background {
    /// Products of today's ranking.
    const BEST: u64 = 200;
    Background::spawn("warming of the product cache", async move |mut stop| {
        let warmed = tokio::select! {
            warmed = details.warm(BEST) => warmed,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match warmed {
            Ok(products) => tracing::debug!(products, "the product cache is warm"),
            Err(error) => tracing::warn!(%error, "the product cache starts cold"),
        }
    })
}

/// Publishes views.
pub(super) fn view_events(platform: &Platform, bus: &dyn EventBus) -> (Arc<ViewEvents>, Background) {
    let publisher = Arc::new(BusPublisher::new(bus.producer()));
    let events = Arc::new(ViewEvents::new(publisher, platform.ids.clone(), ViewEventOptions::default()));
    let running = events.clone();
    (events, Background::spawn("view events", async move |stop| running.run(stop).await))
}

/// Tries until the bus has every topic: without it nothing can be published anyway.
async fn make_topics(bus: &dyn EventBus) {
    const PAUSE: Duration = Duration::from_secs(1);
    while let Err(error) = EventLog::make_topics(bus).await {
        tracing::warn!(%error, "the topics of the event bus cannot be made; it is tried again");
        tokio::time::sleep(PAUSE).await;
    }
}
