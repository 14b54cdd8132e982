//! Two API nodes, three collectors and a gateway on `MySQL`, Redis and Kafka.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use commerce_chaos::{Mode, Proxy};
use commerce_databases::Scratch;
use commerce_servers::{Server, ServerKind, Tuning, shared};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::node::{Environment, Node, command};
use crate::support::{DataDir, Ended, ask};

const API_NODES: usize = 2;
const COLLECTORS: usize = 3;
/// How often is looked whether everything has settled, and how long is waited in between.
const LOOKS_MAX: u32 = 120;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Quick gateway and quick repetitions: much is under way at every moment, and little is waited for.
const QUICK: [(&str, &str); 17] = [
    ("COMMERCE_PROFILE", "servers"),
    ("COMMERCE_MYSQL__POOL_MIN", "1"),
    ("COMMERCE_MYSQL__POOL_MAX", "8"),
    ("COMMERCE_MYSQL__CONNECT_TIMEOUT_MS", "1000"),
    ("COMMERCE_SIMULATOR__LATENCY_MIN_MS", "0"),
    ("COMMERCE_SIMULATOR__LATENCY_MAX_MS", "20"),
    ("COMMERCE_SIMULATOR__DECISION_MIN_MS", "0"),
    ("COMMERCE_SIMULATOR__DECISION_MAX_MS", "60"),
    ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "20"),
    ("COMMERCE_GATEWAY__BREAKER_OPEN_MS", "1000"),
    ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "50"),
    ("COMMERCE_PAYMENTS__BACKOFF_MAX_MS", "1000"),
    ("COMMERCE_RELAY__EVERY_MS", "50"),
    ("COMMERCE_RELAY__LEASE_S", "5"),
    ("COMMERCE_COLLECTOR__FLUSH_MS", "50"),
    ("COMMERCE_LOG__FILTER", "info"),
    ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
];

/// The platform as processes.
pub struct Cluster {
    runtime: Runtime,
    /// Between every process and `MySQL`.
    pub database: Proxy,
    redis: Server,
    kafka: Server,
    _databases: [Scratch; 2],
    environment: Environment,
    /// A directory for each process, which holds what it does not share.
    directory: DataDir,
    started: usize,
    gateway: Option<Node>,
    api: Vec<Node>,
    collectors: Vec<Node>,
    /// Where buyers may ask now.
    pub addresses: Arc<RwLock<Vec<String>>>,
}

