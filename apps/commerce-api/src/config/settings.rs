//! Every key and what it may be.

use commerce_api_infrastructure::gateway::gateway_url;
use commerce_api_infrastructure::runtime::BusinessZone;
use commerce_config::{ConfigError, Rule, Section, Setting, Values, checks, setting};
use commerce_telemetry::logging;

use super::Config;
use super::limits::{is_network, is_origin};
use super::payments::time_of_day;
use super::servers;

const DAY_S: i64 = 86_400;
const MONEY_MAX: i64 = commerce_api_domain::Money::MAX.won();

const KEY: &str = "64 hexadecimal digits, not all alike; make them with `openssl rand -hex 32`";
const GATEWAY_URL: &str =
    "an http or https URL such as https://pg.example.com, without credentials, query or fragment";
const NETWORK: &str = "a network such as 10.0.0.0/8 or 2001:db8::/32, or an address";

const TIME_OF_DAY: &str = "a time of day such as 04:30";

/// Every key, in the order of `config/commerce.toml`.
const ALL: &[Setting] = &[
    setting("data_dir", Rule::Text(checks::is_present, "the path of a directory")),
    setting("profile", Rule::Choice(&["embedded", "servers"], "")),
    setting("api.bind", Rule::Text(checks::is_address, "an IP address such as 127.0.0.1, ::1 or 0.0.0.0")),
    setting("api.port", Rule::Whole(0, 65_535, "; 0 takes a free port")),
    setting("docs.enabled", Rule::Switch),
    setting("limits.user_reads_per_s", Rule::Whole(1, 100_000, " requests")),
    setting("limits.user_reads_burst", Rule::Whole(1, 1_000_000, " requests")),
    setting("limits.user_writes_per_s", Rule::Whole(1, 100_000, " requests")),
    setting("limits.user_writes_burst", Rule::Whole(1, 1_000_000, " requests")),
    setting("limits.address_reads_per_s", Rule::Whole(1, 100_000, " requests")),
    setting("limits.address_reads_burst", Rule::Whole(1, 1_000_000, " requests")),
    setting("limits.address_writes_per_s", Rule::Whole(1, 100_000, " requests")),
    setting("limits.address_writes_burst", Rule::Whole(1, 1_000_000, " requests")),
    setting("limits.address_log_ins_per_minute", Rule::Whole(1, 100_000, " log-ins")),
    setting("limits.address_log_ins_burst", Rule::Whole(1, 1_000_000, " log-ins")),
    setting("limits.account_log_ins_per_minute", Rule::Whole(1, 100_000, " log-ins")),
    setting("limits.account_log_ins_burst", Rule::Whole(1, 1_000_000, " log-ins")),
    setting("limits.exempt_networks", Rule::List(is_network, NETWORK)),
    setting("limits.trusted_proxies", Rule::List(is_network, NETWORK)),
    setting("limits.connections_max", Rule::Whole(1, 1_000_000, " connections")),
    setting("limits.head_timeout_ms", Rule::Whole(100, 600_000, " milliseconds")),
    setting("limits.answer_timeout_ms", Rule::Whole(100, 600_000, " milliseconds")),
    setting(
        "cors.origins",
        Rule::List(is_origin, "an origin such as https://shop.example.com, without a path"),
    ),
    setting("log.format", Rule::Choice(&["plain", "json"], "")),
    setting("log.filter", Rule::Text(is_filter, "a filter such as info or info,commerce_api=debug")),
    setting("database.readers", Rule::Whole(1, 64, " connections")),
    setting("database.durable", Rule::Switch),
    setting("database.busy_timeout_ms", Rule::Whole(100, 60_000, " milliseconds")),
    setting("mysql.oltp_url", Rule::Url(servers::is_mysql_url, servers::MYSQL_URL)),
    setting("mysql.oltp_password", Rule::Hidden(checks::is_present, servers::PASSWORD)),
    setting("mysql.olap_url", Rule::Url(servers::is_mysql_url, servers::MYSQL_URL)),
    setting("mysql.olap_password", Rule::Hidden(checks::is_present, servers::PASSWORD)),
    setting("mysql.pool_max", Rule::Whole(1, 1_000, " connections")),
    setting("mysql.pool_min", Rule::Whole(0, 1_000, " connections")),
    setting("mysql.connect_timeout_ms", Rule::Whole(100, 60_000, " milliseconds")),
    setting("mysql.idle_timeout_s", Rule::Whole(10, DAY_S, " seconds")),
    setting(
        "mysql.tls",
        Rule::Choice(&["preferred", "disabled", "required", "verify_ca", "verify_identity"], ""),
    ),
    setting("mysql.ca_file", Rule::Text(checks::is_present, servers::CA_FILE)),
    setting("redis.url", Rule::Url(servers::is_redis_url, servers::REDIS_URL)),
    setting("redis.password", Rule::Hidden(checks::is_present, servers::PASSWORD)),
    setting("redis.replica_url", Rule::Url(servers::is_redis_url, servers::REDIS_URL)),
    setting("redis.timeout_ms", Rule::Whole(10, 60_000, " milliseconds")),
    setting("kafka.brokers", Rule::Text(servers::are_brokers, servers::BROKERS)),
    setting("kafka.security", Rule::Choice(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"], "")),
    setting("kafka.sasl_mechanism", Rule::Choice(&["plain", "scram-sha-256", "scram-sha-512"], "")),
    setting("kafka.username", Rule::Text(checks::is_present, "a name")),
    setting("kafka.password", Rule::Hidden(checks::is_present, servers::PASSWORD)),
    setting("kafka.ca_file", Rule::Text(checks::is_present, servers::CA_FILE)),
    setting("kafka.partitions", Rule::Whole(1, 1_000, " partitions")),
    setting("kafka.replication", Rule::Whole(1, 10, " copies")),
    setting("desk.queue_max", Rule::Whole(1, 100_000, " commands")),
    setting("desk.batch_max", Rule::Whole(1, 512, " commands")),
    setting("desk.attempts_max", Rule::Whole(1, 10, " runs")),
    setting("points.earn_basis_points", Rule::Whole(0, 10_000, " hundredths of a percent")),
    setting("points.charge_max", Rule::Whole(1, MONEY_MAX, " won")),
    setting("points.charge_day_max", Rule::Whole(1, MONEY_MAX, " won")),
    setting("points.customers_may_charge", Rule::Switch),
    setting("orders.unsent_deadline_s", Rule::Whole(60, DAY_S, " seconds")),
    setting("orders.sent_deadline_s", Rule::Whole(60, 7 * DAY_S, " seconds")),
    setting("gateway.url", Rule::Text(is_gateway_url, GATEWAY_URL)),
    setting("gateway.merchant", Rule::Text(is_merchant, "1 to 64 visible ASCII characters")),
    setting("gateway.callback_url", Rule::Text(is_gateway_url, GATEWAY_URL)),
    setting("gateway.idempotency", Rule::Switch),
    setting("gateway.refund", Rule::Switch),
    setting("gateway.void", Rule::Switch),
    setting("gateway.signature", Rule::Switch),
    setting("gateway.settlement", Rule::Switch),
    setting("gateway.connect_timeout_ms", Rule::Whole(10, 60_000, " milliseconds")),
    setting("gateway.call_timeout_ms", Rule::Whole(10, 120_000, " milliseconds")),
    setting("gateway.attempts_max", Rule::Whole(1, 10, " calls")),
    setting("gateway.retry_first_ms", Rule::Whole(1, 60_000, " milliseconds")),
    setting("gateway.retry_budget_percent", Rule::Whole(1, 100, " percent")),
    setting("gateway.bulkhead_max", Rule::Whole(1, 10_000, " calls")),
    setting("gateway.breaker_window_calls", Rule::Whole(1, 10_000, " calls")),
    setting("gateway.breaker_calls_min", Rule::Whole(1, 10_000, " calls")),
    setting("gateway.breaker_failure_rate", Rule::Whole(1, 100, " percent")),
    setting("gateway.breaker_slow_call_ms", Rule::Whole(1, 120_000, " milliseconds")),
    setting("gateway.breaker_slow_call_rate", Rule::Whole(1, 100, " percent")),
    setting("gateway.breaker_open_ms", Rule::Whole(10, 600_000, " milliseconds")),
    setting("gateway.breaker_half_open_calls", Rule::Whole(1, 1_000, " calls")),
    setting(
        "gateway.webhook_secrets",
        Rule::HiddenList(is_webhook_secret, "`whsec_` and the base64 of 24 to 64 bytes"),
    ),
    setting("payments.backoff_first_ms", Rule::Whole(10, 60_000, " milliseconds")),
    setting("payments.backoff_max_ms", Rule::Whole(10, 3_600_000, " milliseconds")),
    setting("payments.not_found_grace_s", Rule::Whole(1, DAY_S, " seconds")),
    setting("payments.stuck_after_s", Rule::Whole(1, 7 * DAY_S, " seconds")),
    setting("payments.concurrency", Rule::Whole(1, 1_000, " payments")),
    setting("nightly.reconcile_at", Rule::Text(is_time_of_day, TIME_OF_DAY)),
    setting("nightly.catch_up_days", Rule::Whole(1, 31, " days")),
    setting("nightly.audit_at", Rule::Text(is_time_of_day, TIME_OF_DAY)),
    setting("relay.batch_max", Rule::Whole(1, 10_000, " events")),
    setting("relay.every_ms", Rule::Whole(10, 60_000, " milliseconds")),
    setting("relay.lease_s", Rule::Whole(5, 3_600, " seconds")),
    setting("sessions.idle_s", Rule::Whole(300, 30 * DAY_S, " seconds")),
    setting("idempotency.keep_s", Rule::Whole(3_600, 30 * DAY_S, " seconds")),
    setting("shop.zone", Rule::Text(is_zone, "a time zone of the IANA database, such as Asia/Seoul")),
    setting("actuator.scrape_token", Rule::Hidden(checks::is_token, "16 to 256 visible ASCII characters")),
    setting("secrets.fingerprint_key", Rule::Hidden(checks::is_key, KEY)),
    setting("secrets.vault_key", Rule::Hidden(checks::is_key, KEY)),
    setting("secrets.vault_key_former", Rule::Hidden(checks::is_key, KEY)),
    setting("password.memory_kib", Rule::Whole(8_192, 1_048_576, " KiB")),
    setting("password.iterations", Rule::Whole(1, 20, " passes")),
    setting("password.parallelism", Rule::Whole(1, 16, " lanes")),
];

fn is_filter(text: &str) -> bool {
    logging::check_filter(text).is_ok()
}

fn is_zone(text: &str) -> bool {
    text.parse::<BusinessZone>().is_ok()
}

fn is_gateway_url(text: &str) -> bool {
    gateway_url(text).is_ok()
}

fn is_time_of_day(text: &str) -> bool {
    time_of_day(text).is_some()
}

fn is_merchant(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_webhook_secret(text: &str) -> bool {
    text.parse::<commerce_webhook::Secret>().is_ok()
}

impl Section for Config {
    const SETTINGS: &'static [Setting] = ALL;

    fn complete(&mut self, values: &Values) -> Result<(), ConfigError> {
        self.from_file = values.from_file();
        check_together(self, values)?;
        servers::check(self, values)
    }
}

/// Checks the limits against each other.
fn check_together(config: &Config, values: &Values) -> Result<(), ConfigError> {
    let (desk, points, orders) = (&config.desk, &config.points, &config.orders);
    let (gateway, payments) = (&config.gateway, &config.payments);
    let checks = [
        (
            desk.batch_max <= desk.queue_max,
            "desk.batch_max",
            format!("at most `desk.queue_max`, which is {}", desk.queue_max),
        ),
        (
            points.charge_max <= points.charge_day_max,
            "points.charge_max",
            format!("at most `points.charge_day_max`, which is {}", points.charge_day_max),
        ),
        (
            orders.unsent_deadline_s <= orders.sent_deadline_s,
            "orders.unsent_deadline_s",
            format!("at most `orders.sent_deadline_s`, which is {}", orders.sent_deadline_s),
        ),
        (
            gateway.connect_timeout_ms <= gateway.call_timeout_ms,
            "gateway.connect_timeout_ms",
            format!("at most `gateway.call_timeout_ms`, which is {}", gateway.call_timeout_ms),
        ),
        (
            gateway.breaker_calls_min <= gateway.breaker_window_calls,
            "gateway.breaker_calls_min",
            format!("at most `gateway.breaker_window_calls`, which is {}", gateway.breaker_window_calls),
        ),
        (
            payments.backoff_first_ms <= payments.backoff_max_ms,
            "payments.backoff_first_ms",
            format!("at most `payments.backoff_max_ms`, which is {}", payments.backoff_max_ms),
        ),
        (
            config.idempotency.keep_s >= orders.sent_deadline_s,
            "idempotency.keep_s",
            format!(
                "at least `orders.sent_deadline_s`, which is {}, so that a caller may ask again about an open order",
                orders.sent_deadline_s
            ),
        ),
    ];
    for (holds, key, allowed) in checks {
        if !holds {
            return Err(values.refused(key, allowed));
        }
    }
    Ok(())
}
