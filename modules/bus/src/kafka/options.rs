use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;

/// How connections to the brokers are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaSecurity {
    /// Not at all.
    #[default]
    Plaintext,
    /// Encrypted; needs the feature `kafka-ssl`.
    Ssl,
    /// With a user and a password, not encrypted; needs the feature `kafka-sasl`.
    SaslPlaintext,
    /// With a user and a password, encrypted; needs the feature `kafka-sasl`.
    SaslSsl,
}

impl KafkaSecurity {
    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|security| security.name() == name)
    }
}

/// How a Kafka cluster is used.
#[derive(Clone)]
pub struct KafkaOptions {
    /// Addresses of some of its brokers: `host:port`, separated by commas.
    pub brokers: String,
    /// Put before the name of every topic and group, so that several shops share a cluster; empty by default.
    pub prefix: String,
    /// How connections are secured.
    pub security: KafkaSecurity,
    /// The SASL mechanism, such as `PLAIN` or `SCRAM-SHA-256`; the first of these by default.
    pub sasl_mechanism: Option<String>,
    /// The user, where connections have one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Certificates that brokers are checked by; the system's by default.
    pub ca_file: Option<PathBuf>,
    /// Partitions of topics that are made; as many as whoever makes them asks for by default.
    pub partitions: Option<i32>,
    /// On how many brokers a partition of a topic that is made is kept, 1 by default.
    pub replication: i32,
    /// How long topics that are made keep records, 7 days by default.
    pub retention: Duration,
    /// Bytes of key, headers and value of one record, 1,000,000 by default, which a broker takes without being told to;
    /// a larger one is refused.
    pub record_bytes_max: usize,
    /// How long an answer of the cluster is waited for, 5 s by default.
    pub request_timeout: Duration,
    /// How long a record may wait to be acknowledged, 10 s by default.
    pub publish_timeout: Duration,
    /// A member of a group that was not heard of for this long has lost its partitions, 10 s by default.
    pub session: Duration,
    /// A member whose thread has stood still for this long has lost them too, 60 s by default.
    pub hang_max: Duration,
    /// How often is looked for topics and partitions that were added, 10 s by default.
    pub refresh: Duration,
    /// Records of a partition that wait to be read, 8,192 by default; then no more are fetched until half are read.
    pub buffer_records: usize,
    /// Their bytes, 8 MiB by default.
    pub buffer_bytes: usize,
}

impl KafkaOptions {
    /// The defaults, for the cluster that these brokers belong to.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: String::new(),
            security: KafkaSecurity::Plaintext,
            sasl_mechanism: None,
            username: None,
            password: None,
            ca_file: None,
            partitions: None,
            replication: 1,
            retention: Duration::from_hours(7 * 24),
            record_bytes_max: 1_000_000,
            request_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            session: Duration::from_secs(10),
            hang_max: Duration::from_mins(1),
            refresh: Duration::from_secs(10),
            buffer_records: 8_192,
            buffer_bytes: 8 * 1024 * 1024,
        }
    }

    /// What all clients are configured with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "commerce")
            .set("security.protocol", self.security.name())
            // A connection of which nothing is heard is given up, rather than waited for by everything behind it.
            .set("socket.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", millis(self.refresh));
        if matches!(self.security, KafkaSecurity::SaslPlaintext | KafkaSecurity::SaslSsl) {
            config.set("sasl.mechanisms", self.sasl_mechanism.as_deref().unwrap_or("PLAIN"));
            for (key, value) in [("sasl.username", &self.username), ("sasl.password", &self.password)] {
                if let Some(value) = value {
                    config.set(key, value);
                }
            }
        }
        if let Some(file) = &self.ca_file {
            config.set("ssl.ca.location", file.display().to_string());
        }
        config
    }

    /// What the publisher is configured with.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("linger.ms", "2")
            .set("message.timeout.ms", millis(self.publish_timeout))
            .set("message.max.bytes", self.request_bytes_max().to_string())
            // As Java's clients share keys out, so that whoever else publishes finds the same partitions.
            .set("partitioner", "murmur2_random")
            .set("topic.metadata.propagation.max.ms", millis(self.request_timeout));
        config
    }

    /// What a member of `group` is configured with.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("session.timeout.ms", millis(self.session))
            .set("heartbeat.interval.ms", millis(self.session / 4))
            .set("max.poll.interval.ms", millis(self.hang_max.max(self.session)))
            .set("fetch.wait.max.ms", "250")
            // A full queue is looked at again soon: it empties within milliseconds.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.min.messages", self.buffer_records.clamp(1, 1_000_000).to_string())
            .set("queued.max.messages.kbytes", (self.buffer_bytes / 1024).max(1_024).to_string());
        config
    }

    /// The largest request with one record: a record has a few bytes around it.
    pub(super) fn request_bytes_max(&self) -> usize {
        self.record_bytes_max.saturating_add(32 * 1024).max(1_000)
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

impl fmt::Debug for KafkaOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("prefix", &self.prefix)
            .field("security", &self.security)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_password() {
        let options = KafkaOptions { password: Some("hunter2".into()), ..KafkaOptions::new("a:9092") };
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn names_of_securities_are_read_back() {
        for security in [
            KafkaSecurity::Plaintext,
            KafkaSecurity::Ssl,
            KafkaSecurity::SaslPlaintext,
            KafkaSecurity::SaslSsl,
        ] {
            assert_eq!(KafkaSecurity::parse(security.name()), Some(security));
        }
        assert_eq!(KafkaSecurity::parse("tls"), None);
    }
}
