//! The files under `docker/` without a daemon: they parse, name what is there, and open nothing to other machines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

const FILES: [&str; 2] = ["docker/infra-compose.yml", "docker/monitoring-compose.yml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of the repository.
pub fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn services(file: &Value) -> &Map<String, Value> {
    file["services"].as_object().unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|items| items.iter().map(|item| item.as_str().unwrap()).collect())
        .unwrap_or_default()
}

/// A tag that names one version: not `latest`, and with a digit.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    tag.is_some_and(|tag| tag != "latest" && tag.contains(|c: char| c.is_ascii_digit()))
}

#[test]
fn every_service_is_pinned_watched_and_for_this_machine_only() {
    for path in FILES {
        let file = yaml(path);
        for (name, service) in services(&file) {
            let image = service["image"].as_str().unwrap();
            assert!(is_pinned(image), "{path}: {name}: {image}");
            assert!(texts(&service["healthcheck"]["test"]).len() > 1, "{path}: {name} has no health check");
            let ports = texts(&service["ports"]);
            for port in &ports {
                assert!(port.starts_with("127.0.0.1:"), "{path}: {name} is open to everybody: {port}");
            }
            if service["network_mode"] == "host" {
                let says = service["command"].to_string() + &service["environment"].to_string();
                let listens = says.contains("listen-address=127.0.0.1:") || says.contains("\"127.0.0.1\"");
                assert!(listens, "{path}: {name} does not say where it listens");
            } else {
                assert!(!ports.is_empty(), "{path}: {name} cannot be reached");
            }
        }
    }
}

#[test]
fn what_is_mounted_and_waited_for_is_there() {
    for path in FILES {
        let file = yaml(path);
        let volumes: BTreeSet<_> =
            file["volumes"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let mut used = BTreeSet::new();
        for (name, service) in services(&file) {
            for mount in texts(&service["volumes"]) {
                let source = mount.split(':').next().unwrap();
                if let Some(relative) = source.strip_prefix("./") {
                    assert!(root().join("docker").join(relative).exists(), "{path}: {name}: {mount}");
                    assert!(mount.ends_with(":ro"), "{path}: {name} may write into the clone: {mount}");
                } else {
                    assert!(volumes.contains(source), "{path}: {name}: {mount}");
                    used.insert(source.to_owned());
                }
            }
            for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
                assert!(services(&file).contains_key(other), "{path}: {name} waits for {other}");
                assert_eq!(how["condition"], "service_healthy", "{path}: {name} waits for {other}");
            }
        }
        assert_eq!(used, volumes, "{path}: volumes that nobody uses");
    }
}

#[test]
fn no_two_services_take_the_same_port() {
    let mut taken = BTreeSet::new();
    for path in FILES {
        let file = yaml(path);
        for (name, service) in services(&file) {
            for port in texts(&service["ports"]) {
                let outside = port.rsplit_once(':').unwrap().0.to_owned();
                assert!(taken.insert(outside), "{path}: {name}: {port}");
            }
        }
    }
    // Those of the three apps.
    for port in [8080, 8081, 8082] {
        assert!(!taken.contains(&format!("127.0.0.1:{port}")), "{port} is an app's");
    }
}

#[test]
fn the_versions_are_those_of_the_servers_without_docker() {
    let file = yaml(FILES[0]);
    let image = |name: &str| file["services"][name]["image"].as_str().unwrap().to_owned();
    let kafka = read("testing/servers/src/kafka.rs");
    let version = kafka.split("const VERSION: &str = \"").nth(1).and_then(|rest| rest.split('"').next());
    assert_eq!(image("kafka"), format!("apache/kafka:{}", version.unwrap()));
    assert_eq!(image("redis"), image("redis-replica"));
    assert!(image("redis").starts_with("redis:7.") && image("mysql").starts_with("mysql:9."));
}

#[test]
fn what_prometheus_and_grafana_read_is_mounted_where_they_look() {
    let file = yaml(FILES[1]);
    let mounted = |service: &str, inside: &str| -> PathBuf {
        let mounts = texts(&file["services"][service]["volumes"]);
        let found = mounts.iter().find_map(|mount| {
            let mut parts = mount.split(':');
            let (outside, at) = (parts.next()?, parts.next()?);
            let below = inside.strip_prefix(at)?.trim_start_matches('/');
            Some(root().join("docker").join(outside).join(below))
        });
        found.unwrap_or_else(|| panic!("{service}: {inside}"))
    };
    assert!(mounted("prometheus", "/etc/prometheus/prometheus.yml").is_file());
    let prometheus = yaml("docker/monitoring/prometheus/prometheus.yml");
    let targets = &prometheus["scrape_configs"][0]["file_sd_configs"][0]["files"];
    for file in texts(&prometheus["rule_files"]).into_iter().chain(texts(targets)) {
        let path = mounted("prometheus", &format!("/etc/prometheus/{}", file.trim_end_matches("*.yml")));
        assert!(path.exists(), "{}", path.display());
    }
    assert_eq!(prometheus["scrape_configs"][0]["metrics_path"], "/actuator/prometheus");
    for folder in ["datasources", "dashboards"] {
        assert!(mounted("grafana", &format!("/etc/grafana/provisioning/{folder}")).is_dir(), "{folder}");
    }
    let dashboards = yaml("docker/monitoring/grafana/provisioning/dashboards/commerce.yml");
    let path = dashboards["providers"][0]["options"]["path"].as_str().unwrap();
    assert!(mounted("grafana", &format!("{path}/commerce.json")).is_file());
    let home = &file["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert!(mounted("grafana", home.as_str().unwrap()).is_file());
}

#[test]
fn the_image_is_built_of_pinned_stages_and_runs_without_rights() {
    let dockerfile = read("docker/Dockerfile");
    let lines: Vec<Vec<&str>> = dockerfile
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let of =
        |word: &str| -> Vec<&Vec<&str>> { lines.iter().filter(|line| line.first() == Some(&word)).collect() };
    let stages = of("FROM");
    assert_eq!(stages.len(), 2, "one that builds, and one that runs");
    for stage in &stages {
        assert!(is_pinned(stage[1]), "{stage:?}");
    }
    let version = read("Cargo.toml");
    let version = version.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(stages[0][1].starts_with(&format!("rust:{version}")), "{:?}", stages[0]);
    let copied =
        of("COPY").into_iter().filter_map(|line| line.iter().find_map(|w| w.strip_prefix("--from=")));
    assert!(copied.clone().count() > 0);
    for stage in copied {
        assert_eq!(stage, stages[0][3]);
    }
    let user = of("USER").pop().unwrap()[1];
    assert!(user.split(':').all(|id| id.parse::<u32>().unwrap() > 0), "{user} may do everything");
}

#[test]
fn the_image_gets_every_crate_and_nothing_that_is_built_or_stored() {
    let ignore = read(".dockerignore");
    let lines: Vec<_> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "what is not named stays outside");
    let taken: BTreeSet<_> = lines.iter().filter_map(|line| line.strip_prefix('!')).collect();
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let folder = member.split('/').next().unwrap();
        assert!(taken.contains(folder), "{member}");
    }
    for needed in ["Cargo.toml", "Cargo.lock"] {
        assert!(taken.contains(needed), "{needed}");
    }
    for secret in ["**/target", "**/data", "**/secrets.toml"] {
        assert!(lines.contains(&secret), "{secret}");
    }
}
