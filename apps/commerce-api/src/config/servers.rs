//! The servers of the profile `servers`: `MySQL`, Redis and Kafka.

use std::net::IpAddr;
use std::path::PathBuf;

use commerce_config::{ConfigError, Secret, ServerUrl, Values};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::{Config, Profile};

pub(super) const MYSQL_URL: &str =
    "a URL such as mysql://user@host:3306/database; a socket as ?socket=/path behind it";
pub(super) const REDIS_URL: &str = "a URL such as redis://host:6379/0";
pub(super) const BROKERS: &str = "host:port of at least one broker, separated by commas";
pub(super) const PASSWORD: &str = "a password that is not empty";
pub(super) const CA_FILE: &str = "the path of a PEM file";

/// `mysql`: the databases of the shop and of the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mysql {
    /// The shop's database; needed in the profile servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oltp_url: Option<ServerUrl>,
    /// Its password; not set: the one in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oltp_password: Option<Secret>,
    /// The collector's database; needed in the profile servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub olap_url: Option<ServerUrl>,
    /// Its password; not set: the one in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub olap_password: Option<Secret>,
    /// Connections to each database of one process, at most.
    pub pool_max: u32,
    /// Connections that are kept open.
    pub pool_min: u32,
    /// Longest time until a connection stands or is free, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Seconds after which an unused connection is closed.
    pub idle_timeout_s: u64,
    /// Whether connections are encrypted, and what of the server is verified.
    pub tls: MysqlTls,
    /// Certificates that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Whether connections to `MySQL` are encrypted, and what of the server is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MysqlTls {
    /// Encrypted where the server can; nothing is verified.
    #[default]
    Preferred,
    /// Never.
    Disabled,
    /// Encrypted; nothing is verified.
    Required,
    /// Encrypted, and the certificate is signed by whom we trust.
    VerifyCa,
    /// The same, and it is the certificate of the host asked for.
    VerifyIdentity,
}

/// `redis`: cache, sessions, boards and limits that all processes share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// The server; needed in the profile servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<ServerUrl>,
    /// Its password; not set: the one in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A replica that reads may go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_url: Option<ServerUrl>,
    /// Longest time of one command, in milliseconds.
    pub timeout_ms: u64,
}

/// `kafka`: the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Brokers to ask first, separated by commas; needed in the profile servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<String>,
    /// Whether connections are encrypted, and whether we log in.
    pub security: KafkaSecurity,
    /// How we log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_mechanism: Option<SaslMechanism>,
    /// As whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Certificates that are trusted instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Partitions of a topic that is made.
    pub partitions: u32,
    /// Copies of each partition of a topic that is made.
    pub replication: u16,
}

/// Whether connections to Kafka are encrypted, and whether we log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaSecurity {
    /// Neither.
    #[default]
    Plaintext,
    /// Encrypted.
    Ssl,
    /// With a log-in.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

/// How we log in at Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// The password itself.
    #[serde(rename = "plain")]
    Plain,
    /// A proof of it by SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// A proof of it by SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Default for Mysql {
    fn default() -> Self {
        Self {
            oltp_url: None,
            oltp_password: None,
            olap_url: None,
            olap_password: None,
            pool_max: 20,
            pool_min: 10,
            connect_timeout_ms: 3_000,
            idle_timeout_s: 600,
            tls: MysqlTls::default(),
            ca_file: None,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: None, password: None, replica_url: None, timeout_ms: 500 }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: None,
            security: KafkaSecurity::default(),
            sasl_mechanism: None,
            username: None,
            password: None,
            ca_file: None,
            partitions: 3,
            replication: 1,
        }
    }
}

/// A user, a host and one database; nothing behind it but a socket.
pub(super) fn is_mysql_url(text: &str) -> bool {
    let Some(url) = parsed(text, "mysql") else { return false };
    let user = url.authority().is_some_and(|place| {
        place.as_str().rsplit_once('@').is_some_and(|(user, _)| !user.is_empty() && !user.starts_with(':'))
    });
    let database = url.path().trim_start_matches('/');
    let is_name = (1..=64).contains(&database.len())
        && database.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_$-".contains(&byte));
    let is_socket = url
        .query()
        .is_none_or(|query| query.strip_prefix("socket=/").is_some_and(|path| !path.contains('&')));
    user && is_name && is_socket
}

