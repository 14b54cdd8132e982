use std::fmt;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo as _};

use crate::error::RedisOptionsError;

/// Where Redis is, and how long to wait for it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// `redis://[user[:password]@]host[:port][/database]`, or `redis+unix:///path`.
    pub url: String,
    /// Counts instead of the one in [`url`](Self::url), for the replica too.
    pub password: Option<String>,
    /// A replica of the same server. Only reads that may be a moment old go there, and to the server where it fails.
    pub replica_url: Option<String>,
    /// The longest that a call takes, connecting included: 500 ms by default, more than zero.
    pub timeout: Duration,
    /// How long nothing is asked once calls fail: 1 s by default, more than zero.
    pub open_wait: Duration,
    /// Every key begins with it: `commerce` by default. Installations that share a server need different ones.
    pub prefix: String,
}

impl RedisOptions {
    /// A server, and the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            replica_url: None,
            timeout: Duration::from_millis(500),
            open_wait: Duration::from_secs(1),
            prefix: "commerce".to_owned(),
        }
    }

    /// Where the server is.
    pub(crate) fn primary(&self) -> Result<ConnectionInfo, RedisOptionsError> {
        self.at("url", &self.url)
    }

    /// Where its replica is.
    pub(crate) fn replica(&self) -> Result<Option<ConnectionInfo>, RedisOptionsError> {
        self.replica_url.as_deref().map(|url| self.at("replica_url", url)).transpose()
    }

    /// The driver's own words are not passed on: they may hold the password.
    fn at(&self, option: &'static str, url: &str) -> Result<ConnectionInfo, RedisOptionsError> {
        if url.starts_with("rediss:") {
            return Err(RedisOptionsError::Tls { option });
        }
        let info = url.into_connection_info().map_err(|_| RedisOptionsError::Url { option })?;
        let Some(password) = &self.password else { return Ok(info) };
        let settings = info.redis_settings().clone().set_password(password);
        Ok(info.set_redis_settings(settings))
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &str| match url.rsplit_once('@') {
            Some((_, host)) => format!("…@{host}"),
            None => url.to_owned(),
        };
        f.debug_struct("RedisOptions")
            .field("url", &shown(&self.url))
            .field("replica_url", &self.replica_url.as_deref().map(shown))
            .field("timeout", &self.timeout)
            .field("open_wait", &self.open_wait)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_the_settings_counts_instead_of_the_urls() {
        let mut options = RedisOptions::new("redis://shop:inside@127.0.0.1:6379/3");
        let password = |options: &RedisOptions| {
            options.primary().unwrap().redis_settings().password().map(ToOwned::to_owned)
        };
        assert_eq!(password(&options).as_deref(), Some("inside"));
        options.password = Some("outside".to_owned());
        assert_eq!(password(&options).as_deref(), Some("outside"));
        let settings = options.primary().unwrap();
        assert_eq!((settings.redis_settings().db(), settings.redis_settings().username()), (3, Some("shop")));
    }

    #[test]
    fn nothing_shown_holds_a_password() {
        let mut options = RedisOptions::new("redis://shop:inside@127.0.0.1:6379");
        options.password = Some("outside".to_owned());
        options.replica_url = Some("redis://shop:inside@127.0.0.1:port".to_owned());
        let shown = format!("{options:?} {}", options.replica().unwrap_err());
        assert!(!shown.contains("inside") && !shown.contains("outside"), "{shown}");
        assert!(shown.contains("127.0.0.1:6379") && shown.contains("`replica_url`"), "{shown}");
    }

    #[test]
    fn what_is_no_address_is_told_by_its_option() {
        for url in ["", "localhost:6379", "http://localhost", "redis://"] {
            let refused = RedisOptions::new(url).primary();
            assert!(matches!(refused, Err(RedisOptionsError::Url { option: "url" })), "{url}: {refused:?}");
        }
        let tls = RedisOptions::new("rediss://localhost").primary();
        assert!(matches!(tls, Err(RedisOptionsError::Tls { option: "url" })));
    }
}
