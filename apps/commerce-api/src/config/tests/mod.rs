mod servers;

use std::path::Path;

use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const WEBHOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

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
        ("PROFILE", "cloud", "`profile` is \"cloud\"", "embedded or servers"),
        ("DOCS__ENABLED", "yes", "`docs.enabled` is \"yes\"", "true or false"),
        ("LIMITS__USER_WRITES_PER_S", "0", "`limits.user_writes_per_s` is 0", "from 1 to 100000 requests"),
        (
            "LIMITS__TRUSTED_PROXIES",
            "10.0.0.0/8,proxy",
            "is [\"10.0.0.0/8\", \"proxy\"]",
            "a network such as",
        ),
        ("LIMITS__HEAD_TIMEOUT_MS", "1", "is 1", "from 100 to 600000 milliseconds"),
        ("LIMITS__ANSWER_TIMEOUT_MS", "600001", "is 600001", "from 100 to 600000 milliseconds"),
        ("CORS__ORIGINS", "*", "`cors.origins` is [\"*\"]", "an origin such as"),
        ("CORS__ORIGINS", "https://shop.example.com/", "is [\"https", "without a path"),
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
        ("GATEWAY__URL", "127.0.0.1:8082", "`gateway.url` is \"127.0.0.1:8082\"", "an http or https URL"),
        ("GATEWAY__URL", "https://me:pw@pg", "`gateway.url` is", "without credentials"),
        ("GATEWAY__MERCHANT", "a b", "`gateway.merchant` is \"a b\"", "1 to 64 visible"),
        ("GATEWAY__CALLBACK_URL", "shop", "`gateway.callback_url` is \"shop\"", "an http or https URL"),
        ("GATEWAY__REFUND", "no", "`gateway.refund` is \"no\"", "true or false"),
        ("GATEWAY__CALL_TIMEOUT_MS", "0", "is 0", "from 10 to 120000 milliseconds"),
        ("GATEWAY__ATTEMPTS_MAX", "11", "is 11", "from 1 to 10 calls"),
        ("GATEWAY__RETRY_BUDGET_PERCENT", "101", "is 101", "from 1 to 100 percent"),
        (
            "GATEWAY__BREAKER_FAILURE_RATE",
            "0",
            "`gateway.breaker_failure_rate` is 0",
            "from 1 to 100 percent",
        ),
        ("GATEWAY__BREAKER_OPEN_MS", "9", "is 9", "from 10 to 600000 milliseconds"),
        ("GATEWAY__BREAKER_HALF_OPEN_CALLS", "0", "is 0", "from 1 to 1000 calls"),
        ("PAYMENTS__CONCURRENCY", "0", "`payments.concurrency` is 0", "from 1 to 1000"),
        ("RELAY__LEASE_S", "4", "`relay.lease_s` is 4", "from 5 to 3600 seconds"),
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
        ("[gateway]\ncall_timeout_ms = 900\n", "`gateway.connect_timeout_ms` is 1000", "which is 900"),
        ("[gateway]\nbreaker_window_calls = 4\n", "`gateway.breaker_calls_min` is 5 (default)", "which is 4"),
        ("[payments]\nbackoff_max_ms = 900\n", "`payments.backoff_first_ms` is 1000", "which is 900"),
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
fn only_a_demonstration_lets_this_machine_off_the_limits_of_addresses() {
    let local = "127.0.0.1".parse().unwrap();
    let mut config = Config::default();
    assert!(config.limit_options().exempt.contain(local));
    config.from_file = true;
    assert!(!config.limit_options().exempt.contain(local));
    let loaded = from_environment(&[("COMMERCE_LIMITS__EXEMPT_NETWORKS", "10.0.0.0/8, 192.0.2.7")]).unwrap();
    let exempt = loaded.config.limit_options().exempt;
    assert!(exempt.contain("192.0.2.7".parse().unwrap()) && !exempt.contain(local));
    assert_eq!(
        origin_of(&loaded, "limits.exempt_networks").value.as_deref(),
        Some("[\"10.0.0.0/8\", \"192.0.2.7\"]")
    );
    let none = from_environment(&[("COMMERCE_LIMITS__EXEMPT_NETWORKS", "")]).unwrap();
    assert!(!none.config.limit_options().exempt.contain(local));
}

