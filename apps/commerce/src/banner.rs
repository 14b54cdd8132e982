//! What `up` says when it is ready.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use commerce_api::app::demo::{ADMIN, SHOPPER};

use crate::data_dir::Addresses;

/// What the banner tells.
#[derive(Debug)]
pub struct Banner<'a> {
    /// Where the apps listen.
    pub apps: Addresses,
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
        let base = base_url(self.apps.api);
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
        add("Collector", &format!("{}/api/v1/rankings", base_url(self.apps.collector)));
        if let Some(gateway) = self.apps.gateway {
            add("Gateway", &format!("{} (simulated; no money moves)", base_url(gateway)));
        }
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
Five things to try in another terminal:

1. Look around: the five dearest products.
  curl -s '{base}/api/v1/products?sort=PRICE_DESC&limit=5'

2. Log in, charge points, order two pieces.
  TOKEN=$(curl -s '{base}/api/v1/sessions' {json} -d '{{"loginId":"{login}","password":"{password}"}}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s '{base}/api/v1/users/me/points/charges' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-c" {json} -d '{{"amount":100000}}'
  curl -s '{base}/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-o" {json} -d '{{"lines":[{{"productId":1,"quantity":2}}],"payment":{{}}}}'

3. Order by card: 202, and PAID a moment later, when the gateway has called back. The card 9410-1234-5678-0002 is declined.
  curl -s '{base}/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-p" {json} -d '{{"lines":[{{"productId":2,"quantity":1}}],"payment":{{"card":{{"type":"SAMSUNG","number":"9410-1234-5678-9814"}}}}}}'

4. Today's ranking: what was viewed, liked and sold.
  curl -s '{base}/api/v1/rankings'

5. All of it step by step, and two thousand buyers at once for a hundred pieces.
  {program} demo --url '{base}' --data-dir '{data_dir}'
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
            apps: Addresses {
                api: api.parse().unwrap(),
                collector: "127.0.0.1:8081".parse().unwrap(),
                gateway: demo.then(|| "127.0.0.1:8082".parse().unwrap()),
            },
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
  Collector  http://127.0.0.1:8081/api/v1/rankings
  Gateway    http://127.0.0.1:8082 (simulated; no money moves)
  Shopper    shopper / shopper-demo
  Admin      admin / admin-demo

Five things to try in another terminal:

1. Look around: the five dearest products.
  curl -s 'http://127.0.0.1:8080/api/v1/products?sort=PRICE_DESC&limit=5'

2. Log in, charge points, order two pieces.
  TOKEN=$(curl -s 'http://127.0.0.1:8080/api/v1/sessions' -H 'Content-Type: application/json' -d '{"loginId":"shopper","password":"shopper-demo"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s 'http://127.0.0.1:8080/api/v1/users/me/points/charges' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-c" -H 'Content-Type: application/json' -d '{"amount":100000}'
  curl -s 'http://127.0.0.1:8080/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-o" -H 'Content-Type: application/json' -d '{"lines":[{"productId":1,"quantity":2}],"payment":{}}'

3. Order by card: 202, and PAID a moment later, when the gateway has called back. The card 9410-1234-5678-0002 is declined.
  curl -s 'http://127.0.0.1:8080/api/v1/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: $(date +%s)-p" -H 'Content-Type: application/json' -d '{"lines":[{"productId":2,"quantity":1}],"payment":{"card":{"type":"SAMSUNG","number":"9410-1234-5678-9814"}}}'

4. Today's ranking: what was viewed, liked and sold.
  curl -s 'http://127.0.0.1:8080/api/v1/rankings'

5. All of it step by step, and two thousand buyers at once for a hundred pieces.
  commerce demo --url 'http://127.0.0.1:8080' --data-dir 'data'
  commerce flash-sale --url 'http://127.0.0.1:8080' --data-dir 'data'

Ctrl-C stops it."#;
        assert_eq!(banner("127.0.0.1:8080", true), expected);
    }

    #[test]
    fn a_real_shop_tells_no_password() {
        let expected = "Commerce 0.0.0 is ready after 123 ms; data in data\n\n  \
                        API        http://127.0.0.1:80/api/v1\n  \
                        Health     http://127.0.0.1:80/actuator/health\n  \
                        Collector  http://127.0.0.1:8081/api/v1/rankings\n\nCtrl-C stops it.";
        assert_eq!(banner("0.0.0.0:80", false), expected);
        assert_eq!(base_url("[::]:81".parse().unwrap()), "http://[::1]:81");
    }
}
