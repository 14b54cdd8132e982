//! What `up` says when it is ready.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use commerce_api::app::demo::{ADMIN, SHOPPER};

/// What the banner tells.
#[derive(Debug)]
pub struct Banner<'a> {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the data is.
    pub data_dir: &'a Path,
    /// How this program was called.
    pub program: &'a str,
    /// Whether there are public accounts.
    pub demo: bool,
    /// Whether the API's documentation is served.
    pub docs: bool,
    /// How long the start took.
    pub started_in: Duration,
}

impl Banner<'_> {
    /// The text, with commands that work when they are pasted.
    pub fn text(&self) -> String {
        let base = base_url(self.api);
        let mut text = format!(
            "Commerce {} is ready after {} ms; data in {}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.started_in.as_millis(),
            self.data_dir.display(),
        );
        let mut add = |what: &str, value: &str| {
            let _ = writeln!(text, "  {what:<10} {value}");
        };
        add("API", &format!("{base}/api/v1"));
        if self.docs {
            add("Swagger UI", &format!("{base}/swagger-ui.html"));
        }
        add("Health", &format!("{base}/actuator/health"));
        if self.demo {
            add("Shopper", &format!("{} / {}", SHOPPER.login_id, SHOPPER.password));
            add("Admin", &format!("{} / {}", ADMIN.login_id, ADMIN.password));
            text.push_str(&self.things_to_try(&base));
        }
        text.push_str("\nCtrl-C stops it.");
        text
    }

    fn things_to_try(&self, base: &str) -> String {
        let json = "-H 'Content-Type: application/json'";
        format!(
            r#"
Three things to try in another terminal:

1. Look around: the five dearest products.
  curl -s '{base}/api/v1/products?sort=PRICE_DESC&limit=5'

2. Log in, charge points, order two pieces.
  TOKEN=$(curl -s '{base}/api/v1/sessions' {json} -d '{{"loginId":"{login}","password":"{password}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s '{base}/api/v1/users/me/points/charges' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-c" {json} -d '{{"amount":100000}}'
  curl -s '{base}/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-o" {json} -d '{{"lines":[{{"productId":1,"quantity":2}}],"payment":{{}}}}'

3. Two thousand buyers at once for a hundred pieces.
  {program} flash-sale --url '{base}' --data-dir '{data_dir}'
"#,
            login = SHOPPER.login_id,
            password = SHOPPER.password,
            program = self.program,
            data_dir = self.data_dir.display(),
        )
    }
}

/// The URL of an API that listens on `api`; one that listens everywhere is reached on this machine.
pub fn base_url(api: SocketAddr) -> String {
    let mut api = api;
    if api.ip().is_unspecified() {
        api.set_ip(if api.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{api}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(api: &str, demo: bool) -> String {
        let banner = Banner {
            api: api.parse().unwrap(),
            data_dir: Path::new("data"),
            program: "commerce",
            demo,
            docs: demo,
            started_in: Duration::from_millis(123),
        };
        banner.text().replace(env!("CARGO_PKG_VERSION"), "0.0.0")
    }

    #[test]
    fn a_demonstration_tells_accounts_and_things_to_try() {
        let expected = r#"Commerce 0.0.0 is ready after 123 ms; data in data

  API        http://127.0.0.1:8080/api/v1
  Swagger UI http://127.0.0.1:8080/swagger-ui.html
  Health     http://127.0.0.1:8080/actuator/health
  Shopper    shopper / shopper-demo
  Admin      admin / admin-demo

Three things to try in another terminal:

1. Look around: the five dearest products.
  curl -s 'http://127.0.0.1:8080/api/v1/products?sort=PRICE_DESC&limit=5'

2. Log in, charge points, order two pieces.
  TOKEN=$(curl -s 'http://127.0.0.1:8080/api/v1/sessions' -H 'Content-Type: application/json' -d '{"loginId":"shopper","password":"shopper-demo"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s 'http://127.0.0.1:8080/api/v1/users/me/points/charges' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-c" -H 'Content-Type: application/json' -d '{"amount":100000}'
  curl -s 'http://127.0.0.1:8080/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-o" -H 'Content-Type: application/json' -d '{"lines":[{"productId":1,"quantity":2}],"payment":{}}'

3. Two thousand buyers at once for a hundred pieces.
  commerce flash-sale --url 'http://127.0.0.1:8080' --data-dir 'data'

Ctrl-C stops it."#;
        assert_eq!(banner("127.0.0.1:8080", true), expected);
    }

    #[test]
    fn a_real_shop_tells_no_password() {
        let expected = "Commerce 0.0.0 is ready after 123 ms; data in data\n\n  \
                        API        http://127.0.0.1:80/api/v1\n  \
                        Health     http://127.0.0.1:80/actuator/health\n\nCtrl-C stops it.";
        assert_eq!(banner("0.0.0.0:80", false), expected);
        assert_eq!(base_url("[::]:81".parse().unwrap()), "http://[::1]:81");
    }
}
