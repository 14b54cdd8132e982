//! The dashboard and the alerts ask for what the apps really export, and every alert is explained.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use self::promql::names;
use crate::compose::{read, yaml};
use crate::support::{DataDir, Up, run};
use serde_json::{Value, json};

const DASHBOARD: &str = "docker/monitoring/grafana/dashboards/commerce.json";
const ALERTS: &str = "docker/monitoring/prometheus/alerts.yml";
/// What Prometheus adds by itself.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];
/// How often is looked for a series, and how long is waited in between.
const LOOKS_MAX: u32 = 1_000;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits that are short, so that the walk is quick.
const QUICK: [(&str, &str); 3] = [
    ("COMMERCE_GATEWAY__BREAKER_OPEN_MS", "1000"),
    ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "100"),
    ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "200"),
];

/// Of every series the labels, and the values that they had.
#[derive(Default)]
struct Exported(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exported {
    /// Reads what an app shows to Prometheus.
    fn scrape(&mut self, host: &str) {
        let mut stream = TcpStream::connect(host).unwrap();
        let request =
            format!("GET /actuator/prometheus HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, lines) = answer.split_once("\r\n\r\n").unwrap();
        for line in lines.lines().filter(|line| !line.starts_with('#')) {
            // A line without its value is an expression as well.
            let Some(series) = names(line).selectors.into_iter().next() else { continue };
            let labels = self.0.entry(series.metric).or_default();
            for (label, value) in series.labels {
                labels.entry(label).or_default().extend(value);
            }
        }
    }

    /// Scrapes until there is a series of `metric` with this value of a label.
    fn scrape_until(&mut self, host: &str, metric: &str, label: &str, value: &str) {
        for _ in 0..LOOKS_MAX {
            self.scrape(host);
            if self.has(metric, label, value) {
                return;
            }
            std::thread::sleep(LOOK_EVERY); // tidy: sleep between two looks at a running shop
        }
        panic!("no {metric}{{{label}=\"{value}\"}}");
    }

    fn has(&self, metric: &str, label: &str, value: &str) -> bool {
        let values = self.0.get(metric).and_then(|labels| labels.get(label));
        values.is_some_and(|values| values.contains(value))
    }

    /// What an expression asks for that is not exported.
    fn missing(&self, expression: &str) -> Vec<String> {
        let asked = names(expression);
        assert!(!asked.selectors.is_empty(), "it asks for nothing: {expression}");
        let mut missing = Vec::new();
        let mut labels: BTreeSet<&str> = OF_THE_SCRAPE.into();
        for selector in asked.selectors.iter().filter(|selector| selector.metric != "up") {
            let Some(exported) = self.0.get(&selector.metric) else {
                missing.push(selector.metric.clone());
                continue;
            };
            labels.extend(exported.keys().map(String::as_str));
            for (label, value) in &selector.labels {
                let is_there = match exported.get(label) {
                    None => OF_THE_SCRAPE.contains(&label.as_str()),
                    Some(values) => value.as_ref().is_none_or(|value| values.contains(value)),
                };
                if !is_there {
                    missing.push(format!("{}{{{label}={value:?}}}", selector.metric));
                }
            }
        }
        let grouped = asked.grouped.iter().filter(|label| !labels.contains(label.as_str()));
        missing.extend(grouped.map(|label| format!("by ({label})")));
        missing
    }
}

/// All texts under `key`, however deep.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => texts(member, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

fn alerts() -> Vec<Value> {
    let file = yaml(ALERTS);
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_a_shop_exports() {
    let dir = DataDir::new();
    let mut exported = Exported::default();
    let up = Up::start_with(dir.path(), &QUICK);
    run(dir.path(), &["demo", "--url", &up.url()]).expect(0);
    exported.scrape_until(&up.api, "commerce_payments_total", "result", "captured");
    // What the nightly audit found is told once a minute, and at the start.
    exported.scrape_until(&up.api, "database_write_hold_seconds_count", "name", "keep_audit");
    up.terminate();
    let up = Up::start(dir.path());
    exported.scrape_until(&up.api, "commerce_audit_findings", "state", "violated");
    drop(up);

    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let alerts = Value::from(alerts());
    let mut expressions = Vec::new();
    texts(&dashboard, "expr", &mut expressions);
    texts(&alerts, "expr", &mut expressions);
    assert!(expressions.len() > 60, "{}", expressions.len());
    let missing: Vec<_> = expressions
        .into_iter()
        .map(|expression| (expression, exported.missing(expression)))
        .filter(|(_, missing)| !missing.is_empty())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_alert_has_a_row_that_says_what_to_do() {
    let operations = read("docs/operations.md");
    let (_, table) = operations.split_once("| alert | ").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let explained: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    let alerts = alerts();
    let named: BTreeSet<_> = alerts.iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named, explained);
    for alert in &alerts {
        assert!(["warning", "critical"].map(Value::from).contains(&alert["labels"]["severity"]), "{alert}");
        assert!(alert["annotations"]["summary"].as_str().is_some_and(|text| !text.is_empty()), "{alert}");
    }
}

#[test]
fn the_dashboard_uses_the_data_source_that_is_provisioned() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let source = yaml("docker/monitoring/grafana/provisioning/datasources/prometheus.yml");
    let source = &source["datasources"][0];
    let compose = yaml("docker/monitoring-compose.yml");
    let listens = compose["services"]["prometheus"]["command"].as_array().unwrap();
    let address = source["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    assert!(listens.contains(&json!(format!("--web.listen-address={address}"))), "{listens:?}");
    let panels = dashboard["panels"].as_array().unwrap();
    let drawn: Vec<_> = panels.iter().filter(|panel| panel["type"] != "row").collect();
    for panel in &drawn {
        assert_eq!(panel["datasource"]["uid"], source["uid"], "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], source["uid"], "{}", panel["title"]);
        }
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
}
