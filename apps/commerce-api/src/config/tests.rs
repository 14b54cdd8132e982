use std::path::{Path, PathBuf};

use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn documented() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/commerce.toml")
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    load(&Sources { environment, ..Sources::default() })
}

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("commerce.toml");
    std::fs::write(&path, text).unwrap();
    load(&Sources { file: Some(path), ..Sources::default() })
}

fn origin_of<'a>(loaded: &'a Loaded, key: &str) -> &'a Origin {
    loaded.origins.iter().find(|origin| origin.key == key).unwrap()
}

#[test]
fn the_documented_file_is_the_default_and_names_every_key() {
    let loaded = load(&Sources { file: Some(documented()), ..Sources::default() }).unwrap();
    assert_eq!(Config { from_file: false, ..loaded.config }, Config::default());
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
    let known: Vec<_> = Config::SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(named, known);
}

#[test]
fn the_default_passes_its_own_checks() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.config.is_demo() && loaded.config.customers_may_charge());
    loaded.config.require_own_secrets().unwrap();
    assert_eq!(loaded.config.rules(), commerce_api_domain::Rules::default());
    assert!(loaded.origins.iter().all(|origin| match &origin.value {
        Some(_) => origin.source == "default",
        None => origin.source == "not set",
    }));
}

#[test]
fn the_later_source_wins_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.toml");
    std::fs::write(&path, "[api]\nport = 1\n[desk]\nbatch_max = 64\nqueue_max = 1000\n").unwrap();
    let sources = Sources {
        file: Some(path.clone()),
        environment: vec![
            ("COMMERCE_API__PORT".into(), "2".into()),
            ("COMMERCE_DESK__BATCH_MAX".into(), "32".into()),
        ],
        flags: vec![
            Flag::path("--data-dir", "data_dir", Path::new("elsewhere")),
            Flag::whole("--api-port", "api.port", 3_u16),
        ],
    };
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.api.port, 3);
    assert_eq!(loaded.config.desk.batch_max, 32);
    assert_eq!(loaded.config.desk.queue_max, 1_000);
    assert_eq!(loaded.config.data_dir, Path::new("elsewhere"));
    assert_eq!(origin_of(&loaded, "api.port").source, "flag --api-port");
    assert_eq!(origin_of(&loaded, "data_dir").source, "flag --data-dir");
    assert_eq!(origin_of(&loaded, "desk.batch_max").source, "environment variable COMMERCE_DESK__BATCH_MAX");
    assert_eq!(origin_of(&loaded, "desk.queue_max").source, format!("file {}", path.display()));
    assert_eq!(origin_of(&loaded, "desk.attempts_max").source, "default");
}

#[test]
fn bad_values_are_refused_with_key_value_source_and_what_is_allowed() {
    let cases = [
        ("API__PORT", "70000", "`api.port` is 70000", "a whole number from 0 to 65535"),
        ("API__PORT", "http", "`api.port` is \"http\"", "a whole number from 0 to 65535"),
        ("API__PORT", "-1", "`api.port` is -1", "a whole number from 0"),
        ("API__BIND", "localhost", "`api.bind` is \"localhost\"", "an IP address"),
        ("DATA_DIR", "", "`data_dir` is \"\"", "the path of a directory"),
        ("PROFILE", "servers", "`profile` is \"servers\"", "embedded; the profile servers"),
        ("PROFILE", "cloud", "`profile` is \"cloud\"", "embedded"),
        ("DOCS__ENABLED", "yes", "`docs.enabled` is \"yes\"", "true or false"),
        ("LOG__FORMAT", "xml", "`log.format` is \"xml\"", "plain or json"),
        ("LOG__FILTER", "info,x=loud", "`log.filter` is \"info,x=loud\"", "a filter such as"),
        ("DATABASE__READERS", "0", "`database.readers` is 0", "from 1 to 64"),
        ("DATABASE__DURABLE", "1", "`database.durable` is \"1\"", "true or false"),
        ("DATABASE__BUSY_TIMEOUT_MS", "99", "is 99", "from 100 to 60000 milliseconds"),
        ("DESK__QUEUE_MAX", "100001", "is 100001", "from 1 to 100000 commands"),
        ("DESK__BATCH_MAX", "513", "`desk.batch_max` is 513", "from 1 to 512"),
        ("DESK__ATTEMPTS_MAX", "0", "`desk.attempts_max` is 0", "from 1 to 10"),
        ("POINTS__EARN_BASIS_POINTS", "10001", "is 10001", "from 0 to 10000"),
        ("POINTS__CHARGE_MAX", "0", "`points.charge_max` is 0", "from 1 to 9007199254740991 won"),
        ("POINTS__CHARGE_DAY_MAX", "1e3", "is \"1e3\"", "a whole number"),
        ("POINTS__CUSTOMERS_MAY_CHARGE", "maybe", "is \"maybe\"", "true or false"),
        ("ORDERS__UNSENT_DEADLINE_S", "59", "is 59", "from 60 to 86400 seconds"),
        ("ORDERS__SENT_DEADLINE_S", "604801", "is 604801", "from 60 to 604800 seconds"),
        ("SESSIONS__IDLE_S", "1", "`sessions.idle_s` is 1", "from 300 to 2592000 seconds"),
        ("IDEMPOTENCY__KEEP_S", "60", "`idempotency.keep_s` is 60", "from 3600 to 2592000 seconds"),
        ("SHOP__ZONE", "Asia/Soul", "`shop.zone` is \"Asia/Soul\"", "such as Asia/Seoul"),
        ("PASSWORD__MEMORY_KIB", "8191", "is 8191", "from 8192 to 1048576 KiB"),
        ("PASSWORD__ITERATIONS", "0", "is 0", "from 1 to 20"),
        ("PASSWORD__PARALLELISM", "17", "is 17", "from 1 to 16"),
    ];
    for (name, value, what, allowed) in cases {
        let variable = format!("COMMERCE_{name}");
        let error = from_environment(&[(&variable, value)]).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{variable}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(what), "{variable}: {text}");
        assert!(text.contains(&format!("(environment variable {variable})")), "{text}");
        assert!(text.contains("allowed: ") && text.contains(allowed), "{variable}: {text}");
    }
}

