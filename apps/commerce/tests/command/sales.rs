//! `flash-sale` and `load` against shops of their own and against a running one.

use crate::support::{DataDir, Up, command, run, run_with_input};
use serde_json::json;

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

#[test]
fn sixty_buyers_get_the_ten_pieces_that_there_are() {
    let dir = DataDir::new();
    let sale = ["flash-sale", "--ephemeral", "--buyers", "60", "--stock", "10", "--connections", "16"];
    let text = run(dir.path(), &sale).expect(0).stdout;
    for line in
        ["sold 10", "oversold 0", "refused 50", "errors 0", "unanswered 0", "audit clean", "verdict OK"]
    {
        assert!(has_line(&text, line), "{line}: {text}");
    }
    // Its data was its own, and is gone.
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    let place = text.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(!std::path::Path::new(place).exists(), "{place}");
}

#[test]
fn buyers_by_card_get_the_pieces_that_there_are_and_the_gateway_agrees() {
    let dir = DataDir::new();
    let sale = ["flash-sale", "--ephemeral", "--card", "--buyers", "40", "--stock", "8", "--json"];
    let report = run(dir.path(), &sale).expect(0).json();
    assert_eq!((&report["sold"], &report["refused"]), (&json!(8), &json!(32)), "{report}");
    assert_eq!((&report["atGateway"], &report["paidByCard"]), (&json!(80_000), &json!(80_000)), "{report}");
    assert_eq!((&report["points"]["spent"], &report["audit"]), (&json!(0), &json!("clean")), "{report}");
    assert!(report["settlementMs"]["max"].as_f64() > report["latencyMs"]["p50"].as_f64(), "{report}");
}

/// A few seconds of what docs/performance.md tells of for a minute. The breaker is told to stay shut, so that the faults
/// meet every payment instead of few.
#[test]
fn a_sale_while_everything_goes_wrong_with_the_gateway_charges_nobody_twice() {
    let dir = DataDir::new();
    let sale = ["flash-sale", "--ephemeral", "--card", "--buyers", "90", "--stock", "40"];
    let mut sale =
        command(dir.path(), &[&sale[..], &["--gateway-faults", "15", "--seconds", "4", "--json"]].concat());
    sale.envs([
        ("COMMERCE_SIMULATOR__SEED", "11"),
        ("COMMERCE_GATEWAY__BREAKER_FAILURE_RATE", "100"),
        ("COMMERCE_GATEWAY__BREAKER_SLOW_CALL_RATE", "100"),
        ("COMMERCE_GATEWAY__RETRY_FIRST_MS", "20"),
        ("COMMERCE_PAYMENTS__BACKOFF_FIRST_MS", "50"),
        ("COMMERCE_PAYMENTS__BACKOFF_MAX_MS", "1000"),
        ("COMMERCE_RELAY__EVERY_MS", "50"),
        ("COMMERCE_COLLECTOR__FLUSH_MS", "20"),
    ]);
    let report = crate::support::Ended::from(sale.output().unwrap()).expect(0).json();
    assert_eq!((&report["sold"], &report["oversold"]), (&json!(40), &json!(0)), "{report}");
    for nothing in ["chargedTwice", "keptWithoutOrder", "paidWithoutMoney", "stockLeft"] {
        assert_eq!(report[nothing], json!(0), "{nothing}: {report}");
    }
    assert_eq!((&report["audit"], &report["auditAtTheEnd"]), (&json!("clean"), &json!("clean")), "{report}");
    assert!(report["drainedSeconds"].is_number() && report["canceled"].as_u64() > Some(0), "{report}");
    let kinds = report["faults"].as_object().unwrap().len();
    assert!(kinds >= 10, "too little went wrong to prove anything: {report}");
}

