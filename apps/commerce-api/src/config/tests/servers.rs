use super::*;

const COMPLETE: [(&str, &str); 5] = [
    ("COMMERCE_PROFILE", "servers"),
    ("COMMERCE_MYSQL__OLTP_URL", "mysql://shop:sesame@127.0.0.1:3306/commerce"),
    ("COMMERCE_MYSQL__OLAP_URL", "mysql://shop@localhost/commerce_olap?socket=/run/mysqld/mysqld.sock"),
    ("COMMERCE_REDIS__URL", "redis://:sesame@[::1]:6379/0"),
    ("COMMERCE_KAFKA__BROKERS", "127.0.0.1:9092,localhost:9093"),
];

/// Variables and values; an empty one is not set.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// A complete profile, with these changes.
fn with(changes: Changes<'_>) -> Result<Loaded, ConfigError> {
    let kept = COMPLETE.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let all: Vec<_> = kept.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect();
    from_environment(&all)
}

#[test]
fn a_complete_profile_is_taken_and_shows_no_password() {
    let loaded = with(&[("COMMERCE_KAFKA__SECURITY", "ssl"), ("COMMERCE_MYSQL__TLS", "verify_ca")]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.profile, Profile::Servers);
    assert_eq!(config.mysql.oltp_url.as_ref().unwrap().expose(), COMPLETE[1].1);
    assert_eq!((config.mysql.pool_max, config.mysql.pool_min), (20, 10));
    assert_eq!((config.mysql.connect_timeout_ms, config.mysql.idle_timeout_s), (3_000, 600));
    assert_eq!((config.redis.timeout_ms, config.kafka.partitions, config.kafka.replication), (500, 3, 1));
    assert_eq!((config.kafka.security, config.mysql.tls), (KafkaSecurity::Ssl, MysqlTls::VerifyCa));
    assert_eq!(
        origin_of(&loaded, "mysql.oltp_url").value.as_deref(),
        Some("\"mysql://shop:[hidden]@127.0.0.1:3306/commerce\"")
    );
    let shown = format!("{loaded:?} {}", toml::to_string(config).unwrap());
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn what_is_missing_or_wrong_is_named_and_no_password_is_shown() {
    let sasl = ("COMMERCE_KAFKA__SECURITY", "sasl_ssl");
    let mechanism = ("COMMERCE_KAFKA__SASL_MECHANISM", "scram-sha-512");
    let user = ("COMMERCE_KAFKA__USERNAME", "shop");
    let cases: [(Changes<'_>, &str, &str); 24] = [
        (&[("COMMERCE_MYSQL__OLTP_URL", "")], "`mysql.oltp_url` is not set", "the profile servers needs it"),
        (
            &[("COMMERCE_MYSQL__OLAP_URL", "")],
            "`mysql.olap_url` is not set",
            "mysql://user@host:3306/database",
        ),
        (&[("COMMERCE_REDIS__URL", "")], "`redis.url` is not set", "redis://host:6379/0"),
        (&[("COMMERCE_KAFKA__BROKERS", "")], "`kafka.brokers` is not set", "host:port"),
        (&[("COMMERCE_MYSQL__OLAP_URL", COMPLETE[1].1)], "`mysql.olap_url` is", "another database"),
        (
            &[("COMMERCE_MYSQL__OLTP_URL", "postgres://me:sesame@db/shop")],
            "postgres://me:[hidden]@db",
            "mysql://",
        ),
        (&[("COMMERCE_MYSQL__OLTP_URL", "mysql:/me:sesame@db/shop")], "`mysql.oltp_url` is", "mysql://"),
        (&[("COMMERCE_MYSQL__OLTP_URL", "mysql://db/shop")], "`mysql.oltp_url` is", "user@host"),
        (&[("COMMERCE_MYSQL__OLTP_URL", "mysql://me@db:70000/shop")], "`mysql.oltp_url` is", "host:3306"),
        (&[("COMMERCE_MYSQL__OLAP_URL", "mysql://me@db")], "`mysql.olap_url` is", "/database"),
        (&[("COMMERCE_MYSQL__OLAP_URL", "mysql://me@db/a/b")], "`mysql.olap_url` is", "/database"),
        (&[("COMMERCE_MYSQL__OLAP_URL", "mysql://me@db/a?ssl=1")], "`mysql.olap_url` is", "?socket=/path"),
        (&[("COMMERCE_MYSQL__POOL_MAX", "5")], "`mysql.pool_min` is 10 (default)", "which is 5"),
        (&[("COMMERCE_MYSQL__POOL_MAX", "0")], "`mysql.pool_max` is 0", "from 1 to 1000"),
        (&[("COMMERCE_MYSQL__TLS", "on")], "`mysql.tls` is \"on\"", "verify_ca or verify_identity"),
        (&[("COMMERCE_REDIS__URL", "redis://:sesame@db/shop")], "redis://:[hidden]@db/shop", "host:6379/0"),
        (&[("COMMERCE_REDIS__REPLICA_URL", "http://cache")], "`redis.replica_url` is", "redis://"),
        (&[("COMMERCE_KAFKA__BROKERS", "kafka:9092,")], "`kafka.brokers` is", "at least one broker"),
        (&[("COMMERCE_KAFKA__BROKERS", "kafka:0")], "`kafka.brokers` is", "host:port"),
        (&[("COMMERCE_KAFKA__SECURITY", "tls")], "`kafka.security` is \"tls\"", "sasl_plaintext or sasl_ssl"),
        (&[("COMMERCE_KAFKA__REPLICATION", "11")], "`kafka.replication` is 11", "from 1 to 10 copies"),
        (&[sasl], "`kafka.sasl_mechanism` is not set", "`kafka.security` says"),
        (&[sasl, mechanism], "`kafka.username` is not set", "`kafka.security` says"),
        (&[sasl, mechanism, user], "`kafka.password` is not set", "`kafka.security` says"),
    ];
    for (changes, what, allowed) in cases {
        let error = with(changes).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{changes:?}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(what) && text.contains(allowed), "{changes:?}: {text}");
        assert!(!text.contains("sesame"), "{text}");
    }
    let password = ("COMMERCE_KAFKA__PASSWORD", "sesame");
    assert!(!format!("{:?}", with(&[sasl, mechanism, user, password]).unwrap()).contains("sesame"));
}

#[test]
fn the_sections_do_not_count_in_the_profile_embedded() {
    let loaded = with(&[
        ("COMMERCE_PROFILE", "embedded"),
        ("COMMERCE_MYSQL__OLTP_URL", "mysql://me@db.example.com/shop"),
        ("COMMERCE_MYSQL__OLAP_URL", ""),
        ("COMMERCE_MYSQL__POOL_MAX", "5"),
    ]);
    assert!(loaded.unwrap().config.is_demo());
}

#[test]
fn a_demonstration_has_its_servers_on_this_machine_and_never_makes_their_secrets() {
    let config = with(&[]).unwrap().config;
    assert!(config.is_demo());
    let error = config.keys(|| [9; 32]).unwrap_err().to_string();
    assert!(error.contains("`secrets.fingerprint_key` is not set"), "{error}");
    assert!(error.contains("every process of the profile servers must have the same"), "{error}");
    let keys = [("COMMERCE_SECRETS__FINGERPRINT_KEY", KEY), ("COMMERCE_SECRETS__VAULT_KEY", KEY)];
    let config = with(&[keys[0], keys[1], ("COMMERCE_GATEWAY__WEBHOOK_SECRETS", WEBHOOK)]).unwrap().config;
    assert_eq!(config.keys(|| [9; 32]).unwrap().webhook.len(), 1);

    for (name, value, key) in [
        (
            "COMMERCE_MYSQL__OLTP_URL",
            "mysql://me@db.example.com/shop",
            "`mysql.oltp_url` names db.example.com",
        ),
        ("COMMERCE_REDIS__URL", "redis://192.0.2.7", "`redis.url` names 192.0.2.7"),
        ("COMMERCE_REDIS__REPLICA_URL", "redis://cache", "`redis.replica_url` names cache"),
        ("COMMERCE_KAFKA__BROKERS", "127.0.0.1:9092, [2001:db8::1]:9092", "names [2001:db8::1]"),
    ] {
        let config = with(&[(name, value)]).unwrap().config;
        assert!(!config.is_demo(), "{name}");
        let error = config.keys(|| [9; 32]).unwrap_err().to_string();
        assert!(error.contains("this is no demonstration, because") && error.contains(key), "{error}");
    }
}
