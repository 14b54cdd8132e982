use std::path::{Path, PathBuf};

use super::*;

fn documented() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/commerce.toml")
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    load(&Sources { environment, ..Sources::default() })
}

/// The default of all sections.
fn defaults() -> Settings {
    load(&Sources::default()).unwrap().settings
}

#[test]
fn the_documented_file_is_the_default_and_names_every_key_of_every_app() {
    let loaded = load(&Sources { file: Some(documented()), ..Sources::default() }).unwrap().settings;
    let api = Config { from_file: false, ..loaded.api };
    assert_eq!(Settings { api, ..loaded }, defaults());
    let text = std::fs::read_to_string(documented()).unwrap();
    let mut section = String::new();
    let mut named = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        // Optional keys stand there commented out: `# key = value`.
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            named.push(format!("{section}{key}"));
        }
    }
    let known: Vec<_> = tables().keys().collect();
    assert_eq!(named, known);
}

#[test]
fn no_key_belongs_to_two_apps() {
    let mut keys: Vec<_> = tables().keys().collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn the_simulator_runs_in_a_demonstration_only_unless_it_is_asked_for() {
    let with = |variables: &[(&str, &str)]| from_environment(variables).unwrap().settings.simulates();
    assert!(with(&[]));
    assert!(!with(&[("COMMERCE_SIMULATOR__ENABLED", "false")]));
    assert!(!with(&[("COMMERCE_API__BIND", "0.0.0.0")]));
    let enabled = ("COMMERCE_SIMULATOR__ENABLED", "true");
    assert!(with(&[("COMMERCE_API__BIND", "0.0.0.0"), enabled]));
    let gateway = ("COMMERCE_GATEWAY__URL", "http://127.0.0.1:9000");
    assert!(!with(&[gateway]));
    let error = from_environment(&[gateway, enabled]).unwrap_err().to_string();
    assert!(error.contains("`gateway.url` is \"http://127.0.0.1:9000\""), "{error}");
}

#[test]
fn every_app_has_a_port_of_its_own() {
    for (variables, key, other) in [
        (
            [("COMMERCE_COLLECTOR__PORT", "8080"), ("COMMERCE_API__PORT", "8080")],
            "collector.port",
            "api.port",
        ),
        (
            [("COMMERCE_SIMULATOR__PORT", "8081"), ("COMMERCE_API__PORT", "8080")],
            "simulator.port",
            "collector.port",
        ),
    ] {
        let error = from_environment(&variables).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}` is")) && error.contains(other), "{error}");
    }
    let taken_by_nobody = [("COMMERCE_SIMULATOR__PORT", "8080"), ("COMMERCE_SIMULATOR__ENABLED", "false")];
    from_environment(&taken_by_nobody).unwrap();
    let free =
        [("COMMERCE_SIMULATOR__PORT", "0"), ("COMMERCE_API__PORT", "0"), ("COMMERCE_COLLECTOR__PORT", "0")];
    from_environment(&free).unwrap();
}

#[test]
fn no_part_of_a_demonstration_is_reached_from_other_machines() {
    let everywhere = ("COMMERCE_COLLECTOR__BIND", "0.0.0.0");
    let error = from_environment(&[everywhere]).unwrap_err().to_string();
    assert!(error.contains("`collector.bind` is \"0.0.0.0\"") && error.contains("demonstration"), "{error}");
    from_environment(&[everywhere, ("COMMERCE_API__BIND", "0.0.0.0")]).unwrap();
}

#[test]
fn bad_values_are_refused_with_key_value_and_what_is_allowed() {
    for (name, value, expected) in [
        ("COLLECTOR__PORT", "65536", "`collector.port` is 65536"),
        ("COLLECTOR__BIND", "here", "an IP address"),
        ("COLLECTOR__BATCH_MAX", "0", "from 1 to 10000 events"),
        ("COLLECTOR__FLUSH_MS", "0", "from 1 to 60000 milliseconds"),
        ("COLLECTOR__LIKE_WEIGHT", "-1", "from 0 to 1000 tenths"),
        ("SIMULATOR__PRESET", "friendly", "demo or reference"),
        ("SIMULATOR__LATENCY_MIN_MS", "5", "both `simulator.latency_min_ms` and `simulator.latency_max_ms`"),
        (
            "SIMULATOR__DECISION_MAX_MS",
            "5",
            "both `simulator.decision_max_ms` and `simulator.decision_min_ms`",
        ),
        ("SIMULATOR__SPEED", "9", "in that section there are simulator.enabled"),
    ] {
        let error = from_environment(&[(&format!("COMMERCE_{name}"), value)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let swapped = [("COMMERCE_SIMULATOR__LATENCY_MIN_MS", "9"), ("COMMERCE_SIMULATOR__LATENCY_MAX_MS", "8")];
    let error = from_environment(&swapped).unwrap_err().to_string();
    assert!(error.contains("at most `simulator.latency_max_ms`, which is 8"), "{error}");
}