impl Cluster {
    /// Starts everything.
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mysql = shared(ServerKind::MySql).address();
        let (database, redis, kafka, databases) = runtime.block_on(async {
            let database = Proxy::start(mysql).unwrap();
            let own = |kind| Server::own(kind, Tuning::Fast);
            let (redis, kafka) = tokio::join!(own(ServerKind::Redis), own(ServerKind::Kafka));
            let databases =
                [Scratch::empty(ServerKind::MySql).await, Scratch::empty(ServerKind::MySql).await];
            (database, redis.unwrap(), kafka.unwrap(), databases)
        });
        let through = |scratch: &Scratch| scratch.url().replace(mysql, &database.address().to_string());
        let mut environment: Environment =
            QUICK.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (name, value) in [
            ("COMMERCE_MYSQL__OLTP_URL", through(&databases[0])),
            ("COMMERCE_MYSQL__OLAP_URL", through(&databases[1])),
            ("COMMERCE_REDIS__URL", format!("{}/0", redis.url())),
            ("COMMERCE_KAFKA__BROKERS", kafka.address().to_owned()),
            ("COMMERCE_SECRETS__FINGERPRINT_KEY", "0123456789abcdef".repeat(4)),
            ("COMMERCE_SECRETS__VAULT_KEY", "fedcba9876543210".repeat(4)),
        ] {
            environment.push((name.to_owned(), value));
        }
        let (directory, addresses) = (DataDir::new(), Arc::default());
        let mut cluster = Self {
            runtime,
            database,
            redis,
            kafka,
            _databases: databases,
            environment,
            directory,
            started: 0,
            gateway: None,
            api: Vec::new(),
            collectors: Vec::new(),
            addresses,
        };
        let gateway = cluster.node("pg-simulator");
        let url = format!("http://{}", gateway.address);
        cluster.environment.push(("COMMERCE_GATEWAY__URL".to_owned(), url));
        cluster.gateway = Some(gateway);
        for _ in 0..API_NODES {
            cluster.start_api();
        }
        for _ in 0..COLLECTORS {
            cluster.start_collector();
        }
        cluster
    }

    fn node(&mut self, app: &str) -> Node {
        self.started += 1;
        let directory = self.directory.join(&format!("{app}-{}", self.started));
        Node::start(app, &directory, &self.environment, &self.log())
    }

    /// What all processes logged.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where an API node listens.
    pub fn api(&self) -> String {
        self.api[0].address.clone()
    }

    pub fn start_api(&mut self) {
        let node = self.node("api");
        self.addresses.write().unwrap().push(node.address.clone());
        self.api.push(node);
    }

    /// `kill -9` of the oldest API node.
    pub fn kill_api(&mut self) {
        let node = self.api.remove(0);
        self.addresses.write().unwrap().retain(|address| *address != node.address);
        node.kill();
    }

    pub fn start_collector(&mut self) {
        let node = self.node("collector");
        self.collectors.push(node);
    }

    /// `kill -9` of the oldest collector.
    pub fn kill_collector(&mut self) {
        self.collectors.remove(0).kill();
    }

    /// Has the oldest collector end as an operator would.
    pub fn stop_collector(&mut self) {
        assert_eq!(self.collectors.remove(0).terminate(), 0);
    }

    /// What the network to `MySQL` does.
    pub fn network(&self, mode: Mode) {
        self.runtime.block_on(self.database.set(mode)).unwrap();
    }

    /// Redis stays connected and answers nothing.
    pub fn pause_redis(&mut self) {
        self.redis.pause().unwrap();
    }

    pub fn resume_redis(&mut self) {
        self.redis.resume().unwrap();
    }

    pub fn kill_redis(&mut self) {
        self.runtime.block_on(self.redis.kill()).unwrap();
    }

    pub fn restart_redis(&mut self) {
        self.runtime.block_on(self.redis.restart()).unwrap();
    }

    pub fn kill_kafka(&mut self) {
        self.runtime.block_on(self.kafka.kill()).unwrap();
    }

    pub fn restart_kafka(&mut self) {
        self.runtime.block_on(self.kafka.restart()).unwrap();
    }

    fn audit(&self) -> Ended {
        let arguments = ["audit", "--settled", "--json"];
        let directory = self.directory.join("operator");
        command(&directory, &arguments, &self.environment).output().unwrap().into()
    }

    /// Waits until no payment is open, every event is counted and the audit is clean.
    pub fn wait_until_settled(&self, label: &str) -> Value {
        let (mut report, mut stderr) = (Value::Null, String::new());
        for _ in 0..LOOKS_MAX {
            let ended = self.audit();
            stderr = ended.stderr;
            report = serde_json::from_str(&ended.stdout).unwrap_or_default();
            let is_open = |name: &str| report["totals"][name] != json!(0);
            let open = ["orders PAYMENT_PENDING", "orders CANCEL_PENDING", "refund pending"];
            let is_done = ended.code == 0 && report["checked"]["open payments"] == json!(0);
            if is_done && !open.into_iter().any(is_open) {
                return report;
            }
            std::thread::sleep(LOOK_EVERY); // tidy: sleep between looks at a platform that settles
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(60)..].join("\n");
        panic!("{label}: not settled: {report}\n{stderr}\n{last}")
    }

    /// What the simulated gateway took and gave back, in won.
    pub fn gateway_books(&self) -> (i64, i64) {
        let gateway = &self.gateway.as_ref().unwrap().address;
        let (status, books) = ask(gateway, "GET /admin/summary", None, None, "").unwrap();
        assert_eq!(status, 200, "{books}");
        (books["captured"].as_i64().unwrap(), books["refunded"].as_i64().unwrap())
    }
}
