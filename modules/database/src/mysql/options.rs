//! How a `MySQL` or `MariaDB` server is reached.

use std::{fmt, path::PathBuf, time::Duration};

use sqlx::{
    ConnectOptions as _,
    mysql::{MySqlConnectOptions, MySqlSslMode},
};

use crate::{DatabaseError, ServerProblem};

/// What modes the statements here rest on: values that do not fit are errors, `||` joins text as it does on `SQLite`.
/// Without `ONLY_FULL_GROUP_BY`, since `MariaDB` does not see that a row's key decides its other columns.
const SQL_MODE: &str = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
     ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,PIPES_AS_CONCAT";

/// Whether a connection is encrypted, and how much of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MySqlTls {
    /// Never.
    Disabled,
    /// If the server offers it; its certificate is not checked.
    #[default]
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always, and the certificate must be of a known authority.
    VerifyCa,
    /// Always, and the certificate must be of a known authority and name the server.
    VerifyIdentity,
}

impl MySqlTls {
    const fn mode(self) -> MySqlSslMode {
        match self {
            Self::Disabled => MySqlSslMode::Disabled,
            Self::Preferred => MySqlSslMode::Preferred,
            Self::Required => MySqlSslMode::Required,
            Self::VerifyCa => MySqlSslMode::VerifyCa,
            Self::VerifyIdentity => MySqlSslMode::VerifyIdentity,
        }
    }
}

/// Options of a database on a server.
#[derive(Clone)]
pub struct MySqlOptions {
    pub(super) connect: MySqlConnectOptions,
    /// Connections at most, 20 by default.
    pub pool_max: u32,
    /// Connections that are kept, 10 by default.
    pub pool_min: u32,
    /// How long a connection is waited for, a new one or one of the pool, 3 s by default.
    pub connect_timeout: Duration,
    /// How long a connection beyond `pool_min` is kept without work, 600 s by default.
    pub idle_timeout: Duration,
    /// How long a statement waits for a row lock, in whole seconds, 5 s by default.
    pub lock_wait: Duration,
    /// How long a statement may take before its connection is given up for dead, 60 s by default.
    pub statement_max: Duration,
    /// How long a writer that writes for many waits for a connection, 30 s by default.
    pub write_wait_max: Duration,
    /// Encryption; as `ssl-mode` of the URL says, or preferred.
    pub tls: Option<MySqlTls>,
    /// Certificates of the authorities that are believed, as PEM; not set: those of the system.
    pub ca_file: Option<PathBuf>,
}

impl MySqlOptions {
    /// The defaults, for `mysql://user:password@host:port/database`; `?socket=/path` for a local socket. The database
    /// must be named.
    pub fn new(url: &str) -> Result<Self, DatabaseError> {
        let wrong = |why: &str| DatabaseError::Url { why: why.to_owned() };
        if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
            return Err(wrong("it does not begin with mysql://"));
        }
        // The parser's own error could repeat the password.
        let connect: MySqlConnectOptions =
            url.parse().map_err(|_| wrong("it is not mysql://user@host:port/database"))?;
        if connect.get_database().is_none_or(str::is_empty) {
            return Err(wrong("it names no database"));
        }
        Ok(Self {
            connect,
            pool_max: 20,
            pool_min: 10,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_mins(10),
            lock_wait: Duration::from_secs(5),
            statement_max: Duration::from_mins(1),
            write_wait_max: Duration::from_secs(30),
            tls: None,
            ca_file: None,
        })
    }

    /// With this password instead of the URL's.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.connect = self.connect.password(password);
        self
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.connect.get_database().unwrap_or_default()
    }

    /// `user@host:port/database`, for messages.
    pub fn server(&self) -> String {
        let (user, database) = (self.connect.get_username(), self.database());
        match self.connect.get_socket() {
            Some(socket) => format!("{user}@{}/{database}", socket.display()),
            None => format!("{user}@{}:{}/{database}", self.connect.get_host(), self.connect.get_port()),
        }
    }

    /// Where the server listens for TCP; none where it is reached by a socket of its machine.
    pub(super) fn address(&self) -> Option<(String, u16)> {
        match self.connect.get_socket() {
            Some(_) => None,
            None => Some((self.connect.get_host().to_owned(), self.connect.get_port())),
        }
    }

    /// What the driver is given. Names of the schema are compared by their bytes, as their columns are.
    pub(super) fn driver(&self) -> MySqlConnectOptions {
        let mut connect = self
            .connect
            .clone()
            .charset("utf8mb4")
            .collation("utf8mb4_bin")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(256)
            .disable_statement_logging();
        if let Some(tls) = self.tls {
            connect = connect.ssl_mode(tls.mode());
        }
        if let Some(file) = &self.ca_file {
            connect = connect.ssl_ca(file);
        }
        connect
    }

    /// What every connection is told first.
    pub(super) fn session(&self) -> String {
        let lock_wait = self.lock_wait.as_secs().max(1);
        format!("SET SESSION sql_mode = '{SQL_MODE}', innodb_lock_wait_timeout = {lock_wait}")
    }

    pub(super) fn problem(&self, problem: ServerProblem, source: Option<DatabaseError>) -> DatabaseError {
        DatabaseError::Server { server: self.server(), problem, source: source.map(Box::new) }
    }
}

/// The password is never shown.
impl fmt::Debug for MySqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlOptions")
            .field("server", &self.server())
            .field("pool_max", &self.pool_max)
            .field("pool_min", &self.pool_min)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown_and_a_url_that_is_none_is_not_repeated() {
        let options = MySqlOptions::new("mysql://shop:s3cret@db.example:3307/commerce").unwrap();
        assert_eq!(options.server(), "shop@db.example:3307/commerce");
        assert!(!format!("{options:?}").contains("s3cret"));
        assert!(!format!("{:?}", options.password("0ther")).contains("0ther"));
        for url in [
            "postgres://a:s3cret@h/d",
            "mysql://a:s3cret@h:port/d",
            "mysql://a:s3cret@h:1",
            "mysql://a:s3cret@h/",
        ] {
            let error = MySqlOptions::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_socket_is_no_address() {
        let options = MySqlOptions::new("mysql://root@localhost/commerce?socket=/run/mysqld.sock").unwrap();
        assert_eq!(options.address(), None);
        assert_eq!(options.server(), "root@/run/mysqld.sock/commerce");
        let options = MySqlOptions::new("mysql://root@localhost/commerce").unwrap();
        assert_eq!(options.address(), Some(("localhost".to_owned(), 3306)));
    }
}
