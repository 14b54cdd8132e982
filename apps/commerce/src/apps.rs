//! All apps of one process: what is started in which order, and stopped in which.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use commerce_api::app::{EventLog, Platform, Running};
use commerce_api::config::Profile;
use commerce_api::interfaces::SessionAuthenticator;
use commerce_bus::{BusError, EventBus, Record};
use commerce_collector::Collector;
use commerce_collector::application::GROUP;
use commerce_contracts::topics;
use commerce_runtime::SystemClock;
use pg_simulator::{Capabilities, Simulator};
use tokio::time::{Instant, sleep};

use crate::banner::base_url;
use crate::data_dir::Addresses;
use crate::failure::Failure;
use crate::settings::Settings;

/// Name of the collector's database there.
pub const COLLECTOR_FILE: &str = commerce_collector::Options::DATABASE_FILE;
/// Name of the simulated gateway's database there: the outside world's, not the shop's.
pub const GATEWAY_FILE: &str = "gateway.sqlite";

/// The apps at work.
pub struct Apps {
    simulator: Option<pg_simulator::Running>,
    log: EventLog,
    api: Running,
    collector: commerce_collector::Running,
}

impl Apps {
    /// What was accepted is counted within this time when the apps stop, or by the next start.
    const COUNT_MAX: Duration = Duration::from_secs(5);

    /// Starts them on the current runtime: the gateway first, whose address the API needs, then the log, the API that
    /// publishes to it, and the collector that reads it. `platform` is that of the settings' data directory, which
    /// nobody else runs on.
    pub async fn start(platform: Platform, settings: &Settings) -> Result<Self, Failure> {
        let simulator = if settings.simulates() {
            let options = simulator_options(settings, platform.webhook_secrets.clone());
            Some(Simulator::start(options).await?)
        } else {
            None
        };
        let mut config = settings.api.clone();
        if let Some(simulator) = &simulator {
            config.gateway.url = base_url(simulator.addr());
        }
        let clock = Arc::new(SystemClock);
        let log = EventLog::open(&config, true, clock.clone()).await?;
        let bus = log.bus();
        let mut options = collector_options(settings)?;
        // On servers there may be others beside this process.
        options.projector.alone = config.profile == Profile::Embedded;
        let collector = Collector::open(options, clock.as_ref()).await?;
        let authenticator = Arc::new(SessionAuthenticator::new(platform.accounts.clone()));
        let api = Running::start(platform, &config, Some(bus.clone()))?;
        let collector = commerce_collector::Running::start(collector, bus, authenticator, clock)?;
        Ok(Self { simulator, log, api, collector })
    }

    /// Where they listen.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            api: self.api.api_addr(),
            collector: self.collector.addr(),
            gateway: self.simulator.as_ref().map(pg_simulator::Running::addr),
        }
    }

    /// Publishes events beside those of the shop, as a producer of another process would.
    pub async fn publish(&self, records: Vec<Record>) -> Result<(), BusError> {
        let published = self.log.bus().producer().publish(records).await;
        published.into_iter().try_for_each(|position| position.map(drop))
    }

    /// Stops them: first the API, which finishes what it accepted and publishes it, so that the collector, the last, can
    /// still count it. What the gateway decides meanwhile stands in its database; it calls back when it is there again.
    pub async fn stop(self) {
        self.api.stop().await;
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        wait_until_counted(&*self.log.bus(), Self::COUNT_MAX).await;
        self.collector.stop().await;
        self.log.close().await;
    }
}

/// Waits until the collector has read all that was published, for at most so long.
async fn wait_until_counted(log: &dyn EventBus, max: Duration) {
    let give_up_at = Instant::now() + max;
    loop {
        match log.lag(GROUP, topics::ALL).await {
            Ok(partitions) if partitions.iter().all(|partition| partition.lag == 0) => return,
            Ok(_) if Instant::now() < give_up_at => sleep(Duration::from_millis(20)).await,
            Ok(partitions) => {
                let left: i64 = partitions.iter().map(|partition| partition.lag).sum();
                tracing::warn!(
                    events = left,
                    "stopped before all events were counted; the next start goes on"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "whether all events were counted is not known; the next start goes on");
                return;
            }
        }
    }
}

/// The collector, as it is configured.
pub fn collector_options(settings: &Settings) -> Result<commerce_collector::Options, Failure> {
    Ok(commerce_collector::process::options(&settings.api, &settings.collector)?)
}

/// The simulated gateway, as the shop's configuration describes its gateway, which signs with the first of `secrets`.
pub fn simulator_options(
    settings: &Settings,
    secrets: Vec<commerce_webhook::Secret>,
) -> pg_simulator::Options {
    let (config, section) = (&settings.api, &settings.simulator.simulator);
    let mut options = pg_simulator::Options::new(config.data_dir.join(GATEWAY_FILE), section.preset);
    options.bind = Ipv4Addr::LOCALHOST.into();
    options.port = section.port;
    options.merchant.clone_from(&config.gateway.merchant);
    options.webhook_secrets = secrets;
    let gateway = &config.gateway;
    options.capabilities = Capabilities {
        idempotency: gateway.idempotency,
        refund: gateway.refund,
        void: gateway.void,
        signature: gateway.signature,
    };
    options.zone = config.zone();
    if let Some(seed) = section.seed {
        options.seed = seed;
    }
    section.put_times(&mut options.faults);
    options
}
