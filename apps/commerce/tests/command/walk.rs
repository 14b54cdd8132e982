//! `commerce demo`: a walk through the whole shop.

use crate::support::{DataDir, Up, command, run};
use serde_json::{Value, json};

fn steps(report: &Value) -> Vec<&Value> {
    report["steps"].as_array().unwrap().iter().collect()
}

#[test]
fn a_walk_through_a_shop_of_its_own_comes_as_expected_and_leaves_nothing() {
    let dir = DataDir::new();
    let text = run(dir.path(), &["demo", "--ephemeral"]).expect(0).stdout;
    assert!(text.contains("Today's ranking"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("verdict OK: "), "{text}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    let place = text.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(!std::path::Path::new(place).exists(), "{place}");
}

#[test]
fn a_walk_through_a_running_shop_finds_its_collector_and_audits_its_data() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let url = up.url();
    let report = run(dir.path(), &["demo", "--url", &url, "--json"]).expect(0).json();
    assert_eq!(report["verdict"], json!("OK"), "{report}");
    assert_eq!(report["stepsInAll"].as_u64().unwrap(), steps(&report).len() as u64);
    assert_eq!(steps(&report).last().unwrap()["came"], json!("clean"));
    assert!(!report["ranking"].as_array().unwrap().is_empty(), "{report}");
    // From elsewhere: the collector has to be named, and the data is not at hand.
    let (elsewhere, collector) = (DataDir::new(), format!("http://{}", up.collector));
    let walk = ["demo", "--url", &url, "--collector-url", &collector, "--json"];
    let report = run(elsewhere.path(), &walk).expect(0).json();
    assert!(steps(&report).last().unwrap()["came"].as_str().unwrap().starts_with("not run"), "{report}");
    run(dir.path(), &["audit"]).expect(0);
}

#[test]
fn the_first_surprise_ends_the_walk_and_says_where_to_look() {
    let dir = DataDir::new();
    // Nobody listens where the gateway should be.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let up = Up::start_with(dir.path(), &[("COMMERCE_GATEWAY__URL", &gateway)]);
    assert_eq!(up.gateway, None, "{}", up.banner);
    let url = up.url();
    let walk = ["demo", "--url", &url, "--wait-s", "1"];
    let text = run(dir.path(), &walk).expect(1).stdout;
    assert!(text.contains("verdict FAILED at `order by card`"), "{text}");
    for line in [
        "  expected  202 PAYMENT_PENDING, then PAID",
        "  came      202 PAYMENT_PENDING, then",
        "  look      order ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}: {text}");
    }
    assert!(text.contains("/history") && text.contains("/actuator/health"), "{text}");
    let report = run(dir.path(), &[&walk[..], &["--json"]].concat()).expect(1).json();
    assert_eq!(report["verdict"], json!("FAILED"));
    assert_eq!(steps(&report).last().unwrap()["ok"], json!(false));
}

/// As the reference platform's simulator is, but quicker: it answers four of ten requests with 500, declines three of
/// ten payments, tries a callback once, and knows neither keys nor signatures nor refunds.
#[test]
fn a_gateway_that_can_nothing_and_fails_half_the_time_settles_everything_in_the_end() {
    let dir = DataDir::new();
    let walk = ["demo", "--ephemeral", "--json", "--card-tries", "40", "--wait-s", "40"];
    let mut walk = command(dir.path(), &walk);
    walk.envs([
        ("COMMERCE_SIMULATOR__PRESET", "reference"),
        ("COMMERCE_SIMULATOR__SEED", "7"),
        ("COMMERCE_SIMULATOR__LATENCY_MIN_MS", "1"),
        ("COMMERCE_SIMULATOR__LATENCY_MAX_MS", "5"),
        ("COMMERCE_SIMULATOR__DECISION_MIN_MS", "10"),
        ("COMMERCE_SIMULATOR__DECISION_MAX_MS", "50"),
        ("COMMERCE_GATEWAY__IDEMPOTENCY", "false"),
        ("COMMERCE_GATEWAY__REFUND", "false"),
        ("COMMERCE_GATEWAY__VOID", "false"),
        ("COMMERCE_GATEWAY__SIGNATURE", "false"),
        ("COMMERCE_GATEWAY__CALL_TIMEOUT_MS", "1000"),
        ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "10"),
        ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "20"),
        ("COMMERCE_PAYMENTS__BACKOFF_MAX_MS", "200"),
        ("COMMERCE_PAYMENTS__NOT_FOUND_GRACE_S", "1"),
        ("COMMERCE_PAYMENTS__STUCK_AFTER_S", "1"),
    ]);
    let ended = crate::support::Ended::from(walk.output().unwrap()).expect(0);
    let report = ended.json();
    assert_eq!(report["verdict"], json!("OK"), "{report}");
    assert_eq!(steps(&report).last().unwrap()["came"], json!("clean"), "{report}");
}
