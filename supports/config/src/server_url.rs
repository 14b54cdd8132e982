use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::Secret;

/// The URL of a server, which may hold a password: `Debug`, `Display` and `Serialize` say `[hidden]` in its place.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Hides what is secret in `url`.
    pub const fn new(url: String) -> Self {
        Self(url)
    }

    /// The whole URL, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `url` without its password. What is no URL, as somebody mistyped it, must not show one either.
    pub(crate) fn masked(url: &str) -> String {
        let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
        // A password may hold an `@` that should have been encoded: the last one ends it.
        let Some((user, place)) = rest.rsplit_once('@') else { return url.to_owned() };
        match user.split_once(':') {
            Some((name, _)) => format!("{scheme}{name}:{}@{place}", Secret::HIDDEN),
            None => url.to_owned(),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::masked(&self.0))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::masked(&self.0))
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::masked(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_hidden_and_nothing_else() {
        for (url, shown) in [
            ("mysql://shop:sesame@db:3306/commerce", "mysql://shop:[hidden]@db:3306/commerce"),
            ("mysql://shop:se@sa:me@db/commerce", "mysql://shop:[hidden]@db/commerce"),
            ("redis://:sesame@cache:6379/0", "redis://:[hidden]@cache:6379/0"),
            ("mysql:/shop:sesame@db", "mysql:[hidden]@db"),
            ("shop:sesame@db", "shop:[hidden]@db"),
            ("mysql://shop@db:3306/commerce", "mysql://shop@db:3306/commerce"),
            ("redis://cache:6379", "redis://cache:6379"),
        ] {
            let hidden = ServerUrl::new(url.to_owned());
            assert_eq!((hidden.to_string(), format!("{hidden:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!(hidden.expose(), url);
        }
    }
}
