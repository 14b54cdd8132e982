//! `commerce demo`: a walk through the whole shop.

use crate::support::{DataDir, Up, ask, command, run};
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
    let up = Up::start_with(dir.path(), &QUICK);
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
    // Neither is the gateway, which is left alone; and no past is made up.
    let skipped = steps(&report).into_iter().filter(|step| step["skipped"] == json!(true)).count();
    assert_eq!(skipped, 12, "{report}");
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
    let skipped = steps(&report).into_iter().find(|step| step["skipped"] == json!(true)).unwrap();
    assert!(skipped["expected"].as_str().unwrap().contains("lacks keys, refunds"), "{skipped}");
}

/// Waits that are short, so that a running shop is walked through as quickly as one of its own.
const QUICK: [(&str, &str); 3] = [
    ("COMMERCE_GATEWAY__BREAKER_OPEN_MS", "1000"),
    ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "100"),
    ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "200"),
];

/// A script of faults that is not the one of the start, and that no step asks for.
fn let_fail_as_an_operator(up: &Up) -> Value {
    let script = json!({ "callbackDelayed": { "next": 2 }, "querySlowMs": { "min": 7, "max": 7 } });
    let gateway = up.gateway.as_deref().unwrap();
    let (status, script) = ask(gateway, "PUT /admin/faults", None, None, &script.to_string()).unwrap();
    assert_eq!(status, 200, "{script}");
    script
}

fn faults(up: &Up) -> Value {
    ask(up.gateway.as_deref().unwrap(), "GET /admin/faults", None, None, "").unwrap().1
}

fn wait_until(what: &str, is_there: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is_there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10)); // tidy: sleep between two looks at a running shop
    }
    panic!("never: {what}");
}

#[test]
fn the_faults_of_a_walk_prove_something_and_are_taken_back() {
    let dir = DataDir::new();
    let up = Up::start_with(dir.path(), &QUICK);
    let before = faults(&up);
    let report = run(dir.path(), &["demo", "--url", &up.url(), "--json"]).expect(0).json();
    let proven: Vec<_> = steps(&report).into_iter().filter(|step| step["proven"].is_string()).collect();
    assert_eq!(proven.len(), 9, "{report}");
    let skipped = steps(&report).into_iter().filter(|step| step["skipped"] == json!(true)).count();
    assert_eq!(skipped, 3, "only what makes up a past: {report}");
    assert_eq!(faults(&up), before);
    run(dir.path(), &["audit", "--settled"]).expect(0);
}

#[test]
fn the_faults_are_taken_back_where_a_step_fails_in_the_middle_of_them() {
    let dir = DataDir::new();
    // The breaker stays open for longer than the walk waits.
    let up = Up::start_with(dir.path(), &[("COMMERCE_GATEWAY__BREAKER_OPEN_MS", "600000")]);
    let before = let_fail_as_an_operator(&up);
    let walk = ["demo", "--url", &up.url(), "--wait-s", "3"];
    let text = run(dir.path(), &walk).expect(1).stdout;
    assert!(text.contains("verdict FAILED at `gateway back`"), "{text}");
    assert_eq!(faults(&up), before, "as the operator had it, what happens next included");
}

#[test]
fn the_faults_are_taken_back_where_the_walk_is_interrupted() {
    let dir = DataDir::new();
    let up = Up::start_with(dir.path(), &[("COMMERCE_GATEWAY__BREAKER_OPEN_MS", "600000")]);
    let before = let_fail_as_an_operator(&up);
    let mut walk = command(dir.path(), &["demo", "--url", &up.url(), "--wait-s", "600"]);
    let mut walk = walk.stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the walk changes the script", || faults(&up) != before);
    let interrupt = std::process::Command::new("kill").args(["-INT", &walk.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert_eq!(walk.wait().unwrap().code(), Some(130));
    assert_eq!(faults(&up), before);
}
