use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use commerce_api::app::{Platform, Running, demo};
use commerce_api::config::{self, Config, Sources};
use commerce_api_application::ports::{AuditReport, AuditStore, Clock};
use tempfile::TempDir;

use crate::banner::base_url;
use crate::cli::{Global, Target};
use crate::client::{Client, ClientError};
use crate::data_dir;
use crate::failure::Failure;
use crate::setup;
use crate::shop::{Shop, ShopError};

/// The shop of a run.
pub struct Opened {
    /// The shop over HTTP.
    pub shop: Arc<Shop>,
    /// Token of the administrator.
    pub admin: String,
    /// Where it is, for people.
    pub place: String,
    own: Option<Own>,
    config: Config,
}

/// A shop that was started for this run.
struct Own {
    running: Running,
    audit: Arc<dyn AuditStore>,
    clock: Arc<dyn Clock>,
    dir: TempDir,
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

/// Starts or finds the shop, and logs in as its administrator.
pub async fn open(global: &Global, target: &Target) -> Result<Opened, Failure> {
    let config = setup::for_operator(global)?;
    let (login, password) = match &target.admin {
        Some(login) => (login.clone(), setup::password_from_stdin()?),
        None => (demo::ADMIN.login_id.to_owned(), demo::ADMIN.password.to_owned()),
    };
    let own = if target.ephemeral { Some(start().await?) } else { None };
    let url = match (&own, &target.url) {
        (Some(own), _) => base_url(own.running.api_addr()),
        (None, Some(url)) => url.clone(),
        (None, None) => base_url((config.api.bind, config.api.port).into()),
    };
    let connections = usize::try_from(target.connections).unwrap_or(usize::MAX);
    let client = match Client::new(&url, connections) {
        Ok(client) => client,
        Err(error @ ClientError::Url(_)) => return Err(Failure::Usage(error.to_string())),
        Err(source) => return Err(ShopError::Client { what: "reaching the shop", source }.into()),
    };
    let shop = Arc::new(Shop::new(client));
    shop.health().await?;
    let admin = shop.log_in(&login, &password).await?;
    let place = match &own {
        Some(own) => format!("a shop of its own in {}", own.dir.path().display()),
        None => url,
    };
    Ok(Opened { shop, admin, place, own, config })
}

/// Starts a durable demonstration on temporary data and a free port. The environment counts, a file does not.
async fn start() -> Result<Own, Failure> {
    let dir = tempfile::Builder::new()
        .prefix("commerce-")
        .tempdir()
        .map_err(Failure::io("no temporary directory can be made"))?;
    let sources = Sources { environment: Sources::process_environment(), ..Sources::default() };
    let mut config: Config = config::load(&sources)?.config;
    config.data_dir = dir.path().to_owned();
    config.api.bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.api.port = 0;
    config.database.durable = true;
    let platform = Platform::open(&config).await?;
    demo::seed(&platform, 0).await?;
    let (audit, clock) = (platform.audit.clone(), platform.clock.clone());
    let running = Running::start(platform, &config)?;
    Ok(Own { running, audit, clock, dir })
}

impl Opened {
    /// Audits the shop where its data is at hand: its own, or the data directory that says it belongs to this server.
    pub async fn audit(&self) -> Result<AuditVerdict, Failure> {
        if let Some(own) = &self.own {
            return Ok(AuditVerdict::of(&own.audit.audit(own.clock.now(), false).await?));
        }
        let at_hand = data_dir::belongs_to(&self.config.data_dir, &self.shop.addresses().await)
            && setup::database_file(&self.config).is_file();
        if !at_hand {
            return Ok(AuditVerdict::NotRun);
        }
        let platform = setup::open_existing(&self.config).await?;
        let report = platform.audit.audit(platform.clock.now(), false).await?;
        platform.database.close().await;
        Ok(AuditVerdict::of(&report))
    }

    /// Stops a shop that was started for this run, and removes its data.
    pub async fn close(self) -> Result<(), Failure> {
        let Some(own) = self.own else { return Ok(()) };
        // Connections that stay open would be waited for.
        drop(self.shop);
        own.running.stop().await;
        own.dir.close().map_err(Failure::io("the temporary data was not removed"))
    }
}
