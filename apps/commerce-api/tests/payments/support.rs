use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commerce_api::app::{Platform, Running, demo};
use commerce_api::config::Config;
use commerce_api_application::ports::AuditStore;
use commerce_api_domain::Timestamp;
use commerce_bus::{EmbeddedLog, EmbeddedOptions, EventBus};
use commerce_contracts::topics;
use commerce_runtime::{Clock as _, SystemClock};
use pg_simulator::{Capabilities, Faults, Options, Preset, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub const APPROVED: &str = "1234-5678-9814-1451";
pub const OVER_LIMIT: &str = "1234-5678-9814-0002";

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A shop and a gateway, each with files of its own.
pub struct World {
    pub config: Config,
    capabilities: Capabilities,
    secrets: Vec<commerce_webhook::Secret>,
    client: reqwest::Client,
    gateway: Option<pg_simulator::Running>,
    pub gateway_addr: SocketAddr,
    shop: Option<Shop>,
    outside: TempDir,
    // Dropped last: the files are in use until then.
    inside: TempDir,
}

struct Shop {
    running: Running,
    log: EmbeddedLog,
    audit: Arc<dyn AuditStore>,
}

/// A customer with a session.
pub struct Buyer {
    token: String,
}

impl World {
    pub async fn open(capabilities: Capabilities, faults: Faults) -> Self {
        let (inside, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut config = Config { data_dir: inside.path().into(), ..Config::default() };
        (config.api.port, config.database.durable) = (0, false);
        (config.password.memory_kib, config.password.iterations) = (8, 1);
        (config.payments.backoff_first_ms, config.payments.backoff_max_ms) = (30, 200);
        (config.gateway.retry_first_ms, config.payments.not_found_grace_s) = (10, 1);
        config.gateway.breaker_open_ms = 200;
        let Capabilities { idempotency, refund, void, signature } = capabilities;
        let gateway = &mut config.gateway;
        (gateway.idempotency, gateway.refund) = (idempotency, refund);
        (gateway.void, gateway.signature) = (void, signature);
        let platform = Platform::open(&config).await.unwrap();
        demo::seed(&platform, 3).await.unwrap();
        let secrets = platform.webhook_secrets.clone();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let gateway_addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut world = Self {
            config,
            capabilities,
            secrets,
            client,
            gateway: None,
            gateway_addr,
            shop: None,
            outside,
            inside,
        };
        world.start_gateway(faults).await;
        world.config.gateway.url = format!("http://{}", world.gateway_addr);
        world.start_shop_on(platform).await;
        world
    }

    /// The gateway, where it was if it was there before.
    pub async fn start_gateway(&mut self, faults: Faults) {
        let mut options = Options::new(self.outside.path().join("gateway.sqlite"), Preset::Demo);
        options.port = self.gateway_addr.port();
        (options.capabilities, options.faults, options.seed) = (self.capabilities, faults, 7);
        options.callback_retry.first_ms = 30;
        if self.capabilities.signature {
            options.webhook_secrets = self.secrets.clone();
        }
        let gateway = Simulator::start(options).await.unwrap();
        self.gateway_addr = gateway.addr();
        self.gateway = Some(gateway);
    }

    pub async fn stop_gateway(&mut self) {
        self.gateway.take().unwrap().stop().await;
    }

    pub async fn start_shop(&mut self) {
        let platform = Platform::open(&self.config).await.unwrap();
        self.start_shop_on(platform).await;
    }

    async fn start_shop_on(&mut self, platform: Platform) {
        let mut options = EmbeddedOptions::new(self.inside.path().join("events.sqlite"));
        (options.durable, options.alone) = (false, true);
        let log = EmbeddedLog::open(options, Arc::new(SystemClock)).await.unwrap();
        let audit = platform.audit.clone();
        let bus: Arc<dyn EventBus> = Arc::new(log.clone());
        let running = Running::start(platform, &self.config, Some(bus)).unwrap();
        self.shop = Some(Shop { running, log, audit });
    }

    pub async fn stop_shop(&mut self) {
        let shop = self.shop.take().unwrap();
        shop.running.stop().await;
        shop.log.close().await;
    }

    pub fn api(&self, path: &str) -> String {
        format!("http://{}{path}", self.shop.as_ref().unwrap().running.api_addr())
    }

    pub async fn log_in(&self, account: demo::DemoAccount) -> Buyer {
        let body = json!({"loginId": account.login_id, "password": account.password});
        let opened = self.client.post(self.api("/api/v1/sessions")).json(&body).send().await.unwrap();
        Buyer { token: json_of(opened, 201).await["token"].as_str().unwrap().to_owned() }
    }

    pub async fn shopper(&self) -> Buyer {
        self.log_in(demo::SHOPPER).await
    }

    pub async fn post(&self, buyer: &Buyer, path: &str, body: &Value, status: u16) -> Value {
        let key = commerce_runtime::uuid_v7(0).to_string();
        let call = self.client.post(self.api(path)).bearer_auth(&buyer.token).header("idempotency-key", key);
        json_of(call.json(body).send().await.unwrap(), status).await
    }

    pub async fn admin(&self) -> Buyer {
        self.log_in(demo::ADMIN).await
    }

    /// Ends the session; the status of the answer.
    pub async fn log_out(&self, buyer: &Buyer) -> u16 {
        let call = self.client.delete(self.api("/api/v1/sessions/current")).bearer_auth(&buyer.token);
        call.send().await.unwrap().status().as_u16()
    }

    /// The status that this buyer gets.
    pub async fn status(&self, buyer: &Buyer, path: &str) -> u16 {
        let call = self.client.get(self.api(path)).bearer_auth(&buyer.token);
        call.send().await.unwrap().status().as_u16()
    }

    pub async fn get(&self, buyer: &Buyer, path: &str) -> Value {
        let call = self.client.get(self.api(path)).bearer_auth(&buyer.token);
        json_of(call.send().await.unwrap(), 200).await
    }

    /// An order of one piece of product 1, by this card; its path.
    pub async fn order(&self, buyer: &Buyer, card: &str) -> String {
        self.order_with(buyer, card, json!({})).await
    }

    /// The same with other members.
    pub async fn order_with(&self, buyer: &Buyer, card: &str, more: Value) -> String {
        let mut body = json!({
            "lines": [{"productId": 1, "quantity": 1}],
            "payment": {"card": {"type": "SAMSUNG", "number": card}},
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let placed = self.post(buyer, "/api/v1/orders", &body, 202).await;
        format!("/api/v1/orders/{}", placed["id"].as_str().unwrap())
    }

    pub async fn stock(&self, buyer: &Buyer) -> i64 {
        self.get(buyer, "/api/v1/products/1").await["stock"].as_i64().unwrap()
    }

    /// Waits until the order and its payment stand there; gives the order back.
    pub async fn until(&self, buyer: &Buyer, order: &str, order_is: &str, payment_is: &str) -> Value {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let shown = self.get(buyer, order).await;
            if shown["status"] == order_is && shown["payment"]["status"] == payment_is {
                return shown;
            }
            assert!(Instant::now() < give_up_at, "not {order_is} and {payment_is}: {shown}");
            // tidy: sleep between two looks, each of which is bounded by the test's patience
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until what stands at `path` is as it must be.
    pub async fn until_that(&self, buyer: &Buyer, path: &str, holds: impl Fn(&Value) -> bool) {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let shown = self.get(buyer, path).await;
            if holds(&shown) {
                return;
            }
            assert!(Instant::now() < give_up_at, "not yet: {shown}");
            // tidy: sleep between two looks, each of which is bounded by the test's patience
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the order's end is known; gives it back.
    pub async fn settled(&self, buyer: &Buyer, order: &str) -> Value {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let shown = self.get(buyer, order).await;
            if shown["status"] != "PAYMENT_PENDING" {
                return shown;
            }
            assert!(Instant::now() < give_up_at, "not settled: {shown}");
            // tidy: sleep between two looks, each of which is bounded by the test's patience
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many records are on the bus.
    pub async fn until_published(&self, records: i64) {
        let give_up_at = Instant::now() + PATIENCE;
        while self.published().await < records {
            assert!(Instant::now() < give_up_at, "{} of {records} are published", self.published().await);
            // tidy: sleep between two looks, each of which is bounded by the test's patience
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Events of an order's payment, in order.
    pub async fn history(&self, buyer: &Buyer, order: &Value) -> Vec<String> {
        let path = format!("/api/v1/payments/{}/history", order["payment"]["id"].as_str().unwrap());
        let events = self.get(buyer, &path).await;
        let items = events["items"].as_array().unwrap();
        items.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// What the gateway has captured and given back, in won.
    pub async fn books(&self) -> (i64, i64) {
        let url = format!("http://{}/admin/summary", self.gateway_addr);
        let summary = json_of(self.client.get(url).send().await.unwrap(), 200).await;
        (summary["captured"].as_i64().unwrap(), summary["refunded"].as_i64().unwrap())
    }

    /// Waits until this circuit breaker stands there; gives it back.
    pub async fn until_breaker(&self, name: &str, state: &str) -> Value {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let answer = self.client.get(self.api("/actuator/circuitbreakers")).send().await.unwrap();
            let breaker = json_of(answer, 200).await["circuitBreakers"][name].take();
            if breaker["state"] == state {
                return breaker;
            }
            assert!(Instant::now() < give_up_at, "not {state}: {breaker}");
            // tidy: sleep between two looks, each of which is bounded by the test's patience
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the app measures.
    pub async fn metrics(&self) -> String {
        let answer = self.client.get(self.api("/actuator/prometheus")).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }

    /// The audit is clean, and no file of the shop has a card number in it.
    pub async fn settles(mut self) {
        let audit = self.shop.as_ref().unwrap().audit.clone();
        let now = Timestamp::from_micros(SystemClock.now_us());
        let report = audit.audit(now, true).await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        self.stop_shop().await;
        if self.gateway.is_some() {
            self.stop_gateway().await;
        }
        for file in std::fs::read_dir(self.inside.path()).unwrap() {
            assert_no_card(&file.unwrap().path());
        }
    }

    /// Records of the bus, all topics together.
    pub async fn published(&self) -> i64 {
        let lag = self.shop.as_ref().unwrap().log.lag("nobody", topics::ALL).await.unwrap();
        lag.iter().map(|partition| partition.lag).sum()
    }
}

fn assert_no_card(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let found = bytes.windows(9).any(|window| window == b"5678-9814");
    assert!(!found, "a card number in {}", path.display());
}

async fn json_of(response: reqwest::Response, status: u16) -> Value {
    let (found, url) = (response.status().as_u16(), response.url().clone());
    let body: Value = response.json().await.unwrap();
    assert_eq!(found, status, "{url}: {body}");
    body
}

pub fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}
