use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use commerce_telemetry::LogFormat;
use serde::{Deserialize, Serialize};

use super::{Cors, Kafka, Limits, Mysql, Redis, Secret};

/// Everything that can be set. [`Default`] is the demonstration on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where databases and secrets are kept.
    pub data_dir: PathBuf,
    /// Which adapters are used.
    pub profile: Profile,
    /// The HTTP API.
    pub api: Api,
    /// The API's documentation.
    pub docs: Docs,
    /// How much callers may ask.
    pub limits: Limits,
    /// Pages of other origins.
    pub cors: Cors,
    /// Logs.
    pub log: Log,
    /// The embedded database.
    pub database: DatabaseSection,
    /// The databases of the profile servers.
    pub mysql: Mysql,
    /// The cache of the profile servers.
    pub redis: Redis,
    /// The event log of the profile servers.
    pub kafka: Kafka,
    /// The order desk.
    pub desk: Desk,
    /// Points.
    pub points: Points,
    /// Deadlines of unpaid orders.
    pub orders: Orders,
    /// The payment gateway.
    pub gateway: Gateway,
    /// How open payments are followed.
    pub payments: Payments,
    /// The work of every night.
    pub nightly: Nightly,
    /// How events leave for the bus.
    pub relay: Relay,
    /// Sessions.
    pub sessions: Sessions,
    /// Answers kept under idempotency keys.
    pub idempotency: Idempotency,
    /// The shop.
    pub shop: Shop,
    /// The operator's endpoints.
    pub actuator: Actuator,
    /// Secrets of this installation.
    pub secrets: Secrets,
    /// Cost of password hashes.
    pub password: Password,
    /// Whether a configuration file was given.
    #[serde(skip)]
    pub from_file: bool,
}

/// Which adapters are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything in one process, on `SQLite`.
    #[default]
    Embedded,
    /// `MySQL`, Redis and Kafka, and as many processes as are needed.
    Servers,
}

/// `api`: the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The address to listen on.
    pub bind: IpAddr,
    /// The TCP port; 0 takes a free one.
    pub port: u16,
}

/// `docs`: the API's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docs {
    /// Whether Swagger UI and the `OpenAPI` document are served.
    pub enabled: bool,
}

/// `log`: logs on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is logged: `level,target=level`.
    pub filter: String,
}

/// `database`: the embedded database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSection {
    /// Read connections.
    pub readers: u32,
    /// Whether a commit survives a power cut.
    pub durable: bool,
    /// How long a statement waits for another process's lock, in milliseconds.
    pub busy_timeout_ms: u64,
}

/// `desk`: the order desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// Commands that may wait.
    pub queue_max: usize,
    /// Commands of one batch.
    pub batch_max: usize,
    /// Runs of one batch in all, the first included.
    pub attempts_max: u32,
}

/// `points`: earning and charging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// Share of a paid total that is earned, in hundredths of a percent.
    pub earn_basis_points: u32,
    /// Largest single charge, in won.
    pub charge_max: i64,
    /// Largest sum of a customer's charges in one business day, in won.
    pub charge_day_max: i64,
    /// Whether customers charge points themselves; not set: in a demonstration only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customers_may_charge: Option<bool>,
}

/// `orders`: deadlines of unpaid orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// Seconds that an order waits whose payment was not yet sent to the gateway.
    pub unsent_deadline_s: u64,
    /// Seconds that an order waits, from its placing, once its payment was sent.
    pub sent_deadline_s: u64,
}

/// `gateway`: the payment gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent abilities, as the protocol lists them"
)]
pub struct Gateway {
    /// Where its API is.
    pub url: String,
    /// Who we are there.
    pub merchant: String,
    /// Where it posts outcomes to; not set: our own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Whether a request repeated under its key is the same transaction.
    pub idempotency: bool,
    /// Whether a capture can be given back.
    pub refund: bool,
    /// Whether a reference can be closed.
    pub void: bool,
    /// Whether callbacks are signed.
    pub signature: bool,
    /// Whether there is a settlement report of each day.
    pub settlement: bool,
    /// Longest time until a connection stands, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time of one call, in milliseconds.
    pub call_timeout_ms: u64,
    /// Calls in all where a call may be repeated.
    pub attempts_max: u32,
    /// Longest wait before the first repetition, in milliseconds.
    pub retry_first_ms: u64,
    /// Repetitions in percent of the calls, beyond a reserve.
    pub retry_budget_percent: u8,
    /// Calls under way at the same time.
    pub bulkhead_max: usize,
    /// Last calls over which a breaker takes its rates.
    pub breaker_window_calls: u32,
    /// Fewer calls give no verdict.
    pub breaker_calls_min: u32,
    /// Percent of failed calls that opens a breaker.
    pub breaker_failure_rate: u8,
    /// A call is slow that takes longer, in milliseconds.
    pub breaker_slow_call_ms: u64,
    /// Percent of slow calls that opens a breaker.
    pub breaker_slow_call_rate: u8,
    /// How long a breaker stays open, in milliseconds.
    pub breaker_open_ms: u64,
    /// Calls that then pass and decide.
    pub breaker_half_open_calls: u32,
    /// Secrets of callbacks' signatures; each is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secrets: Option<Vec<Secret>>,
}