#[test]
fn with_more_pieces_than_buyers_everybody_gets_one() {
    let dir = DataDir::new();
    let up = Up::start(dir.path());
    let url = up.url();
    let sale = ["flash-sale", "--url", &url, "--buyers", "7", "--stock", "20", "--json"];
    let report = run(dir.path(), &sale).expect(0).json();
    assert_eq!((&report["sold"], &report["refused"]), (&json!(7), &json!(0)), "{report}");
    assert_eq!((&report["stockLeft"], &report["confirmed"]), (&json!(13), &json!(7)), "{report}");
    // The directory says that it belongs to this server, so it was audited.
    assert_eq!((&report["audit"], &report["verdict"]), (&json!("clean"), &json!("OK")), "{report}");
    let points = |name: &str| report["points"][name].as_i64().unwrap();
    assert_eq!(points("before"), points("after") + points("spent") - points("earned"));
    assert_eq!(points("spent"), report["moneyPaid"].as_i64().unwrap());

    // From elsewhere the data is not at hand.
    let elsewhere = DataDir::new();
    let text = run(elsewhere.path(), &sale[..7]).expect(0).stdout;
    assert!(has_line(&text, "audit not run") && text.contains("commerce audit"), "{text}");
    assert!(has_line(&text, "verdict OK (not audited)"), "{text}");
    // Another name of the same address, which may resolve to several.
    let named = url.replace("127.0.0.1", "localhost");
    let text = run(dir.path(), &["flash-sale", "--url", &named, "--buyers", "1"]).expect(0).stdout;
    assert!(has_line(&text, "audit clean") && has_line(&text, "verdict OK"), "{text}");
    run(dir.path(), &["audit"]).expect(0);
}

#[test]
fn a_load_sells_every_order() {
    let dir = DataDir::new();
    let load =
        ["load", "--ephemeral", "--products", "5", "--orders", "40", "--buyers", "8", "--connections", "4"];
    let report = run(dir.path(), &[&load[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(
        (&report["sold"], &report["orders"], &report["stockLeft"]),
        (&json!(40), &json!(40), &json!(0))
    );
    assert_eq!(report["audit"], json!("clean"));
}

#[test]
fn a_shop_that_refuses_buyers_is_left_as_it_was() {
    let dir = DataDir::new();
    let shop = crate::mode::Configured::new(&dir);
    let data = dir.join("data");
    let up = Up::start_with(&data, &shop.environment());
    let create = ["user", "create", "--login-id", "boss", "--email", "boss@example.com", "--role", "ADMIN"];
    let mut create = command(&data, &[&create[..], &["--password-stdin"]].concat());
    create.envs(shop.environment());
    crate::support::with_input(create, "correct horse battery\n").expect(0);
    let url = up.url();
    for kind in ["flash-sale", "load"] {
        let sale = [kind, "--url", &url, "--admin", "boss", "--password-stdin"];
        let refused = run_with_input(&data, &sale, "correct horse battery\n").expect(1).stderr;
        assert!(refused.contains("NOT_DEMO_MODE"), "{refused}");
    }
    for list in ["brands", "products"] {
        let (status, page) = up.get(&format!("/api/v1/{list}"));
        assert_eq!((status, &page["items"]), (200, &json!([])), "{list}: {page}");
    }
}

#[test]
fn a_shop_that_is_not_there_or_not_ours_is_told() {
    let dir = DataDir::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let gone = run(dir.path(), &["flash-sale", "--url", &url, "--buyers", "1"]).expect(1);
    assert!(gone.stderr.contains("is the shop running?"), "{}", gone.stderr);
    let wrong = run(dir.path(), &["flash-sale", "--url", "https://example.com", "--buyers", "1"]).expect(2);
    assert!(wrong.stderr.contains("http://HOST:PORT"), "{}", wrong.stderr);

    let up = Up::start(dir.path());
    let url = up.url();
    let sale = ["flash-sale", "--url", &url, "--buyers", "1", "--admin", "admin", "--password-stdin"];
    let denied = run_with_input(dir.path(), &sale, "not the password\n").expect(1);
    assert!(denied.stderr.contains("401") && denied.stderr.contains("--admin"), "{}", denied.stderr);
    run_with_input(dir.path(), &sale, "admin-demo\n").expect(0);
}