#[test]
fn secrets_are_never_shown() {
    let loaded = from_environment(&[
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", KEY),
        ("COMMERCE_ACTUATOR__SCRAPE_TOKEN", "sesame-sesame-sesame"),
        ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", &format!("{WEBHOOK},{WEBHOOK}")),
    ])
    .unwrap();
    let key = loaded.config.secrets.fingerprint_key.clone().unwrap();
    assert_eq!(key.expose(), KEY);
    let token = loaded.config.actuator.scrape_token.clone().unwrap();
    assert_eq!(token.expose(), "sesame-sesame-sesame");
    let shown = format!("{loaded:?} {token} {}", toml::to_string(&loaded.config).unwrap());
    assert!(!shown.contains("sesame") && !shown.contains("0011") && shown.contains("[hidden]"), "{shown}");
    assert!(!shown.contains("whsec_"), "{shown}");
    assert_eq!(origin_of(&loaded, "secrets.fingerprint_key").value.as_deref(), Some("\"[hidden]\""));
    for (name, value) in [
        ("COMMERCE_ACTUATOR__SCRAPE_TOKEN", "sesame"),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", "sesame"),
        ("COMMERCE_SECRETS__FINGERPRINT_KEY", &"7".repeat(64)),
        ("COMMERCE_SECRETS__VAULT_KEY", "sesame"),
        ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", "sesame"),
        ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", &format!("{WEBHOOK},whsec_c2VzYW1l")),
    ] {
        let error = from_environment(&[(name, value)]).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && text.contains("[hidden]"), "{text}");
        assert!(!text.contains("sesame") && !text.contains("7777") && !text.contains("c2VzYW1l"), "{text}");
    }
}

#[test]
fn only_a_demonstration_makes_its_own_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut fresh = || {
        next += 1;
        [next; 32]
    };
    let mut config = Config { data_dir: dir.path().into(), ..Config::default() };
    let keys = config.keys(&mut fresh).unwrap();
    assert_eq!((keys.fingerprint, keys.vault, keys.webhook.len()), ([1; 32], [2; 32], 1));
    assert_eq!(config.keys(&mut fresh).unwrap().vault, [2; 32]);
    assert_eq!(format!("{keys:?}"), "Keys(hidden)");

    for (bind, from_file, because) in [("0.0.0.0", false, "0.0.0.0"), ("127.0.0.1", true, "file")] {
        config.api.bind = bind.parse().unwrap();
        config.from_file = from_file;
        assert!(!config.is_demo() && !config.customers_may_charge());
        let missing = |config: &Config| {
            let error = config.keys(|| [9; 32]).unwrap_err();
            assert!(matches!(error, ConfigError::SecretNeeded { .. }));
            error.to_string()
        };
        let text = missing(&config);
        assert!(text.contains(because) && text.contains("openssl rand -hex 32"), "{text}");
        config.secrets.fingerprint_key = Some(Secret::new(KEY.to_owned()));
        assert!(missing(&config).contains("`secrets.vault_key` is not set"));
        config.secrets.vault_key = Some(Secret::new(KEY.to_owned()));
        let text = missing(&config);
        assert!(text.contains("`gateway.webhook_secrets` is not set") && text.contains("whsec_"), "{text}");
        // A gateway that signs nothing has no secret.
        config.gateway.signature = false;
        assert!(config.keys(|| [9; 32]).unwrap().webhook.is_empty());
        config.gateway.signature = true;
        config.gateway.webhook_secrets = Some(vec![Secret::new(WEBHOOK.to_owned()); 2]);
        let keys = config.keys(|| [9; 32]).unwrap();
        assert_eq!((keys.fingerprint[1], keys.vault[1], keys.webhook.len()), (0x11, 0x11, 2));
        config.secrets = Secrets::default();
        config.gateway.webhook_secrets = None;
    }
    config.points.customers_may_charge = Some(true);
    assert!(config.customers_may_charge());
}

#[test]
fn a_demonstration_of_an_older_version_keeps_its_key_and_gets_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let [old] = secrets::load_or_create(dir.path(), ["fingerprint_key"], || [7; 32]).unwrap();
    let config = Config { data_dir: dir.path().into(), ..Config::default() };
    let keys = config.keys(|| [8; 32]).unwrap();
    assert_eq!((keys.fingerprint, keys.vault), (old, [8; 32]));
    assert_eq!(config.keys(|| [9; 32]).unwrap().vault, [8; 32]);
}

#[test]
fn what_is_configured_wins_over_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config { data_dir: dir.path().into(), ..Config::default() };
    config.secrets.vault_key = Some(Secret::new(KEY.to_owned()));
    config.secrets.vault_key_former = Some(Secret::new("ab".repeat(32)));
    let keys = config.keys(|| [3; 32]).unwrap();
    assert_eq!((keys.fingerprint, keys.vault[1]), ([3; 32], 0x11));
    assert_eq!(keys.vault_former, [[0xab; 32]]);
}

#[test]
fn callbacks_come_to_our_own_address_unless_another_is_named() {
    let mut config = Config::default();
    let at = |config: &Config, addr: &str| config.callback_url(addr.parse().unwrap());
    for (addr, host) in [
        ("127.0.0.1:4000", "127.0.0.1:4000"),
        ("0.0.0.0:4000", "127.0.0.1:4000"),
        ("[::]:4000", "[::1]:4000"),
        ("192.0.2.7:80", "192.0.2.7:80"),
    ] {
        assert_eq!(at(&config, addr), format!("http://{host}/api/v1/payments/callback"));
    }
    config.gateway.callback_url = Some("https://shop.example.com/hook".to_owned());
    assert_eq!(at(&config, "0.0.0.0:4000"), "https://shop.example.com/hook");
}
