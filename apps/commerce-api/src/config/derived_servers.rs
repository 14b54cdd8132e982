//! What the clients of the servers are given, made of the checked values.

use std::time::Duration;

use commerce_bus::{KafkaOptions, KafkaSecurity as BusSecurity};
use commerce_config::{ConfigError, Secret, ServerUrl};
use commerce_database::{MySqlOptions, MySqlTls};
use commerce_redis::RedisOptions;

use super::{Config, KafkaSecurity, MysqlTls, SaslMechanism};

impl Config {
    /// The shop's database on its server.
    pub fn oltp_options(&self) -> Result<MySqlOptions, ConfigError> {
        self.mysql_options(self.mysql.oltp_url.as_ref(), self.mysql.oltp_password.as_ref())
    }

    /// The collector's database on its server.
    pub fn olap_options(&self) -> Result<MySqlOptions, ConfigError> {
        self.mysql_options(self.mysql.olap_url.as_ref(), self.mysql.olap_password.as_ref())
    }

    fn mysql_options(
        &self,
        url: Option<&ServerUrl>,
        password: Option<&Secret>,
    ) -> Result<MySqlOptions, ConfigError> {
        let mysql = &self.mysql;
        // It was checked to be there; were it not, the empty one is refused.
        let mut options = MySqlOptions::new(url.map_or("", ServerUrl::expose))
            .map_err(|error| ConfigError::Unusable { section: "mysql", source: error.into() })?;
        if let Some(password) = password {
            options = options.password(password.expose());
        }
        options.pool_max = mysql.pool_max;
        options.pool_min = mysql.pool_min;
        options.connect_timeout = Duration::from_millis(mysql.connect_timeout_ms);
        options.idle_timeout = Duration::from_secs(mysql.idle_timeout_s);
        options.tls = Some(match mysql.tls {
            MysqlTls::Preferred => MySqlTls::Preferred,
            MysqlTls::Disabled => MySqlTls::Disabled,
            MysqlTls::Required => MySqlTls::Required,
            MysqlTls::VerifyCa => MySqlTls::VerifyCa,
            MysqlTls::VerifyIdentity => MySqlTls::VerifyIdentity,
        });
        options.ca_file.clone_from(&mysql.ca_file);
        Ok(options)
    }

    /// What the nodes share in Redis.
    pub fn redis_options(&self) -> RedisOptions {
        let redis = &self.redis;
        // It was checked to be there; were it not, the empty one is refused.
        let mut options = RedisOptions::new(redis.url.as_ref().map_or("", ServerUrl::expose));
        options.password = redis.password.as_ref().map(|password| password.expose().to_owned());
        options.replica_url = redis.replica_url.as_ref().map(|url| url.expose().to_owned());
        options.timeout = Duration::from_millis(redis.timeout_ms);
        options
    }

    /// The event log on its brokers.
    pub fn kafka_options(&self) -> KafkaOptions {
        let kafka = &self.kafka;
        let mut options = KafkaOptions::new(kafka.brokers.clone().unwrap_or_default());
        options.security = match kafka.security {
            KafkaSecurity::Plaintext => BusSecurity::Plaintext,
            KafkaSecurity::Ssl => BusSecurity::Ssl,
            KafkaSecurity::SaslPlaintext => BusSecurity::SaslPlaintext,
            KafkaSecurity::SaslSsl => BusSecurity::SaslSsl,
        };
        options.sasl_mechanism = kafka.sasl_mechanism.map(|mechanism| mechanism.name().to_owned());
        options.username.clone_from(&kafka.username);
        options.password = kafka.password.as_ref().map(|password| password.expose().to_owned());
        options.ca_file.clone_from(&kafka.ca_file);
        // Both were checked to be small.
        options.partitions = i32::try_from(kafka.partitions).ok();
        options.replication = kafka.replication.into();
        options
    }
}

impl SaslMechanism {
    /// As the protocol names it.
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
