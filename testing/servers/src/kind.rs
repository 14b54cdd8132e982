use std::fmt;

/// A server that the product runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerKind {
    /// The transaction and analytics databases of the `servers` profile.
    MySql,
    /// Speaks the same protocol; smoke-tested.
    MariaDb,
    /// Cache, sessions, boards, rate limits.
    Redis,
    /// The event bus.
    Kafka,
}

impl ServerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::MySql, Self::MariaDb, Self::Redis, Self::Kafka];

    /// The name on the command line and in folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The environment variable with the address of one that runs already.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::MySql => "COMMERCE_TEST_MYSQL",
            Self::MariaDb => "COMMERCE_TEST_MARIADB",
            Self::Redis => "COMMERCE_TEST_REDIS",
            Self::Kafka => "COMMERCE_TEST_KAFKA",
        }
    }

    /// How a client names the server that listens at `address`.
    pub fn url(self, address: &str) -> String {
        match self {
            Self::MySql | Self::MariaDb => format!("mysql://root@{address}"),
            Self::Redis => format!("redis://{address}"),
            Self::Kafka => address.to_owned(),
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
