//! The shop that a walk, a sale or a load is run against: one of its own, or a running one.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use commerce_api::app::{Platform, demo};
use commerce_api::config::Profile;
use commerce_api_application::ports::{AuditReport, FindingState};
use commerce_bus::Record;
use commerce_config::{Origin, Sources};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::apps::Apps;
use crate::audit;
use crate::banner::base_url;
use crate::cli::{Global, Target};
use crate::client::{Call, Client, ClientError};
use crate::data_dir::{self, Addresses};
use crate::failure::Failure;
use crate::settings::{self, Settings};
use crate::setup;
use crate::shop::{self, Shop, ShopError};

/// The shop of a run.
pub struct Opened {
    /// The shop over HTTP.
    pub shop: Arc<Shop>,
    /// Token of the administrator.
    pub admin: String,
    /// Where it is, for people.
    pub place: String,
    /// Where its API listens.
    pub url: String,
    /// Its settings, as far as they are known here: those of its own shop, or those of this command line.
    pub settings: Settings,
    /// Where the apps of the shop listen, if it is its own or the data directory says that it belongs to this server.
    pub apps: Option<Addresses>,
    own: Option<Own>,
}

/// A shop that was started for this run.
struct Own {
    apps: Apps,
    dir: TempDir,
    /// Waits that are shorter than by default.
    shortened: Vec<String>,
}

/// The simulated gateway's books in short, in won.
#[derive(Deserialize)]
struct Books {
    captured: i64,
    refunded: i64,
}

/// What an audit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditVerdict {
    /// No rule is broken.
    Clean,
    /// So many are.
    Violated(usize),
    /// The data is not at hand.
    NotRun,
}

impl AuditVerdict {
    /// The verdict of a report.
    pub fn of(report: &AuditReport) -> Self {
        if report.is_violated() { Self::Violated(report.findings.len()) } else { Self::Clean }
    }
}

/// How often is looked whether the books are at rest.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How patient a shop of its own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As by default.
    Usual,
    /// It waits shorter for a gateway that fails, where nothing else is set.
    Short,
}

/// What a short wait is: in milliseconds, by key.
const SHORT: [(&str, u64); 3] =
    [("gateway.breaker_open_ms", 1_000), ("gateway.retry_first_ms", 100), ("payments.backoff_first_ms", 200)];

/// Starts or finds the shop, and logs in as its administrator.
pub async fn open(
    global: &Global,
    target: &Target,
    connections: u32,
    patience: Patience,
) -> Result<Opened, Failure> {
    let mut settings = setup::for_operator(global)?;
    let (login, password) = match &target.admin {
        Some(login) => (login.clone(), setup::password_from_stdin()?),
        None => (demo::ADMIN.login_id.to_owned(), demo::ADMIN.password.to_owned()),
    };
    let own = if target.ephemeral { Some(start(&mut settings, patience).await?) } else { None };
    let url = match (&own, &target.url) {
        (Some(own), _) => base_url(own.apps.addresses().api),
        (None, Some(url)) => url.clone(),
        (None, None) => base_url((settings.api.api.bind, settings.api.api.port).into()),
    };
    let shop = Arc::new(Shop::new(client(&url, connections)?));
    shop.health().await?;
    let admin = shop.log_in(&login, &password).await?;
    let place = match &own {
        Some(own) => format!("a shop of its own in {}", own.dir.path().display()),
        None => url.clone(),
    };
    let apps = match &own {
        Some(own) => Some(own.apps.addresses()),
        None => data_dir::apps_at(&settings.api.data_dir, &shop.addresses().await),
    };
    Ok(Opened { shop, admin, place, url, settings, apps, own })
}

/// A client of the app at `url`.
pub fn client(url: &str, connections: u32) -> Result<Client, Failure> {
    match Client::new(url, usize::try_from(connections).unwrap_or(usize::MAX)) {
        Ok(client) => Ok(client),
        Err(error @ ClientError::Url(_)) => Err(Failure::Usage(error.to_string())),
        Err(source) => Err(ShopError::Client { what: "reaching the shop", source }.into()),
    }
}

/// Starts a durable demonstration on temporary data and free ports. The environment counts, a file does not.
async fn start(settings: &mut Settings, patience: Patience) -> Result<Own, Failure> {
    let dir = tempfile::Builder::new()
        .prefix("commerce-")
        .tempdir()
        .map_err(Failure::io("no temporary directory can be made"))?;
    let sources = Sources { environment: Sources::process_environment(), ..Sources::default() };
    let loaded = settings::load(&sources)?;
    *settings = loaded.settings;
    let shortened = if patience == Patience::Short { shorten(settings, &loaded.origins) } else { Vec::new() };
    settings.api.profile = Profile::Embedded;
    dir.path().clone_into(&mut settings.api.data_dir);
    settings.api.api.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    settings.api.api.port = 0;
    settings.api.database.durable = true;
    settings.collector.collector.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    settings.collector.collector.port = 0;
    settings.simulator.simulator.port = 0;
    let platform = Platform::open(&settings.api).await?;
    demo::seed(&platform, 0).await?;
    let apps = Apps::start(platform, settings).await?;
    Ok(Own { apps, dir, shortened })
}