/// `payments`: how open payments are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payments {
    /// Wait before the second visit of a payment, in milliseconds.
    pub backoff_first_ms: u64,
    /// Longest wait between two visits, in milliseconds.
    pub backoff_max_ms: u64,
    /// Seconds until "not found" is believed of a gateway without keys.
    pub not_found_grace_s: u64,
    /// Seconds after which an open payment is told to the operators.
    pub stuck_after_s: u64,
    /// Payments visited at the same time.
    pub concurrency: usize,
}

/// `nightly`: the work of every night. Times of day are counted from the beginning of the shop's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nightly {
    /// When the day before is reconciled with the gateway's settlement report.
    pub reconcile_at: String,
    /// Days back that are reconciled if they were missed, or are not settled.
    pub catch_up_days: u32,
    /// When everything is recounted.
    pub audit_at: String,
}

/// `relay`: how events leave for the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Events published together.
    pub batch_max: u64,
    /// How often it looks without being woken, in milliseconds.
    pub every_ms: u64,
    /// How long a shard is held without being renewed, in seconds.
    pub lease_s: u64,
}

/// `sessions`: log-ins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Seconds after which a session ends that is not used.
    pub idle_s: u64,
}

/// `idempotency`: answers kept under keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// Seconds that they are kept.
    pub keep_s: u64,
}

/// `shop`: the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    /// IANA name of the zone in which business days are counted.
    pub zone: String,
}

/// `actuator`: the operator's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actuator {
    /// Bearer token that opens metrics and details to a scraper on another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_token: Option<Secret>,
}

/// `secrets`: secrets of this installation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// 64 hex digits; fingerprints of request bodies are made under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<Secret>,
    /// 64 hex digits; card numbers are sealed under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_key: Option<Secret>,
    /// The vault key before this one, while numbers that were sealed under it still wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_key_former: Option<Secret>,
}

/// `password`: cost of argon2id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            profile: Profile::Embedded,
            api: Api { bind: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8080 },
            docs: Docs { enabled: true },
            limits: Limits::default(),
            cors: Cors::default(),
            log: Log { format: LogFormat::Plain, filter: "info".to_owned() },
            database: DatabaseSection { readers: 4, durable: true, busy_timeout_ms: 5_000 },
            mysql: Mysql::default(),
            redis: Redis::default(),
            kafka: Kafka::default(),
            desk: Desk { queue_max: 8_192, batch_max: 512, attempts_max: 4 },
            points: Points {
                earn_basis_points: 100,
                charge_max: 1_000_000,
                charge_day_max: 10_000_000,
                customers_may_charge: None,
            },
            orders: Orders { unsent_deadline_s: 900, sent_deadline_s: 1_800 },
            gateway: Gateway::default(),
            payments: Payments {
                backoff_first_ms: 1_000,
                backoff_max_ms: 60_000,
                not_found_grace_s: 120,
                stuck_after_s: 300,
                concurrency: 32,
            },
            nightly: Nightly {
                reconcile_at: "04:30".to_owned(),
                catch_up_days: 7,
                audit_at: "05:00".to_owned(),
            },
            relay: Relay { batch_max: 1_000, every_ms: 500, lease_s: 10 },
            sessions: Sessions { idle_s: 43_200 },
            idempotency: Idempotency { keep_s: 86_400 },
            shop: Shop { zone: "Asia/Seoul".to_owned() },
            actuator: Actuator::default(),
            secrets: Secrets::default(),
            password: Password { memory_kib: 19_456, iterations: 2, parallelism: 1 },
            from_file: false,
        }
    }
}

impl Default for Gateway {
    /// The simulator beside us, with everything that it can do.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8082".to_owned(),
            merchant: "135135".to_owned(),
            callback_url: None,
            idempotency: true,
            refund: true,
            void: true,
            signature: true,
            settlement: true,
            connect_timeout_ms: 1_000,
            call_timeout_ms: 2_000,
            attempts_max: 3,
            retry_first_ms: 1_000,
            retry_budget_percent: 10,
            bulkhead_max: 64,
            breaker_window_calls: 10,
            breaker_calls_min: 5,
            breaker_failure_rate: 50,
            breaker_slow_call_ms: 1_000,
            breaker_slow_call_rate: 70,
            breaker_open_ms: 10_000,
            breaker_half_open_calls: 2,
            webhook_secrets: None,
        }
    }
}