#[test]
fn limits_are_checked_against_each_other() {
    let cases = [
        ("[desk]\nqueue_max = 100\n", "`desk.batch_max` is 512 (default)", "`desk.queue_max`, which is 100"),
        ("[points]\ncharge_day_max = 5\n", "`points.charge_max` is 1000000", "which is 5"),
        ("[orders]\nunsent_deadline_s = 1801\n", "`orders.unsent_deadline_s` is 1801", "which is 1800"),
        ("[orders]\nsent_deadline_s = 90000\n", "`idempotency.keep_s` is 86400 (default)", "at least"),
    ];
    for (text, what, allowed) in cases {
        let error = from_file(text).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(allowed), "{text}: {error}");
    }
}

#[test]
fn unknown_keys_are_refused_with_those_that_there_are() {
    let error = from_environment(&[("COMMERCE_DESK__BACTH_MAX", "5")]).unwrap_err();
    assert!(matches!(&error, ConfigError::Unknown { key, .. } if key == "desk.bacth_max"));
    let text = error.to_string();
    assert!(text.contains("environment variable COMMERCE_DESK__BACTH_MAX"), "{text}");
    assert!(text.contains("desk.queue_max, desk.batch_max, desk.attempts_max"), "{text}");

    let text = from_file("[dsek]\nbatch_max = 5\n").unwrap_err().to_string();
    assert!(
        text.contains("`dsek`") && text.contains("commerce.toml") && text.contains("api, docs"),
        "{text}"
    );
    let text = from_environment(&[("COMMERCE_API", "8080")]).unwrap_err().to_string();
    assert!(text.contains("`api`") && text.contains("api.bind, api.port"), "{text}");
    // What the project's other tools read is not ours.
    from_environment(&[("COMMERCE_TOOLS", "x"), ("COMMERCE_TEST_LONG", "1"), ("COMMERCE_CONFIG", "")])
        .unwrap();
}

#[test]
fn a_value_of_another_type_is_refused_in_a_file() {
    for text in ["[api]\nport = \"8080\"\n", "[api]\nport = 80.5\n", "[api]\nport = [1]\n", "data_dir = 7\n"]
    {
        let error = from_file(text).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{text}: {error:?}");
    }
}

#[test]
fn a_file_that_is_absent_or_broken_is_named() {
    let sources = Sources { file: Some("/nowhere/shop.toml".into()), ..Sources::default() };
    let error = load(&sources).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }));
    assert!(error.to_string().contains("/nowhere/shop.toml"));
    let error = from_file("[api\nport = 1").unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { .. }), "{error:?}");
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn secrets_are_never_shown() {
    let loaded = from_environment(&[
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", KEY),
        ("COMMERCE_ACTUATOR__SCRAPE_TOKEN", "sesame-sesame-sesame"),
    ])
    .unwrap();
    let key = loaded.config.own_fingerprint_key().unwrap();
    assert_eq!(key[..4], [0x00, 0x11, 0x22, 0x33]);
    let token = loaded.config.actuator.scrape_token.clone().unwrap();
    assert_eq!(token.expose(), "sesame-sesame-sesame");
    let shown = format!("{loaded:?} {token} {}", toml::to_string(&loaded.config).unwrap());
    assert!(!shown.contains("sesame") && !shown.contains("0011") && shown.contains("[hidden]"), "{shown}");
    assert_eq!(origin_of(&loaded, "secrets.fingerprint_key").value.as_deref(), Some("\"[hidden]\""));
    for (name, value) in [
        ("COMMERCE_ACTUATOR__SCRAPE_TOKEN", "sesame"),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", "sesame"),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", &"7".repeat(64)),
    ] {
        let error = from_environment(&[(name, value)]).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && text.contains("[hidden]"), "{text}");
        assert!(!text.contains("sesame") && !text.contains("7777"), "{text}");
    }
}

#[test]
fn only_a_demonstration_makes_its_own_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = || [3; 32];
    let mut config = Config { data_dir: dir.path().into(), ..Config::default() };
    assert_eq!(config.fingerprint_key(fresh).unwrap(), [3; 32]);

    for (bind, from_file, because) in [("0.0.0.0", false, "0.0.0.0"), ("127.0.0.1", true, "file")] {
        config.api.bind = bind.parse().unwrap();
        config.from_file = from_file;
        assert!(!config.is_demo() && !config.customers_may_charge());
        let error = config.fingerprint_key(fresh).unwrap_err();
        assert!(matches!(error, ConfigError::SecretNeeded { .. }));
        let text = error.to_string();
        assert!(text.contains(because) && text.contains("openssl rand -hex 32"), "{text}");
        config.secrets.fingerprint_key = Some(Secret::new(KEY.to_owned()));
        assert_eq!(config.fingerprint_key(fresh).unwrap()[1], 0x11);
        config.secrets.fingerprint_key = None;
    }
    config.points.customers_may_charge = Some(true);
    assert!(config.customers_may_charge());
}