/// Shortens the waits that nobody set; says which.
fn shorten(settings: &mut Settings, origins: &[Origin]) -> Vec<String> {
    let api = &mut settings.api;
    let waits = [
        &mut api.gateway.breaker_open_ms,
        &mut api.gateway.retry_first_ms,
        &mut api.payments.backoff_first_ms,
    ];
    let is_default = |key: &str| origins.iter().any(|origin| origin.key == key && origin.source == "default");
    let shortened =
        SHORT.iter().zip(waits).filter(|((key, _), _)| is_default(key)).map(|((key, short), wait)| {
            format!("{key} {short} instead of {}", std::mem::replace(wait, *short))
        });
    shortened.collect()
}

impl Opened {
    /// Where the collector listens: as the shop at hand says, or the configured port of the shop's host.
    pub fn collector_url(&self) -> String {
        if let Some(apps) = &self.apps {
            return base_url(apps.collector);
        }
        let host = self.shop.client().authority().rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        format!("http://{host}:{}", self.settings.collector.collector.port)
    }

    /// Where the simulated gateway listens, if that is known.
    pub fn gateway_url(&self) -> Option<String> {
        self.apps.as_ref().and_then(|apps| apps.gateway).map(base_url)
    }

    /// Whether the shop was started for this run.
    pub const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Waits of its own shop that are shorter than by default, one a text.
    pub fn shortened(&self) -> &[String] {
        self.own.as_ref().map_or(&[], |own| &own.shortened)
    }

    /// Audits the shop where its data is at hand: its own, or the data directory that says it belongs to this server.
    pub async fn audit(&self) -> Result<AuditVerdict, Failure> {
        if !self.is_at_hand() {
            return Ok(AuditVerdict::NotRun);
        }
        Ok(AuditVerdict::of(&audit::recount(&self.settings, false).await?))
    }

    /// The same once nothing lags any more, or `wait` is over; then what lags is a violation.
    pub async fn audit_settled(&self, wait: Duration) -> Result<AuditVerdict, Failure> {
        let report = self.recount_settled(wait).await?;
        Ok(report.as_ref().map_or(AuditVerdict::NotRun, AuditVerdict::of))
    }

    /// The report behind it; none where the data is not at hand.
    pub async fn recount_settled(&self, wait: Duration) -> Result<Option<AuditReport>, Failure> {
        if !self.is_at_hand() {
            return Ok(None);
        }
        let give_up_at = Instant::now() + wait;
        loop {
            let report = audit::recount(&self.settings, false).await?;
            let is_pending = report.findings.iter().any(|finding| finding.state == FindingState::Pending);
            let is_over = report.is_violated() || Instant::now() >= give_up_at;
            if !is_pending || is_over {
                let settled = audit::recount(&self.settings, true).await?;
                // Something may have begun between the two looks: it is pending yet, and not wrong.
                if is_over || !settled.is_violated() {
                    return Ok(Some(settled));
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the simulated gateway of a shop of its own took and did not give back, in won.
    pub async fn won_at_gateway(&self) -> Result<Option<i64>, Failure> {
        let gateway = self.own.as_ref().and_then(|own| own.apps.addresses().gateway);
        let Some(gateway) = gateway else { return Ok(None) };
        let client = client(&base_url(gateway), 1)?;
        let what = "asking the gateway for its books";
        let reply = shop::answer(&client, what, &Call::get("/admin/summary")).await?;
        let books: Books =
            serde_json::from_slice(&reply.body).map_err(|source| ShopError::Form { what, source })?;
        Ok(Some(books.captured - books.refunded))
    }

    /// Publishes events to the log of a shop of its own; false where the shop is another's.
    pub async fn publish(&self, records: Vec<Record>) -> Result<bool, Failure> {
        let Some(own) = &self.own else { return Ok(false) };
        own.apps.publish(records).await?;
        Ok(true)
    }

    fn is_at_hand(&self) -> bool {
        // Whoever names servers names those of the shop.
        self.settings.api.profile == Profile::Servers
            || self.apps.is_some() && setup::database_file(&self.settings.api).is_file()
    }

    /// Stops a shop that was started for this run, and removes its data.
    pub async fn close(self) -> Result<(), Failure> {
        let Some(own) = self.own else { return Ok(()) };
        // Connections that stay open would be waited for.
        drop(self.shop);
        own.apps.stop().await;
        own.dir.close().map_err(Failure::io("the temporary data was not removed"))
    }
}