/// A host, and at most the number of a database behind it.
pub(super) fn is_redis_url(text: &str) -> bool {
    let Some(url) = parsed(text, "redis") else { return false };
    let number = url.path().trim_start_matches('/');
    url.query().is_none() && (number.is_empty() || number.parse::<u32>().is_ok_and(|number| number < 1_024))
}

/// `host:port`, at least once.
pub(super) fn are_brokers(text: &str) -> bool {
    text.split(',').all(|broker| {
        let Some((host, port)) = broker.trim().rsplit_once(':') else { return false };
        let is_host =
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
        is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn parsed(text: &str, scheme: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    // The parser takes any digits for a port.
    let place = url.authority()?.as_str().rsplit('@').next()?;
    let names_a_port = place.rsplit(']').next()?.contains(':');
    let port_fits = !names_a_port || url.port_u16().is_some_and(|port| port != 0);
    (url.scheme_str() == Some(scheme) && has_host && port_fits).then_some(url)
}

/// Checks what the profile servers needs; the sections count in it only.
pub(super) fn check(config: &Config, values: &Values) -> Result<(), ConfigError> {
    if config.profile == Profile::Embedded {
        return Ok(());
    }
    let (mysql, redis, kafka) = (&config.mysql, &config.redis, &config.kafka);
    let sasl = matches!(kafka.security, KafkaSecurity::SaslPlaintext | KafkaSecurity::SaslSsl);
    let needed = |what: &str| format!("{what}; the profile servers needs it");
    let logs_in = "set, because `kafka.security` says that we log in".to_owned();
    let checks = [
        (mysql.oltp_url.is_some(), "mysql.oltp_url", needed(MYSQL_URL)),
        (mysql.olap_url.is_some(), "mysql.olap_url", needed(MYSQL_URL)),
        (
            mysql.oltp_url != mysql.olap_url,
            "mysql.olap_url",
            "another database than that of `mysql.oltp_url`".to_owned(),
        ),
        (
            mysql.pool_min <= mysql.pool_max,
            "mysql.pool_min",
            format!("at most `mysql.pool_max`, which is {}", mysql.pool_max),
        ),
        (redis.url.is_some(), "redis.url", needed(REDIS_URL)),
        (kafka.brokers.is_some(), "kafka.brokers", needed(BROKERS)),
        (!sasl || kafka.sasl_mechanism.is_some(), "kafka.sasl_mechanism", logs_in.clone()),
        (!sasl || kafka.username.is_some(), "kafka.username", logs_in.clone()),
        (!sasl || kafka.password.is_some(), "kafka.password", logs_in),
    ];
    match checks.into_iter().find(|(holds, ..)| !holds) {
        Some((_, key, allowed)) => Err(values.refused(key, allowed)),
        None => Ok(()),
    }
}

impl Config {
    /// Which of the servers is on another machine; none in the profile embedded.
    pub(super) fn server_elsewhere(&self) -> Option<String> {
        if self.profile == Profile::Embedded {
            return None;
        }
        let urls = [
            ("mysql.oltp_url", &self.mysql.oltp_url),
            ("mysql.olap_url", &self.mysql.olap_url),
            ("redis.url", &self.redis.url),
            ("redis.replica_url", &self.redis.replica_url),
        ];
        let urls = urls.into_iter().filter_map(|(key, url)| Some((key, host_of(url.as_ref()?.expose())?)));
        let brokers = self.kafka.brokers.iter().flat_map(|brokers| brokers.split(','));
        let brokers = brokers.filter_map(|broker| broker.trim().rsplit_once(':'));
        let brokers = brokers.map(|(host, _)| ("kafka.brokers", host.to_owned()));
        let (key, host) = urls.chain(brokers).find(|(_, host)| !is_here(host))?;
        Some(format!("`{key}` names {host}, which is another machine"))
    }
}

/// The host of a URL; none where it leads to a socket.
fn host_of(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    if url.query().is_some() { None } else { url.host().map(str::to_owned) }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
